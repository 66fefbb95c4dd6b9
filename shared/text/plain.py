"""
The plain writing of a text: what differs by typography alone (dashes, quotation marks, widths, ligatures, composed or
decomposed letters, spacing, characters that nobody sees) is the same here. For comparing; a text is sent as it is.

What differs in meaning stays different: 10² is not 102, and ½ and ① stay what they are.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from shared.text.visible import bare

TEXTS_KEPT_MAX: Final = 1_024
CHARS_KEPT_MAX: Final = 16_384
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_SINGLE_QUOTES: Final = "\u2018\u2019\u201a\u201b\u2032\u02bc\u2039\u203a"
_DOUBLE_QUOTES: Final = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
_TYPOGRAPHIC: Final = re.compile(f"[{_DASHES}{_SINGLE_QUOTES}{_DOUBLE_QUOTES}]")
_PLAIN: Final = dict.fromkeys(_DASHES, "-") | dict.fromkeys(_SINGLE_QUOTES, "'") | dict.fromkeys(_DOUBLE_QUOTES, '"')
# Casefolding leaves the two letters i of Turkish apart, and a dot that stands above the capital one alone.
_DOTLESS: Final = "\N{LATIN SMALL LETTER DOTLESS I}"
_DOTTED: Final = "i\N{COMBINING DOT ABOVE}"
_TATWEEL: Final = "\N{ARABIC TATWEEL}"
# The points of Hebrew and the vowels of Arabic, which are mostly left out: canonical combining classes 10 to 36.
_POINTS: Final = re.compile(
    "[" + "".join(chr(code) for code in range(0x590, 0xFFFF) if 10 <= unicodedata.combining(chr(code)) <= 36) + "]"  # noqa: PLR2004
)


def squeezed(text: str) -> str:
    """*text* in plain characters, each run of white space as one space."""
    if not (text.isascii() and text.isprintable()):
        text = bare(text)
    if not text.isascii():
        if not unicodedata.is_normalized("NFKC", text):
            text = unicodedata.normalize("NFC", "".join(map(_compatible, text)))
        text = _TYPOGRAPHIC.sub(lambda match: _PLAIN[match[0]], text)
    return " ".join(text.split())


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def folded(text: str) -> str:
    """*text* squeezed and without regard to case, nor to vowels that the writing may leave out."""
    plain = squeezed(text).casefold()
    if plain.isascii():
        return plain
    plain = plain.replace(_DOTTED, "i").replace(_DOTLESS, "i").replace(_TATWEEL, "")
    return unicodedata.normalize("NFC", _POINTS.sub("", unicodedata.normalize("NFD", plain)))


@lru_cache(maxsize=CHARS_KEPT_MAX)
def _compatible(char: str) -> str:
    """What *char* is compatible with; itself where it would become another number."""
    kind, *codes = unicodedata.decomposition(char).split() or [""]
    if not kind.startswith("<"):
        return char
    if kind == "<fraction>":
        return char
    plain = "".join(_compatible(chr(int(code, 16))) for code in codes)
    if kind in {"<super>", "<sub>", "<circle>"} and not plain.isalpha():
        return char
    return plain
