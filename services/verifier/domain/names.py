"""
Proper names: capitalised words that do not begin a sentence.

Where a language capitalises its nouns (German), capitals say nothing; a text that does not read as English has no names
here when many of its words are capitalised, and its claims are left to the blind check.
"""

from collections.abc import Iterable
from typing import Final

from shared.arq.wording import FUNCTION_WORDS, words

CAPITALS_SHARE_MAX = 0.25
FUNCTION_SHARE_MIN = 0.2
"""English text has at least this share of English function words; German has some of them by chance."""
WORDS_MIN = 8
"""In a text of fewer words that can be capitalised, the share says nothing, and capitals count."""
_ENDS: Final = ".!?:;\n"
_SKIPPED: Final = frozenset({"i", "i'm", "i've", "i'll", "i'd", "ok"})


def names_in(text: str) -> list[str]:
    """The words of *text*, folded, that are proper names by their capitals."""
    names: list[str] = []
    candidates, begins = 0, True
    for line in text.splitlines():
        begins = True
        for chunk in line.split():
            said = [word for word in words(chunk) if word not in _SKIPPED]
            alphabetic = next((char for char in chunk if char.isalpha()), "")
            if said and alphabetic and not begins:
                candidates += 1
                if alphabetic.isupper():
                    names.extend(word.removesuffix("'s") for word in said if word.isalpha() or "'" in word)
            begins = chunk[-1] in _ENDS or (begins and not alphabetic)
    capitalises = candidates >= WORDS_MIN and len(names) > CAPITALS_SHARE_MAX * candidates
    return [] if capitalises and not _is_english(text) else names


def foreign_names(text: str, facts: Iterable[str], known: frozenset[str]) -> list[str]:
    """The names in *text* that stand neither in *facts* nor among the *known* words."""
    names = names_in(text)
    if not names:
        return []
    standing = known.union(*({word.removesuffix("'s") for word in words(fact)} for fact in facts))
    return [name for name in names if name not in standing]


def _is_english(text: str) -> bool:
    said = words(text)
    return sum(word in FUNCTION_WORDS for word in said) >= FUNCTION_SHARE_MIN * len(said)
