"""
How a script is written, as far as it says where words begin and end: by what Unicode calls its characters.
"""

import unicodedata
from enum import Enum, auto
from functools import lru_cache
from typing import Final

CHARS_KEPT_MAX: Final = 16_384


class Writing(Enum):
    """How the words of a character's script stand beside each other."""

    NO_WORD = auto()
    """no letter, mark or digit: it parts words"""
    SPACED = auto()
    """words have spaces between them, and endings in many languages"""
    ABJAD = auto()
    """words have spaces between them, and articles, prepositions and pronouns are written onto them"""
    HANGUL = auto()
    """words have spaces between them, and particles are written onto them"""
    IDEOGRAPHIC = auto()
    """no spaces, and a character is nearly a word"""
    KATAKANA = auto()
    """no spaces, and a word has several characters; so with the next"""
    DICTIONARY = auto()
    """no spaces, and a word is spelt: only a dictionary tells words apart"""


UNSPACED: Final = frozenset({Writing.IDEOGRAPHIC, Writing.KATAKANA, Writing.DICTIONARY})
# The first word of a character's name in Unicode.
_NAMES: Final = {
    **dict.fromkeys(("CJK", "HIRAGANA", "IDEOGRAPHIC", "BOPOMOFO"), Writing.IDEOGRAPHIC),
    **dict.fromkeys(("KATAKANA", "KATAKANA-HIRAGANA"), Writing.KATAKANA),
    **dict.fromkeys(("THAI", "LAO", "KHMER", "MYANMAR"), Writing.DICTIONARY),
    "HANGUL": Writing.HANGUL,
}


@lru_cache(maxsize=CHARS_KEPT_MAX)
def writing(char: str) -> Writing:
    """How *char* is written; a combining mark is part of a word."""
    if not (char.isalnum() or unicodedata.category(char).startswith("M")):
        return Writing.NO_WORD
    if char.isdecimal():
        return Writing.SPACED
    named = _NAMES.get(unicodedata.name(char, "").partition(" ")[0])
    if named is not None:
        return named
    return Writing.ABJAD if unicodedata.bidirectional(char) in {"R", "AL"} else Writing.SPACED
