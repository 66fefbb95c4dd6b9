"""
The values that a text states: numbers, percentages, amounts of money, dates, times, identifiers, links. One pass,
no pattern.

Each value knows where it stands in the text, so that it can be replaced there, and how it reads (see `readings`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from services.verifier.domain.chunks import Chunk, chunks_of, is_identifier, is_run, number_and_unit
from services.verifier.domain.readings import (
    AFTERNOONS,
    CURRENCIES,
    CURRENCY_SIGNS,
    DAY_MARKS,
    HOUR_MARKS,
    MINUTE_MARKS,
    MONTH_MARKS,
    MONTHS,
    NUMBER_WORDS,
    PERCENT_WORDS,
    SCALES,
    YEARS,
    date_form,
    date_forms,
    link_form,
    time_form,
)
from shared.text.numbers import has_figures, is_digits, number_forms, scaled
from shared.text.visible import cleaned

TEXTS_KEPT_MAX = 4_096
"""Texts whose values are remembered: a playbook's facts come again with every turn."""
_ORDINALS: Final = ("st", "nd", "rd", "th")
_MERIDIEMS: Final = {"am": "am", "a.m": "am", "pm": "pm", "p.m": "pm"}


class ValueKind(StrEnum):
    """What a value is; only values of one kind can contradict each other."""

    NUMBER = "n"
    MONEY = "m"
    PERCENT = "p"
    DATE = "d"
    TIME = "t"
    IDENTIFIER = "i"
    LINK = "l"


@dataclass(frozen=True, slots=True)
class Value:
    """
    A value at `start` to `end` of its text. `forms` are its possible readings, any of which may be meant; `parts` the
    readings of its pieces, where it may also be several values.
    """

    kind: ValueKind
    forms: frozenset[str]
    start: int
    end: int
    parts: tuple[str, ...] = ()


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def values_in(text: str) -> tuple[Value, ...]:
    """The values of *text* in order."""
    chunks = chunks_of(text)
    found: list[Value] = []
    place = 0
    while place < len(chunks):
        value, used = _read(chunks, place)
        if value is not None:
            found.append(value)
        place += used
    return tuple(found)


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def standing_forms(text: str) -> frozenset[str]:
    """Every form under which a value of *text* may be cited."""
    forms: set[str] = set()
    for value in values_in(cleaned(text)):
        forms |= value.forms
        forms.update(value.parts)
        forms.update(form for own in value.forms for form in _looser(own))
    return frozenset(forms)


def stands(value: Value, forms: frozenset[str]) -> bool:
    """Whether *value* is among the `standing_forms` *forms*, or all of its parts are."""
    if not value.forms.isdisjoint(forms):
        return True
    if value.kind is ValueKind.MONEY and any(f"m:*:{form.rsplit(':', 1)[1]}" in forms for form in value.forms):
        return True
    return bool(value.parts) and forms.issuperset(value.parts)


def _looser(form: str) -> Sequence[str]:
    """The less precise ways to cite *form*: an amount without its currency, a day without its year, an hour."""
    kind, _, rest = form.partition(":")
    if kind == "n":
        return (f"m:*:{rest}",)
    if kind == "m":
        return (f"n:{rest.rsplit(':', 1)[1]}",)
    if kind == "p":
        return (f"n:{rest}",)
    if kind == "d" and not rest.startswith("-"):
        return (f"d:-{rest[4:]}", f"n:{rest[:4]}")
    if kind == "t" and rest.endswith(":00"):
        return (f"n:{int(rest[:2])}",)
    return ()


