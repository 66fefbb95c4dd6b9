"""
The values that a text states: numbers, percentages, amounts of money, dates, times, identifiers, links. One pass,
no pattern.

Each value knows where it stands in the text, so that it can be replaced there, and how it reads (see `readings`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from services.verifier.domain.readings import (
    CURRENCIES,
    CURRENCY_SIGNS,
    MONTHS,
    NUMBER_WORDS,
    PERCENT_WORDS,
    SCALES,
    ascii_digits,
    date_form,
    date_forms,
    is_digits,
    link_form,
    number_forms,
    scaled,
    time_form,
)

TEXTS_KEPT_MAX = 4_096
"""Texts whose values are remembered: a playbook's facts come again with every turn."""
UNIT_LETTERS_MAX = 3
RUN_DIGITS_MIN = 7
"""Digits in groups are a telephone or account number from this many on, or when they begin with 0 or +."""
_OPENING: Final = "([{<\"'`*_~#\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}«„"
_CLOSING: Final = ")]}>\"'`*_~.,;:!?\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}»…"
_BREAKS: Final = frozenset("/|=\N{EN DASH}\N{EM DASH}")
_ORDINALS: Final = ("st", "nd", "rd", "th")
_GROUP_DIGITS = 3
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


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A piece of text without spaces, its punctuation stripped; `text` in ASCII digits."""

    text: str
    start: int
    end: int
    folded: str


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def values_in(text: str) -> tuple[Value, ...]:
    """The values of *text* in order."""
    chunks = _chunks(text)
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
    for value in values_in(text):
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


def _chunks(text: str) -> list[_Chunk]:
    chunks: list[_Chunk] = []
    end = 0
    for piece in text.split():
        start = text.index(piece, end)
        end = start + len(piece)
        chunks.extend(_pieces(text, start, end))
    return chunks


def _pieces(text: str, start: int, end: int) -> list[_Chunk]:
    """What stands at *start* to *end*, cut at dashes and slashes unless it is a link, a date or an identifier."""
    whole = _chunk(text, start, end)
    if whole is None:
        return []
    if whole.folded.isalpha() or link_form(whole.text) or not any(char.isdigit() for char in whole.text):
        return [whole]
    if date_forms(whole.text):
        return [whole]
    if _is_identifier(whole.text) and not any(char in _BREAKS for char in whole.text):
        return [whole]
    pieces, begin = [], start
    for place in range(start, end + 1):
        if place == end or text[place] in _BREAKS or _is_range_mark(text, place, start, end):
            pieces.append(_chunk(text, begin, place))
            begin = place + 1
    return [piece for piece in pieces if piece is not None]


def _is_range_mark(text: str, place: int, start: int, end: int) -> bool:
    inside = start < place < end - 1
    return inside and text[place] == "-" and text[place - 1].isalnum() and (text[place + 1].isalnum())


def _chunk(text: str, start: int, end: int) -> _Chunk | None:
    while start < end and text[start] in _OPENING:
        start += 1
    while end > start and text[end - 1] in _CLOSING:
        end -= 1
    if start == end:
        return None
    plain = ascii_digits(text[start:end])
    return _Chunk(plain, start, end, plain.casefold())


def _is_identifier(text: str) -> bool:
    """
    Letters and digits mixed, or a long number in groups: `RB-204`, `AB12`, `0800-555-0142`; not `10km`, not `3-5`.
    """
    joined = text.replace("-", "").replace("+", "")
    if is_digits(joined):
        return "-" in text.strip("-") and _is_run(text.startswith(("0", "+")), len(joined))
    number, unit = _number_and_unit(joined)
    return joined.isalnum() and any(char.isdigit() for char in joined) and not (number and unit)


def _is_run(leads: bool, digits: int) -> bool:
    return digits >= RUN_DIGITS_MIN or (leads and digits > UNIT_LETTERS_MAX)


def _number_and_unit(text: str) -> tuple[str, str]:
    """`10km` → (`10`, `km`); empty strings where *text* is no number with a short unit."""
    place = 0
    while place < len(text) and (text[place] in "0123456789.,'"):
        place += 1
    number, unit = text[:place], text[place:]
    if number and unit.isalpha() and len(unit) <= UNIT_LETTERS_MAX and number_forms(number):
        return number, unit
    return "", ""


def _read(chunks: Sequence[_Chunk], place: int) -> tuple[Value | None, int]:
    """The value that begins with the chunk at *place*, and how many chunks it takes."""
    chunk = chunks[place]
    if chunk.folded.isalpha():
        return _read_word(chunks, place)
    if form := link_form(chunk.text):
        return _value(ValueKind.LINK, chunk, {form}), 1
    if not any(char.isdigit() for char in chunk.text):
        return _read_word(chunks, place)
    for reader in (_read_date, _read_run, _read_time, _read_number):
        value, used = reader(chunks, place)
        if value is not None:
            return value, used
    joined = "".join(char for char in chunk.folded if char not in "-_")
    return _value(ValueKind.IDENTIFIER, chunk, {f"i:{joined}"}), 1


def _read_word(chunks: Sequence[_Chunk], place: int) -> tuple[Value | None, int]:
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


def _read_date(chunks: Sequence[_Chunk], place: int) -> tuple[Value | None, int]:
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


def _read_run(chunks: Sequence[_Chunk], place: int) -> tuple[Value | None, int]:
    """Digits in groups (a telephone number, `10 000`), or letters and digits followed by groups (an account number)."""
    chunk = chunks[place]
    lead = chunk.text.replace("-", "").lstrip("+")
    is_account = _is_identifier(chunk.text) and chunk.text[:1].isalpha()
    if not is_digits(lead) and not is_account:
        return None, 1
    groups = [lead]
    while is_digits(_folded(chunks, place + len(groups))) and _adjoin(chunks, place + len(groups)):
        groups.append(chunks[place + len(groups)].text)
    used = len(groups)
    leads = chunk.text.startswith(("0", "+"))
    if used > 1 and not is_account and not leads and _are_thousands(groups):
        value, more = _quantified(chunks, place + used - 1, number_forms("'".join(groups)))
        return value and replace(value, start=chunk.start), used - 1 + more
    in_groups = used > 1 or "-" in chunk.text.strip("-") or chunk.text.startswith("+")
    if not is_account and not (in_groups and _is_run(leads, sum(map(len, groups)))):
        return None, 1
    # A number may follow an identifier, or a year another number, and be no part of it.
    parts = () if leads else tuple(f"n:{form}" for group in groups[1:] for form in number_forms(group))
    first = (f"i:{lead.casefold()}" if is_account else f"n:{lead.lstrip('0')}",) if parts else ()
    end = chunks[place + used - 1].end
    form = f"i:{''.join(groups).casefold()}"
    return Value(ValueKind.IDENTIFIER, frozenset({form}), chunk.start, end, first + parts), used


def _are_thousands(groups: Sequence[str]) -> bool:
    return len(groups[0]) <= _GROUP_DIGITS and all(len(group) == _GROUP_DIGITS for group in groups[1:])


def _read_time(chunks: Sequence[_Chunk], place: int) -> tuple[Value | None, int]:
    chunk = chunks[place]
    for ending, meridiem in _MERIDIEMS.items():
        if chunk.folded.endswith(ending) and (form := time_form(chunk.folded.removesuffix(ending), meridiem)):
            return _value(ValueKind.TIME, chunk, {form}), 1
    meridiem = _MERIDIEMS.get(_folded(chunks, place + 1), "")
    if form := time_form(chunk.folded, meridiem):
        return _spanning(ValueKind.TIME, chunks, place, 2 if meridiem else 1, {form})
    return None, 1


def _read_number(chunks: Sequence[_Chunk], place: int) -> tuple[Value | None, int]:
    folded = chunks[place].folded
    for sign in CURRENCY_SIGNS:
        bare = folded.removeprefix(sign).removesuffix(sign)
        if bare != folded and (forms := number_forms(bare)):
            return _quantified(chunks, place, forms, currency=CURRENCIES[sign])
    if folded.endswith("%") and (forms := number_forms(folded[:-1])):
        return _value(ValueKind.PERCENT, chunks[place], {f"p:{form}" for form in forms}), 1
    bare = next((folded.removesuffix(end) for end in _ORDINALS if folded.endswith(end)), folded)
    if forms := number_forms(bare):
        return _quantified(chunks, place, forms)
    for code in (folded[:3], folded[-3:]):
        if code in CURRENCIES and (forms := number_forms(folded.removeprefix(code).removesuffix(code))):
            return _quantified(chunks, place, forms, currency=CURRENCIES[code])
    number, unit = _number_and_unit(folded)
    if number:
        forms = number_forms(number)
        forms = frozenset(scaled(form, SCALES[unit]) for form in forms) if unit in SCALES else forms
        return _value(ValueKind.NUMBER, chunks[place], {f"n:{form}" for form in forms}), 1
    return None, 1


def _quantified(
    chunks: Sequence[_Chunk], place: int, numbers: frozenset[str], currency: str = ""
) -> tuple[Value | None, int]:
    """The number at *place* with what follows it: a scale, then a currency or a percent word."""
    used = 1
    scale = SCALES.get(_folded(chunks, place + used))
    if scale is not None:
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


def _with_year(chunks: Sequence[_Chunk], place: int, day: int, month: int) -> tuple[str, int]:
    year = _folded(chunks, place)
    if is_digits(year) and len(year) == 4:  # noqa: PLR2004
        return date_form(day, month, year), 1
    return date_form(day, month), 0


def _adjoin(chunks: Sequence[_Chunk], place: int) -> bool:
    """Whether one character at most stands between a chunk and the one before it, so that no punctuation parts them."""
    return chunks[place].start - chunks[place - 1].end <= 1


def _folded(chunks: Sequence[_Chunk], place: int) -> str:
    return chunks[place].folded if place < len(chunks) else ""


def _value(kind: ValueKind, chunk: _Chunk, forms: set[str]) -> Value:
    return Value(kind, frozenset(forms), chunk.start, chunk.end)


def _spanning(
    kind: ValueKind, chunks: Sequence[_Chunk], place: int, used: int, forms: set[str]
) -> tuple[Value | None, int]:
    if not forms:
        return None, used
    return Value(kind, frozenset(forms), chunks[place].start, chunks[place + used - 1].end), used
