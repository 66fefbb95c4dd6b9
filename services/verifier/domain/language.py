"""
Whether a text can be taken for English: the rules of this package that know words (names, deeds, negations) hold for
English alone.

What does not read as English is never passed on the strength of such a rule: it goes to the model. A short text without
a word that only English has counts as not English, so the mistake that can happen costs a call and lets nothing out.
"""

import unicodedata
from functools import lru_cache
from typing import Final

from shared.arq.wording import FUNCTION_WORDS, folded, words

ENGLISH_SHARE_MIN = 0.1
"""Of a text's words that must be common words of English, and of no other language that is told apart here."""
TEXTS_KEPT_MAX = 8_192

# Function words of English that other languages in Latin script have too.
_SHARED = "a about an am as be do for has he her him his i in me of on or other so to us was we will"
_ENGLISH = """
    see understand hello hi dear good morning afternoon evening thanks thank welcome sorry apologies apologise
    apologize regret glad happy sure certainly absolutely understood great goodbye bye anything everything something
    else here there help helping know check checked today tomorrow yesterday only not until before after over under
    within without per each every between because but though need needs get gets give gives make makes take takes
    free off up out was were of to it's that's i'm we're you're i've we've you've i'll we'll you'll don't doesn't
    can't won't isn't aren't let's
"""
# The commonest words of German, Spanish, French, Italian, Portuguese, Dutch, the Nordic languages, Polish and Turkish.
_FOREIGN = """
    der die das und ist nicht wir sie ihr ihnen ihre ihren haben hat wird werden wurde auf mit von zu zum zur im dem den
    ein eine einen einem sich bei nach kann kein keine bitte danke vielen ihrer
    el la los las de del que y en un una por para con su sus le les se es esta son hemos ha han usted gracias lo al como
    des du une est et vous nous votre notre pour dans sur avec pas qui ce cette vos nos aux merci bonjour
    il gli di che non sono abbiamo per della delle grazie suo sua
    o os uma nao com voce seu foi obrigado da dos das em
    het een niet van voor met u uw wij zijn dank
    och att det som inte og er til har ikke vi
    nie jest na sie dla bir ve icin
"""
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
_COMMON: Final = (FUNCTION_WORDS - frozenset(_SHARED.split())) | frozenset(_ENGLISH.split())
_OTHERS: Final = frozenset(_FOREIGN.split()) - _COMMON


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def reads_english(text: str) -> bool:
    """Whether *text* is in Latin script and has more common words of English than of other languages."""
    if any(char.isalpha() and not _is_latin(char) for char in text if not char.isascii()):
        return False
    said = words(text)
    common = sum(word in _COMMON for word in said)
    return common > sum(word in _OTHERS for word in said) and common >= ENGLISH_SHARE_MIN * len(said)


def is_courtesy(text: str) -> bool:
    """Whether *text* is, to the letter, one of a few greetings and thanks that state nothing in any language."""
    return folded(text).strip(" .!,;:\u061f\u3002\uff01\uff0c¡") in _COURTESIES


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN")
