"""
How the numbers, dates and amounts of different notations read: canonical forms that are equal when the values are.

A form is a letter for its kind and the value: `n:4.5`, `m:EUR:4.5`, `p:5`, `d:2026-05-01`, `d:--05-01`, `t:09:00`,
`i:ab123`, `l:example.com/a`. Every function is linear in its input.
"""

import unicodedata
from typing import Final

from shared.text.numbers import is_digits

CURRENCIES: Final = {
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR",
    "$": "USD", "us$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD",
    "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP",
    "¥": "JPY", "jpy": "JPY", "yen": "JPY", "円": "JPY",
    "cny": "CNY", "yuan": "CNY", "元": "CNY", "圆": "CNY",
    "₩": "KRW", "krw": "KRW", "원": "KRW",
    "฿": "THB", "thb": "THB", "baht": "THB", "บาท": "THB",
    "₹": "INR", "inr": "INR", "rupee": "INR", "rupees": "INR",
    "₽": "RUB", "₺": "TRY", "₪": "ILS",
    "chf": "CHF", "franc": "CHF", "francs": "CHF",
    "cent": "CENT", "cents": "CENT", "pence": "PENCE", "penny": "PENCE",
}  # fmt: skip
CURRENCY_SIGNS: Final = ("us$", *(name for name in CURRENCIES if unicodedata.category(name[0]) == "Sc"))
SCALES: Final = {
    "hundred": 100, "thousand": 1_000, "k": 1_000, "million": 1_000_000, "billion": 1_000_000_000,
    "百": 100, "백": 100, "千": 1_000, "천": 1_000,
    "万": 10_000, "萬": 10_000, "만": 10_000, "億": 100_000_000, "亿": 100_000_000, "억": 100_000_000,
}  # fmt: skip
PERCENT_WORDS: Final = frozenset({"%", "percent", "pct", "パーセント", "퍼센트"})
YEARS: Final = frozenset("年년")
MONTH_MARKS: Final = frozenset("月월")
DAY_MARKS: Final = frozenset("日号일")
HOUR_MARKS: Final = frozenset("時时시")
MINUTE_MARKS: Final = frozenset("分분")
AFTERNOONS: Final = ("午後", "下午", "오후")
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
_HOURS, _MINUTES = 24, 60
_YEAR_DIGITS = 4


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
