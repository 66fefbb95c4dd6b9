"""
Greetings and thanks that state nothing, in the languages that code cannot read otherwise (see `shared.text.english`).
"""

from typing import Final

from shared.text.plain import folded

_COURTESIES: Final = frozenset(
    {
        *("guten tag", "hallo", "vielen dank", "danke", "vielen dank für ihre nachricht", "vielen dank für ihre frage"),
        *("hola", "buenos días", "gracias", "muchas gracias", "gracias por su mensaje", "bonjour", "merci"),
        *("merci pour votre message", "buongiorno", "grazie", "grazie mille", "olá", "bom dia", "obrigado", "obrigada"),
        *(
            "مرحبا",
            "شكرا",
            "شكرا لك",
            "您好",
            "你好",
            "谢谢",
            "谢谢您",
            "こんにちは",
            "ありがとうございます",
            "안녕하세요",
            "감사합니다",
        ),
    }
)


def is_courtesy(text: str) -> bool:
    """Whether *text* is, to the letter, one of a few greetings and thanks that state nothing in any language."""
    return folded(text).strip(" .!,;:\u061f\u3002\uff01\uff0c¡") in _COURTESIES