def _read(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    """The value that begins with the chunk at *place*, and how many chunks it takes."""
    chunk = chunks[place]
    if chunk.folded.isalpha():
        return _read_word(chunks, place)
    if form := link_form(chunk.text):
        return _value(ValueKind.LINK, chunk, {form}), 1
    if not has_figures(chunk.text):
        return _read_word(chunks, place)
    for reader in (_read_date, _read_marked_date, _read_marked_time, _read_run, _read_time, _read_number):
        value, used = reader(chunks, place)
        if value is not None:
            return value, used
    joined = "".join(char for char in chunk.folded if char not in "-_")
    return _value(ValueKind.IDENTIFIER, chunk, {f"i:{joined}"}), 1


def _read_word(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    chunk = chunks[place]
    after = _folded(chunks, place + 1)
    if chunk.folded in MONTHS and (day := _day(after)):
        form, used = _with_year(chunks, place + 2, day, MONTHS[chunk.folded])
        return _spanning(ValueKind.DATE, chunks, place, 2 + used, {form} if form else set())
    if chunk.folded in CURRENCIES and (forms := number_forms(after)):
        amounts = {f"m:{CURRENCIES[chunk.folded]}:{form}" for form in forms}
        return _spanning(ValueKind.MONEY, chunks, place, 2, amounts)
    if chunk.folded in NUMBER_WORDS and chunk.folded != "one":
        return _quantified(chunks, place, frozenset({str(NUMBER_WORDS[chunk.folded])}))
    return None, 1


def _read_date(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    chunk = chunks[place]
    if forms := date_forms(chunk.text):
        return _value(ValueKind.DATE, chunk, set(forms)), 1
    day = _day(chunk.folded)
    skipped = 1 if _folded(chunks, place + 1) == "of" else 0
    month = MONTHS.get(_folded(chunks, place + 1 + skipped))
    if not day or not month:
        return None, 1
    form, used = _with_year(chunks, place + 2 + skipped, day, month)
    return _spanning(ValueKind.DATE, chunks, place, 2 + skipped + used, {form} if form else set())


def _read_run(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    """Digits in groups (a telephone number), or letters and digits followed by groups (an account number)."""
    chunk = chunks[place]
    lead = chunk.text.replace("-", "").lstrip("+")
    is_account = is_identifier(chunk.text) and chunk.text[:1].isalpha()
    if not is_digits(lead) and not is_account:
        return None, 1
    groups = [lead]
    while is_digits(_folded(chunks, place + len(groups))) and _adjoin(chunks, place + len(groups)):
        groups.append(chunks[place + len(groups)].text)
    used = len(groups)
    leads = chunk.text.startswith(("0", "+"))
    in_groups = used > 1 or "-" in chunk.text.strip("-") or chunk.text.startswith("+")
    if not is_account and not (in_groups and is_run(leads, sum(map(len, groups)))):
        return None, 1
    # A number may follow an identifier, or a year another number, and be no part of it.
    parts = () if leads else tuple(f"n:{form}" for group in groups[1:] for form in number_forms(group))
    first = (f"i:{lead.casefold()}" if is_account else f"n:{lead.lstrip('0')}",) if parts else ()
    end = chunks[place + used - 1].end
    form = f"i:{''.join(groups).casefold()}"
    return Value(ValueKind.IDENTIFIER, frozenset({form}), chunk.start, end, first + parts), used


def _read_marked_date(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    """A date whose parts are named, as in China, Japan and Korea: `2026年5月1日`, `5월 1일`."""
    marks = [_folded(chunks, place + step) for step in (1, 3, 5)]
    if marks[0] in YEARS and marks[1] in MONTH_MARKS and marks[2] in DAY_MARKS:
        form = _marked_date(chunks, place + 2, chunks[place].text)
        return _spanning(ValueKind.DATE, chunks, place, 6, {form}) if form else (None, 1)
    if marks[0] in MONTH_MARKS and marks[1] in DAY_MARKS and (form := _marked_date(chunks, place, "")):
        return _spanning(ValueKind.DATE, chunks, place, 4, {form})
    return None, 1


def _marked_date(chunks: Sequence[Chunk], place: int, year: str) -> str:
    month, day = _folded(chunks, place), _folded(chunks, place + 2)
    if not (is_digits(month) and len(month) <= 2 and _day(day)) or (year and not is_digits(year)):  # noqa: PLR2004
        return ""
    return date_form(_day(day), int(month), year)


def _read_marked_time(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    """A time of day whose parts are named: `14時30分`, `午後3時`."""
    if not _folded(chunks, place + 1) or _folded(chunks, place + 1) not in HOUR_MARKS:
        return None, 1
    meridiem = "pm" if place and chunks[place - 1].folded.endswith(AFTERNOONS) else ""
    hour, minute = chunks[place].folded, _folded(chunks, place + 2)
    if is_digits(minute) and _folded(chunks, place + 3) in MINUTE_MARKS:
        used, form = 4, time_form(f"{hour}:{minute:0>2}", meridiem)
    else:
        used, form = 2, time_form(f"{hour}:00", meridiem)
    return _spanning(ValueKind.TIME, chunks, place, used, {form}) if form else (None, 1)


def _read_time(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    chunk = chunks[place]
    for ending, meridiem in _MERIDIEMS.items():
        if chunk.folded.endswith(ending) and (form := time_form(chunk.folded.removesuffix(ending), meridiem)):
            return _value(ValueKind.TIME, chunk, {form}), 1
    meridiem = _MERIDIEMS.get(_folded(chunks, place + 1), "")
    if form := time_form(chunk.folded, meridiem):
        return _spanning(ValueKind.TIME, chunks, place, 2 if meridiem else 1, {form})
    return None, 1


def _read_number(chunks: Sequence[Chunk], place: int) -> tuple[Value | None, int]:
    folded = chunks[place].folded
    if "%" in folded and (forms := number_forms(_without(folded, "%"))):
        return _value(ValueKind.PERCENT, chunks[place], {f"p:{form}" for form in forms}), 1
    if forms := number_forms(next((folded.removesuffix(end) for end in _ORDINALS if folded.endswith(end)), folded)):
        return _quantified(chunks, place, forms)
    for name in (*CURRENCY_SIGNS, folded[:3], folded[-3:]):
        if name in CURRENCIES and name in folded and (forms := number_forms(_without(folded, name))):
            return _quantified(chunks, place, forms, currency=CURRENCIES[name])
    number, unit = number_and_unit(folded)
    if number:
        forms = number_forms(number)
        forms = frozenset(scaled(form, SCALES[unit]) for form in forms) if unit in SCALES else forms
        return _value(ValueKind.NUMBER, chunks[place], {f"n:{form}" for form in forms}), 1
    return None, 1


def _without(folded: str, unit: str) -> str:
    """*folded* without *unit* at its end or, perhaps behind a sign, at its beginning."""
    sign, rest = (folded[:1], folded[1:]) if folded[:1] in {"-", "+"} else ("", folded)
    return sign + rest.removeprefix(unit).removesuffix(unit)


def _quantified(
    chunks: Sequence[Chunk], place: int, numbers: frozenset[str], currency: str = ""
) -> tuple[Value | None, int]:
    """The number at *place* with what follows it: scales, then a currency or a percent word."""
    used = 1
    while (scale := SCALES.get(_folded(chunks, place + used))) is not None:
        numbers = frozenset(scaled(number, scale) for number in numbers)
        used += 1
    unit = _folded(chunks, place + used)
    if not currency and unit in CURRENCIES:
        currency, used = CURRENCIES[unit], used + 1
    if currency:
        return _spanning(ValueKind.MONEY, chunks, place, used, {f"m:{currency}:{number}" for number in numbers})
    if unit in PERCENT_WORDS or (unit == "per" and _folded(chunks, place + used + 1) == "cent"):
        used += 1 if unit in PERCENT_WORDS else 2
        return _spanning(ValueKind.PERCENT, chunks, place, used, {f"p:{number}" for number in numbers})
    return _spanning(ValueKind.NUMBER, chunks, place, used, {f"n:{number}" for number in numbers})


def _day(folded: str) -> int:
    """The day of a month that *folded* (`1`, `1st`) may be; 0 if none."""
    bare = next((folded.removesuffix(end) for end in _ORDINALS if folded.endswith(end)), folded)
    return int(bare) if is_digits(bare) and len(bare) <= 2 and 1 <= int(bare) <= 31 else 0  # noqa: PLR2004


def _with_year(chunks: Sequence[Chunk], place: int, day: int, month: int) -> tuple[str, int]:
    year = _folded(chunks, place)
    if is_digits(year) and len(year) == 4:  # noqa: PLR2004
        return date_form(day, month, year), 1
    return date_form(day, month), 0


def _adjoin(chunks: Sequence[Chunk], place: int) -> bool:
    """Whether one character at most stands between a chunk and the one before it, so that no punctuation parts them."""
    return chunks[place].start - chunks[place - 1].end <= 1


def _folded(chunks: Sequence[Chunk], place: int) -> str:
    return chunks[place].folded if place < len(chunks) else ""


def _value(kind: ValueKind, chunk: Chunk, forms: set[str]) -> Value:
    return Value(kind, frozenset(forms), chunk.start, chunk.end)


def _spanning(
    kind: ValueKind, chunks: Sequence[Chunk], place: int, used: int, forms: set[str]
) -> tuple[Value | None, int]:
    if not forms:
        return None, used
    return Value(kind, frozenset(forms), chunks[place].start, chunks[place + used - 1].end), used
