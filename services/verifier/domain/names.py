"""
Proper names: capitalised words that do not begin a sentence.

English only. Elsewhere capitals say something else (German) or there are none (Arabic, Chinese): a text that does not
read as English has no names here, and code settles none of its claims.
"""

from collections.abc import Iterable
from typing import Final

from shared.text.english import reads_english, stem
from shared.text.words import words

_ENDS: Final = ".!?:;\n"
_SKIPPED: Final = frozenset({"i", "i'm", "i've", "i'll", "i'd", "ok"})


def names_in(text: str) -> list[str]:
    """The words of *text*, folded, that are proper names by their capitals."""
    names: list[str] = []
    if not reads_english(text):
        return names
    for line in text.splitlines():
        begins = True
        for chunk in line.split():
            said = [word for word in words(chunk) if word not in _SKIPPED]
            alphabetic = next((char for char in chunk if char.isalpha()), "")
            if said and alphabetic.isupper() and not begins:
                names.extend(word.removesuffix("'s") for word in said if word.isalpha() or "'" in word)
            begins = chunk[-1] in _ENDS or (begins and not alphabetic)
    return names


def foreign_names(text: str, facts: Iterable[str], known: frozenset[str]) -> list[str]:
    """The names in *text* that stand neither in *facts* nor among the *known* words."""
    names = names_in(text)
    if not names:
        return []
    standing = known.union(*(words(fact) for fact in facts))
    stems = {stem(word) for word in standing}
    return [name for name in names if name not in standing and stem(name) not in stems]
