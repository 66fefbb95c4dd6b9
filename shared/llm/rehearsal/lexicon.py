"""
Words, numbers and dates of a text: what rehearsal rules compare by.

It stands in for understanding, and is meant to be right often enough for a demo and always the same; English only.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

STEMS_KEPT_MAX = 65_536
STEM_LENGTH_MIN = 3

WORD: Final = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
# Digits with thousands separators and decimals, with a currency sign or percent; not a part of a date, a time or an id.
NUMBER: Final = re.compile(r"(?<![\w.,/:-])[€$£]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w/:-]|[.,]\d)")
ISO_DATE: Final = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
DAY_MONTH: Final = re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:{MONTHS})(?:\s+\d{{4}})?\b", re.IGNORECASE)
MONTH_DAY: Final = re.compile(rf"\b(?:{MONTHS})\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b", re.IGNORECASE)
SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")

STOP_WORDS: Final = frozenset(
    WORD.findall("""
    a about after again all also am an and any are as at be because been before being but by can could customer did do
    does doing for from get had has have having he her here hers him his how i if in into is it its just let like may me
    might more most my no nor not now of off on once only or other our out over own please same say says she should so
    some such tell than that the their them then there these they this those through to too under until up us user very
    want wants was we were what when where which while who whom why will with would you your
    """),
)
# Longest first: the first that fits is cut off.
SUFFIXES: Final = (
    *("ations", "ation", "ingly", "edly", "ments", "ment", "ings", "ing"),
    *("ies", "ied", "es", "ed", "ly", "s"),
)
ENDINGS_OF_Y: Final = frozenset({"ies", "ied"})


def words(text: str) -> list[str]:
    """The words of *text* in order, in lower case."""
    return WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def terms(text: str) -> list[str]:
    """The words of *text* that carry meaning, stemmed: without stop words, in order."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


@lru_cache(maxsize=STEMS_KEPT_MAX)
def stem(word: str) -> str:
    """*word* without its commonest endings, so that `transferring`, `transfers` and `transfer` are one."""
    base = word.split("'", 1)[0]
    for suffix in SUFFIXES:
        if base.endswith(suffix) and len(base) - len(suffix) >= STEM_LENGTH_MIN and not base.endswith("ss"):
            cut = base[: -len(suffix)]
            if suffix in ENDINGS_OF_Y:
                return cut + "y"
            return _without_e(_undouble(cut))
    return _without_e(base)


def _without_e(base: str) -> str:
    return base.removesuffix("e") if len(base) > STEM_LENGTH_MIN else base


def _undouble(base: str) -> str:
    doubled = len(base) > STEM_LENGTH_MIN and base[-1] == base[-2] and base[-1] not in "aeiouls"
    return base[:-1] if doubled else base


def overlap(part: Iterable[str], whole: Iterable[str]) -> float:
    """The share of the different terms of *part* that stand in *whole*: 0.0 to 1.0; 0.0 if *part* is empty."""
    sought = set(part)
    return len(sought & set(whole)) / len(sought) if sought else 0.0


def similarity(left: str, right: str) -> float:
    """How much two texts share: the overlap of the one with fewer terms in the other."""
    one, other = set(terms(left)), set(terms(right))
    return overlap(*sorted((one, other), key=len))


def best_match(text: str, candidates: Iterable[str]) -> tuple[int, float]:
    """
    The place of the candidate that covers most of *text*'s terms (the first of equals) and its share; (-1, 0.0) if none
    does.
    """
    sought = set(terms(text))
    best = (-1, 0.0)
    for place, candidate in enumerate(candidates):
        share = overlap(sought, terms(candidate))
        if share > best[1]:
            best = (place, share)
    return best


def numbers(text: str) -> list[str]:
    """
    The numbers in *text* in order, normalised: `$1,200.50` → `1200.5`; those within dates, times and ids are left out.
    """
    without_dates = text
    for pattern in (ISO_DATE, DAY_MONTH, MONTH_DAY):
        without_dates = pattern.sub(" ", without_dates)
    return [_plain(found) for found in NUMBER.findall(without_dates)]


def dates(text: str) -> list[str]:
    """The dates in *text* in order, as written: `2026-03-01`, `1 March 2026`, `March 1st`."""
    found = [match for pattern in (ISO_DATE, DAY_MONTH, MONTH_DAY) for match in pattern.finditer(text)]
    return [match[0] for match in sorted(found, key=lambda match: match.start())]


def sentences(text: str) -> list[str]:
    """The sentences of *text* in order, each with its closing mark."""
    return [part.strip() for line in text.splitlines() for part in SENTENCE_END.split(line) if part.strip()]


def _plain(number: str) -> str:
    digits = number.lstrip("€$£").replace(",", "")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
