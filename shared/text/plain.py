"""
The plain writing of a text: what differs by typography alone (dashes, quotation marks, widths, ligatures, composed or
decomposed letters, spacing, characters that nobody sees) is the same here. For comparing; a text is sent as it is.

What differs in meaning stays different: 10² is not 102, and ½ and ① stay what they are.
"""

import unicodedata
from functools import lru_cache
from typing import Final

from shared.text.visible import bare

TEXTS_KEPT_MAX: Final = 2_048
CHARS_KEPT_MAX: Final = 16_384
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_SINGLE_QUOTES: Final = "\u2018\u2019\u201a\u201b\u2032\u02bc\u2039\u203a"
_DOUBLE_QUOTES: Final = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
_PLAIN: Final = str.maketrans(
    dict.fromkeys(_DASHES, "-") | dict.fromkeys(_SINGLE_QUOTES, "'") | dict.fromkeys(_DOUBLE_QUOTES, '"')
)
# Casefolding leaves the two letters i of Turkish apart, and a dot that stands above the capital one alone.
_UNDOTTED: Final = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i", "\N{ARABIC TATWEEL}": None})
_DOTTED: Final = "i\N{COMBINING DOT ABOVE}"
# Canonical combining classes of the points of Hebrew and the vowels of Arabic, which are mostly left out.
_POINTS: Final = range(10, 37)


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def squeezed(text: str) -> str:
    """*text* in plain characters, each run of white space as one space."""
    if not (text.isascii() and text.isprintable()):
        text = bare(text)
    if not text.isascii():
        text = text.translate(_PLAIN)
        if not unicodedata.is_normalized("NFKC", text):
            text = unicodedata.normalize("NFC", "".join(map(_compatible, text))).translate(_PLAIN)
    return " ".join(text.split())


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def folded(text: str) -> str:
    """*text* squeezed and without regard to case, nor to vowels that the writing may leave out."""
    plain = squeezed(text).casefold()
    if plain.isascii():
        return plain
    plain = plain.replace(_DOTTED, "i").translate(_UNDOTTED)
    spelt = [char for char in unicodedata.normalize("NFD", plain) if unicodedata.combining(char) not in _POINTS]
    return unicodedata.normalize("NFC", "".join(spelt))


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
