"""
The words of a text in any script: parted by spaces and punctuation, or by ICU's dictionaries where no spaces are
written.
"""

from functools import lru_cache
from itertools import accumulate
from typing import Final

from icu4py.breakers import WordBreaker

from shared.text.plain import folded
from shared.text.writing import UNSPACED, Writing, writing

TEXTS_KEPT_MAX: Final = 8_192
BOUNDARIES_KEPT_MAX: Final = 16
_WORD_TABLE: Final = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) != "'"}
REPLACED_MAX: Final = 16
"""Different characters up to which replacing one after the other is faster than a table."""
_LOCALE: Final = "en"
"""Of the breaker; its dictionaries are the same in every one."""


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def words(text: str) -> tuple[str, ...]:
    """The words of *text* in order, folded: runs of letters, marks and digits, with an apostrophe inside."""
    found = runs(text)
    if text.isascii():
        return found
    return tuple(word for run in found for word in (dictionary_words(run) if _unspaced(run) else (run,)))


def runs(text: str) -> tuple[str, ...]:
    """What stands between the spaces and punctuation of *text*, folded, with an apostrophe inside."""
    whole = folded(text)
    spaced = whole.translate(_WORD_TABLE) if whole.isascii() else _spaced(whole)
    if "'" not in spaced:
        return tuple(spaced.split())
    return tuple(word for raw in spaced.split() if (word := raw.strip("'")))


def _spaced(whole: str) -> str:
    """*whole* with a space for each character that parts words."""
    parting = [char for char in set(whole) if char not in " '" and writing(char) is Writing.NO_WORD]
    if len(parting) > REPLACED_MAX:
        return whole.translate(dict.fromkeys(map(ord, parting), " "))
    for char in parting:
        whole = whole.replace(char, " ")
    return whole


def dictionary_words(run: str) -> tuple[str, ...]:
    """The words of *run*, which has no spaces."""
    return tuple(WordBreaker(run, _LOCALE))


@lru_cache(maxsize=BOUNDARIES_KEPT_MAX)
def word_boundaries(whole: str) -> frozenset[int]:
    """The places in *whole* where a word begins or ends."""
    return frozenset(accumulate(map(len, WordBreaker(whole, _LOCALE)), initial=0))


def _unspaced(run: str) -> bool:
    return not run.isascii() and any(writing(char) in UNSPACED for char in run)
