"""
How the numbers, dates and amounts of different notations read: canonical forms that are equal when the values are.

A form is a letter for its kind and the value: `n:4.5`, `m:EUR:4.5`, `p:5`, `d:2026-05-01`, `d:--05-01`, `t:09:00`,
`i:ab123`, `l:example.com/a`. Every function is linear in its input.
"""

import unicodedata
from decimal import Decimal
from typing import Final

DIGITS_MAX = 28
"""A longer number is compared digit by digit and never scaled."""

CURRENCIES: Final = {
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR",
    "$": "USD", "us$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD",
    "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP",
    "¥": "JPY", "jpy": "JPY", "yen": "JPY",
    "₹": "INR", "inr": "INR", "rupee": "INR", "rupees": "INR",
    "chf": "CHF", "franc": "CHF", "francs": "CHF",
    "cent": "CENT", "cents": "CENT", "pence": "PENCE", "penny": "PENCE",
}  # fmt: skip
CURRENCY_SIGNS: Final = ("us$", "€", "$", "£", "¥", "₹")
SCALES: Final = {"hundred": 100, "thousand": 1_000, "k": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
PERCENT_WORDS: Final = frozenset({"%", "percent", "pct"})
NUMBER_WORDS: Final = {
    word: number
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
} | {"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90}
MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"),
            ("july", "jul"), ("august", "aug"), ("september", "sep", "sept"), ("october", "oct"), ("november", "nov"),
            ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip
_SEPARATORS: Final = frozenset(",.'\N{RIGHT SINGLE QUOTATION MARK}")
_THOUSAND_DIGITS = 3
_HOURS, _MINUTES = 24, 60
_YEAR_DIGITS = 4


def ascii_digits(text: str) -> str:
    """*text* in compatible characters, with the decimal digits of every script as `0` to `9`."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() and char > "9" else char for char in plain)


def is_digits(text: str) -> bool:
    """Whether *text* is one or more of `0` to `9`."""
    return text.isascii() and text.isdigit()


def number_forms(text: str) -> frozenset[str]:
    """
    The values that *text* (digits and separators `, . '`, perhaps a sign) may have: two where `1.250` could be
    either; none where it is no number.
    """
    sign, digits = ("-", text[1:]) if text[:1] in {"-", "\N{MINUS SIGN}"} and len(text) > 1 else ("", text)
    if not digits or not (digits[0] in "0123456789" and digits[-1] in "0123456789"):
        return frozenset()
    if any(char not in _SEPARATORS and not is_digits(char) for char in digits):
        return frozenset()
    groups, marks = _split(digits)
    if "" in groups:
        return frozenset()
    return frozenset(sign + value for value in _values(groups, marks))


def _split(digits: str) -> tuple[list[str], list[str]]:
    groups, marks, start = [], [], 0
    for place, char in enumerate(digits):
        if char in _SEPARATORS:
            groups.append(digits[start:place])
            marks.append("'" if char not in ",." else char)
            start = place + 1
    groups.append(digits[start:])
    return groups, marks


def _values(groups: list[str], marks: list[str]) -> list[str]:
    grouped = all(len(group) == _THOUSAND_DIGITS for group in groups[1:]) and 1 <= len(groups[0]) <= _THOUSAND_DIGITS
    if not marks:
        return [canonical(groups[0])]
    if len(set(marks)) == 1 and grouped and groups[0] != "0":
        whole = canonical("".join(groups))
        # One point and three digits, as in 1.250: a thousand in German, a decimal in English; .000 is never a decimal.
        decimal = len(marks) == 1 and marks[0] == "." and groups[1] != "000"
        return [whole, canonical(groups[0], groups[1])] if decimal else [whole]
    if len(marks) == 1:
        return [canonical(groups[0], groups[1])] if marks[0] != "'" else []
    thousands = all(len(group) == _THOUSAND_DIGITS for group in groups[1:-1])
    if len(set(marks[:-1])) == 1 and marks[-1] != marks[0] and thousands and marks[-1] != "'":
        return [canonical("".join(groups[:-1]), groups[-1])]
    return []


def canonical(whole: str, fraction: str = "") -> str:
    """A decimal number without idle zeros."""
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def scaled(number: str, scale: int) -> str:
    """*number* times *scale*; a number of more than DIGITS_MAX digits stays as it is."""
    if len(number) > DIGITS_MAX:
        return number
    whole, _, fraction = f"{Decimal(number) * scale:f}".partition(".")
    sign = "-" if whole.startswith("-") else ""
    return sign + canonical(whole.lstrip("-"), fraction)


def time_form(text: str, meridiem: str = "") -> str:
    """
    The form of a time of day: `9:00`, `18:30`, or a bare hour when *meridiem* (`am`, `pm`) is given; empty if none.
    """
    hour, mark, minute = text.partition(":")
    if not (is_digits(hour) and len(hour) <= 2 and (mark or meridiem)):  # noqa: PLR2004
        return ""
    if mark and not (is_digits(minute) and len(minute) == 2):  # noqa: PLR2004
        return ""
    hours, minutes = int(hour), int(minute or 0)
    if meridiem and 1 <= hours <= _HOURS // 2:
        hours = hours % 12 + (12 if meridiem == "pm" else 0)
    return f"t:{hours:02}:{minutes:02}" if hours <= _HOURS and minutes < _MINUTES else ""


def date_forms(text: str) -> frozenset[str]:
    """
    The dates that *text* may be: `2026-05-01`, `1.5.2026`, `1/5/2026` (day or month first); none if it is no date.
    """
    for mark in "-./":
        parts = text.split(mark)
        if len(parts) == 3 and all(is_digits(part) and len(part) <= _YEAR_DIGITS for part in parts):  # noqa: PLR2004
            first, second, third = parts
            if len(first) == _YEAR_DIGITS:
                return _dates([(third, second)], first)
            if len(third) == _YEAR_DIGITS and mark != "-":
                return _dates([(first, second), (second, first)] if mark == "/" else [(first, second)], third)
    return frozenset()


def date_form(day: int, month: int, year: str = "") -> str:
    """The form of a date, with or without its year; empty if there is no such day."""
    return f"d:{year or '-'}-{month:02}-{day:02}" if 1 <= day <= 31 and 1 <= month <= 12 else ""  # noqa: PLR2004


def _dates(pairs: list[tuple[str, str]], year: str) -> frozenset[str]:
    return frozenset(form for day, month in pairs if (form := date_form(int(day), int(month), year)))


def link_form(text: str) -> str:
    """The form of a web or mail address; empty if *text* is none."""
    folded = text.casefold()
    if "://" in folded or folded.startswith("www."):
        return "l:" + folded.split("://", 1)[-1].removeprefix("www.").rstrip("/")
    head, at, domain = folded.partition("@")
    if at:
        return f"l:{folded}" if head and _is_host(domain) else ""
    host, slash, _ = text.partition("/")
    return "l:" + folded.rstrip("/") if _is_host(host) and (slash or host == host.casefold()) else ""


def _is_host(text: str) -> bool:
    labels = text.split(".")
    top = labels[-1]
    return (
        len(labels) > 1
        and top.isalpha()
        and top.isascii()
        and len(top) > 1
        and all(len(label) > 1 and label.replace("-", "a").isalnum() for label in labels[:-1])
    )
