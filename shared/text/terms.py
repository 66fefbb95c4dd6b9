"""
What a text is found by: stems in English; elsewhere pieces of words that survive whatever is written onto them.

Overlapping pairs where a character is nearly a word (Chinese, Japanese, Korean), words of the dictionary where only
that tells them apart (Thai, Khmer), overlapping pieces of four letters in other scripts, of three where vowels are left
out (McNamee and Mayfield, Information Retrieval 7, 2004).
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from shared.text.english import content_words
from shared.text.words import dictionary_words, runs
from shared.text.writing import Writing, writing

_PIECE_LENGTHS: Final = {
    Writing.SPACED: 4,
    Writing.ABJAD: 3,
    Writing.HANGUL: 2,
    Writing.IDEOGRAPHIC: 2,
}


def terms(text: str, *, english: bool = True) -> list[str]:
    """
    The terms of *text* in order; *english* says that words in Latin letters are English ones (`mostly_english`), which
    has to be the same for what is searched and for what it is searched by.
    """
    if english and text.isascii():
        return content_words(text)
    return [term for run in runs(text) for term in _of_run(run, english=english)]


def _of_run(run: str, *, english: bool) -> Iterator[str]:
    for kind, part in _parts(run):
        if kind is Writing.DICTIONARY:
            yield from dictionary_words(part)
        elif kind is Writing.SPACED and english and part.isascii():
            yield from content_words(part)
        elif part.isdecimal():
            yield part
        else:
            yield from _pieces(part, _PIECE_LENGTHS[kind])


def _parts(run: str) -> Iterator[tuple[Writing, str]]:
    """*run* cut where the writing changes."""
    if run.isascii():
        yield Writing.SPACED, run
        return
    for kind, group in groupby(run, _kind):
        yield kind, "".join(group)


def _kind(char: str) -> Writing:
    kind = writing(char)
    if kind is Writing.NO_WORD:
        return Writing.SPACED
    return Writing.IDEOGRAPHIC if kind is Writing.KATAKANA else kind


def _pieces(word: str, length: int) -> Iterator[str]:
    for start in range(max(len(word) - length, 0) + 1):
        yield word[start : start + length]
