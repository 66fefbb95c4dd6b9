"""
Comparing wording in code: the same text but for spacing, a phrase within a text, the words that carry meaning.

Everything here is linear in its input: no pattern that could be made to backtrack.
"""

import unicodedata
from functools import lru_cache
from typing import Final

STEMS_KEPT_MAX = 65_536
TEXTS_KEPT_MAX = 8_192
_STEM_LENGTH_MIN = 3

# Without those that change a statement's meaning, such as `before`, `over`, `within`, `only`.
_FUNCTION_WORDS = """
    a about all also am an and any are as at be been being but by can could did do does doing for from further had has
    have having he her here hers him his how i if in into is it its itself just let may me might my now of on or other
    our ours own please same shall she should so some such than that the their them then there these they this those
    through to too us very was we were what when where which while who whom whose why will with would you your yours
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
NEGATIONS: Final = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "nothing",
        "nobody",
        "neither",
        "nor",
        "without",
        "cannot",
        "except",
        "unless",
        "only",
    ]
)
_NEGATED_ENDING = "n't"
# Longest first: the first that fits is cut off.
_SUFFIXES: Final = ("ations", "ation", "ingly", "ments", "ment", "ings", "ing", "ies", "ied", "es", "ed", "ly", "s")
_WORD_TABLE: Final = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) != "'"}
_QUOTES: Final = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00ad": None, "\u200b": None}
)


def squeezed(text: str) -> str:
    """*text* with each run of white space as one space, compatible characters unified and quotation marks straight."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return " ".join(text.split())


def folded(text: str) -> str:
    """*text* squeezed and without regard to case."""
    return squeezed(text).casefold()


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether *phrase* stands in *text*, without regard to case and spacing, beginning and ending where words do."""
    whole, sought = folded(text), folded(phrase)
    if not sought:
        return False
    start = whole.find(sought)
    while start >= 0:
        end = start + len(sought)
        before = whole[start - 1 : start] + sought[0]
        after = sought[-1] + whole[end : end + 1]
        if not (len(before) == 2 and before.isalnum()) and not (len(after) == 2 and after.isalnum()):  # noqa: PLR2004
            return True
        start = whole.find(sought, start + len(sought))
    return False


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def words(text: str) -> tuple[str, ...]:
    """The words of *text* in order, folded: runs of letters and digits, with an apostrophe inside."""
    whole = folded(text)
    if whole.isascii():
        spaced = whole.translate(_WORD_TABLE)
    else:
        spaced = "".join(char if char.isalnum() or char == "'" else " " for char in whole)
    if "'" not in spaced:
        return tuple(spaced.split())
    return tuple(word for raw in spaced.split() if (word := raw.strip("'")))


def content_words(text: str) -> list[str]:
    """The words of *text* that carry meaning, stemmed, in order (function words are known for English only)."""
    return [stem(word) for word in words(text) if word not in FUNCTION_WORDS and not word.endswith(_NEGATED_ENDING)]


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def content_set(text: str) -> frozenset[str]:
    """The different `content_words` of *text*; remembered, as a playbook's texts come again with every turn."""
    return frozenset(content_words(text))


def negations(text: str) -> int:
    """How many words of *text* negate or restrict (English)."""
    return sum(word in NEGATIONS or word.endswith(_NEGATED_ENDING) for word in words(text))


def reads_english(text: str) -> bool:
    """Whether *text* has a function word of English, so that `content_words` means something for it."""
    return any(word in FUNCTION_WORDS for word in words(text))


@lru_cache(maxsize=STEMS_KEPT_MAX)
def stem(word: str) -> str:
    """*word* without its commonest English endings, so that `transferring`, `transfers` and `transfer` are one."""
    base = word.removesuffix("'s")
    if base.isalpha() and not base.endswith("ss"):
        for suffix in _SUFFIXES:
            if base.endswith(suffix) and len(base) - len(suffix) >= _STEM_LENGTH_MIN:
                cut = base[: -len(suffix)]
                base = cut + "y" if suffix in {"ies", "ied"} else _undoubled(cut)
                break
    return base.removesuffix("e") if len(base) > _STEM_LENGTH_MIN else base


def _undoubled(cut: str) -> str:
    doubled = len(cut) > _STEM_LENGTH_MIN and cut[-1] == cut[-2] and cut[-1] not in "aeiouls"
    return cut[:-1] if doubled else cut
