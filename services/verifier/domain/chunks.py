"""
The pieces of a text in which values are looked for: parted by spaces, by dashes and slashes between numbers, and where
letters of a script without spaces or capitals stand beside figures (`3日間`, `500円を`, `3दिन`).
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from services.verifier.domain.readings import (
    CURRENCIES,
    DAY_MARKS,
    HOUR_MARKS,
    MINUTE_MARKS,
    MONTH_MARKS,
    PERCENT_WORDS,
    SCALES,
    YEARS,
    date_forms,
    link_form,
)
from shared.text.numbers import figures, has_figures, is_digits, number_forms

UNIT_LETTERS_MAX: Final = 3
RUN_DIGITS_MIN: Final = 7
"""Digits in groups are a telephone or account number from this many on, or when they begin with 0 or +."""
_MARKS: Final = "\u200e\u200f\u061c"
_OPENING: Final = "([{<\"'`*_~#\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}«„" + _MARKS
_CLOSING: Final = ")]}>\"'`*_~.,;:!?\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}»…" + _MARKS
_BREAKS: Final = frozenset("/|=~\N{EN DASH}\N{EM DASH}")
_STOPS: Final = frozenset(".,;:!?")
_KEPT: Final = frozenset(_OPENING + _CLOSING + "\N{EN DASH}\N{EM DASH}\N{PER MILLE SIGN}")
# What follows a number in a script without spaces, the longest first; an hour's length is no time of day.
_UNITS: Final = tuple(
    sorted(
        {
            *(name for name in (*CURRENCIES, *SCALES, *PERCENT_WORDS) if not name.isascii() and name.isalpha()),
            *(YEARS | MONTH_MARKS | DAY_MARKS | HOUR_MARKS | MINUTE_MARKS),
            *("時間", "时间", "시간", "小时", "小時"),
        },
        key=len,
        reverse=True,
    )
)

_Class = Literal["figure", "letter", "stop"]
_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of text without spaces, its punctuation stripped; `text` in ASCII digits."""

    text: str
    start: int
    end: int
    folded: str


def chunks_of(text: str) -> list[Chunk]:
    """The pieces of *text* in order."""
    plain = figures(text)
    chunks: list[Chunk] = []
    end = 0
    for piece in plain.split():
        start = plain.index(piece, end)
        end = start + len(piece)
        for span in _by_script(plain, start, end):
            chunks.extend(_pieces(plain, *span))
    return chunks


def is_identifier(text: str) -> bool:
    """
    Letters and digits mixed, or a long number in groups: `RB-204`, `AB12`, `0800-555-0142`; not `10km`, not `3-5`.
    """
    joined = text.replace("-", "").replace("+", "")
    if is_digits(joined):
        return "-" in text.strip("-") and is_run(text.startswith(("0", "+")), len(joined))
    return joined.isalnum() and has_figures(joined) and not number_and_unit(joined)[0]


def is_run(leads: bool, digits: int) -> bool:
    """Whether so many digits in groups are an identifier; *leads*: they begin with 0 or +."""
    return digits >= RUN_DIGITS_MIN or (leads and digits > UNIT_LETTERS_MAX)


def number_and_unit(text: str) -> tuple[str, str]:
    """`10km` → (`10`, `km`), `-5°c` → (`-5`, `°c`); empty strings where *text* is no number with a short unit."""
    place = 1 if text[:1] in {"-", "+"} else 0
    while place < len(text) and (
        text[place] in "0123456789.,'" or unicodedata.decomposition(text[place])[:5] == "<frac"
    ):
        place += 1
    number, unit = text[:place], text[place:]
    letters = unit.removeprefix("°")
    if number and unit and (letters.isalpha() or not letters) and len(letters) <= UNIT_LETTERS_MAX:
        return (number, unit) if number_forms(number) else ("", "")
    return "", ""


def _by_script(plain: str, start: int, end: int) -> Iterator[_Span]:
    """What stands at *start* to *end*, cut where figures stand beside letters that are never part of them."""
    piece = plain[start:end]
    if piece.isascii() or not has_figures(piece) or link_form(piece):
        yield start, end
        return
    before: _Class = "stop"
    for kind, first, last in _classed(plain, start, end):
        if kind == "letter" and before == "figure":
            yield from _units(plain, first, last)
        elif kind != "stop":
            yield first, last
        before = kind


def _classed(plain: str, start: int, end: int) -> Iterator[tuple[_Class, int, int]]:
    """The runs of characters of one class at *start* to *end*."""
    begin, kind = start, _class(plain[start])
    for place in range(start + 1, end):
        after = _class(plain[place])
        if kind != "figure" and plain[place] in _STOPS:
            after = "stop"
        if after != kind:
            yield kind, begin, place
            begin, kind = place, after
    yield kind, begin, end


@lru_cache(maxsize=4_096)
def _class(char: str) -> _Class:
    if char.isascii() or char in _KEPT:
        return "figure"
    category = unicodedata.category(char)
    if category[0] == "P":
        return "stop"
    return "letter" if category[0] in "LM" and char.lower() == char.upper() else "figure"


def _units(plain: str, start: int, end: int) -> Iterator[_Span]:
    """The units with which the letters at *start* to *end* begin, then the rest."""
    while unit := next((unit for unit in _UNITS if plain.startswith(unit, start, end)), ""):
        yield start, start + len(unit)
        start += len(unit)
    if start < end:
        yield start, end


def _pieces(text: str, start: int, end: int) -> Sequence[Chunk]:
    """What stands at *start* to *end*, cut at dashes and slashes unless it is a link, a date or an identifier."""
    whole = _chunk(text, start, end)
    if whole is None:
        return []
    if whole.folded.isalpha() or link_form(whole.text) or not has_figures(whole.text):
        return [whole]
    if date_forms(whole.text):
        return [whole]
    if is_identifier(whole.text) and not any(char in _BREAKS for char in whole.text):
        return [whole]
    pieces, begin = [], start
    for place in range(start, end + 1):
        if place == end or text[place] in _BREAKS or _is_range_mark(text, place, start, end):
            pieces.append(_chunk(text, begin, place))
            begin = place + 1
    return [piece for piece in pieces if piece is not None]


def _is_range_mark(text: str, place: int, start: int, end: int) -> bool:
    if not start < place < end - 1 or text[place] != "-":
        return False
    before, after = text[max(start, place - 2) : place].rstrip("%°€$£¥"), text[place + 1]
    return before[-1:].isalnum() and (after.isalnum() or unicodedata.category(after) == "Sc")


def _chunk(text: str, start: int, end: int) -> Chunk | None:
    while start < end and text[start] in _OPENING:
        start += 1
    while end > start and text[end - 1] in _CLOSING:
        end -= 1
    if start == end:
        return None
    return Chunk(text[start:end], start, end, text[start:end].casefold())
