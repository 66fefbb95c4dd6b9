"""
Comparing wording in code: the same text but for typography, and a phrase within a text of any script.

A phrase is whole words where words have spaces between them, words with what is written onto them where the language
does so, and may stand anywhere where no spaces are written and a character is nearly a word.
"""

import unicodedata
from typing import Final

from shared.text.english import reads_english
from shared.text.plain import folded, squeezed
from shared.text.words import word_boundaries
from shared.text.writing import UNSPACED, Writing, writing

# A phrase of so many characters is taken for words wherever it stands; a shorter one where a dictionary says so.
_CERTAIN_MIN: Final = {Writing.IDEOGRAPHIC: 2, Writing.KATAKANA: 3, Writing.DICTIONARY: 5}
AFFIXED_MIN: Final = 4
"""Letters of a word that may have something written onto it."""
PREFIX_MAX: Final = 3
"""Letters of articles and prepositions written onto a word."""
SUFFIX_MAX: Final = 5
"""Letters of endings written onto a word."""
_VIRAMA: Final = 9
_OWN_WORD: Final = UNSPACED | {Writing.HANGUL}


def same_wording(text: str, other: str) -> bool:
    """Whether *text* says what *other* does, letter by letter, whatever its spacing and typography."""
    return squeezed(text) == squeezed(other)


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether *phrase* stands in *text*, without regard to case and typography, beginning and ending where words do."""
    whole, sought = folded(text), folded(phrase)
    if not sought:
        return False
    start = whole.find(sought)
    while start >= 0:
        if _begins(whole, start, sought) and _ends(text, whole, start + len(sought), sought):
            return True
        start = whole.find(sought, start + 1)
    return False


def _begins(whole: str, start: int, sought: str) -> bool:
    before = whole[start - 1 : start]
    if _parted(before, sought[0]):
        return True
    kind = writing(sought[0])
    if kind is Writing.ABJAD:
        return _first_length(sought) >= AFFIXED_MIN and _extent(whole, start, -1, PREFIX_MAX) <= PREFIX_MAX
    return kind in UNSPACED and _cuts(whole, start, sought)


def _ends(text: str, whole: str, end: int, sought: str) -> bool:
    after = whole[end : end + 1]
    if _parted(sought[-1], after):
        return True
    kind = writing(sought[-1])
    if kind is Writing.HANGUL:
        return True
    if kind in UNSPACED:
        return _cuts(whole, end, sought)
    if not sought[-1].isdecimal() and _last_length(sought) >= AFFIXED_MIN and _takes_endings(text, whole, end):
        longest = PREFIX_MAX if kind is Writing.ABJAD else SUFFIX_MAX
        return _extent(whole, end, 1, longest) <= longest
    return False


def _parted(left: str, right: str) -> bool:
    """Whether two neighbours are of different words, whatever the words are."""
    if not left or not right:
        return True
    kinds = {writing(left), writing(right)}
    if Writing.NO_WORD in kinds:
        return True
    return len(kinds) > 1 and not kinds.isdisjoint(_OWN_WORD) and not _combines(right)


def _cuts(whole: str, place: int, sought: str) -> bool:
    """Whether a phrase without spaces may begin or end at *place*."""
    if _combines(whole[place]):
        return False
    kind = writing(whole[place])
    return len(sought) >= _CERTAIN_MIN[kind] or place in word_boundaries(whole)


def _takes_endings(text: str, whole: str, end: int) -> bool:
    """Whether the language of *text* writes endings onto words: one with letters that English has not."""
    if text.isascii() or unicodedata.combining(whole[end]) == _VIRAMA:
        return False
    return any(char.isalpha() for char in text if not char.isascii()) and not reads_english(text)


def _extent(whole: str, place: int, step: int, longest: int) -> int:
    """How many letters of a word lie beyond *place*, counted up to one more than *longest*."""
    count, at = 0, place if step > 0 else place - 1
    while 0 <= at < len(whole) and count <= longest and writing(whole[at]) is not Writing.NO_WORD:
        count += 1
        at += step
    return count


def _first_length(sought: str) -> int:
    return _extent(sought, 0, 1, AFFIXED_MIN)


def _last_length(sought: str) -> int:
    return _extent(sought, len(sought), -1, AFFIXED_MIN)


def _combines(char: str) -> bool:
    return unicodedata.category(char).startswith("M")
