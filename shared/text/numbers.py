"""
How numbers are written: in the digits of every script, grouped by commas, points, apostrophes or spaces, with a sign or
a fraction. Every function is linear in its input.
"""

import re
import unicodedata
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

DIGITS_MAX: Final = 28
"""A longer number is compared digit by digit and never scaled."""
_THOUSAND_DIGITS: Final = 3
_INDIAN_DIGITS: Final = 2
_DECIMALS: Final = 1_000
_REACH: Final = 16
"""Spaces before a dash beyond which no number stands at its other side."""
_APOSTROPHES: Final = "'\N{RIGHT SINGLE QUOTATION MARK}"
_SEPARATORS: Final = frozenset(f",.{_APOSTROPHES}")
_SIGNS: Final = {
    **dict.fromkeys("\u2010\u2011\u2012\u2212\ufe63\uff0d", "-"),
    "\N{ARABIC DECIMAL SEPARATOR}": ".",
    "\N{ARABIC THOUSANDS SEPARATOR}": ",",
    "\N{ARABIC PERCENT SIGN}": "%",
    "\N{WAVE DASH}": "~",
}
_GROUPED: Final = re.compile(r"(?<![\w.,'’+])(?<!\w-)(?<![0-9]\s)[1-9][0-9]{0,2}(?:\s[0-9]{3})+(?!\s?[0-9])")
_DASHED: Final = re.compile(r"(?<![^\s(])[-–](?=[0-9])")


def figures(text: str) -> str:
    """
    *text*, of the same length, in a uniform notation of numbers: ASCII digits and signs, groups of thousands joined by
    apostrophes instead of spaces, `-` before what is negative and `–` between the ends of a range where spaces stand.
    """
    if not text.isascii():
        text = "".join(map(_figure, text))
    if "-" in text or "–" in text:
        text = _DASHED.sub(_signed, text)
    return _GROUPED.sub(_joined, text)


def has_figures(text: str) -> bool:
    """Whether a digit or a fraction stands in *text*."""
    return any(char.isdecimal() or is_fraction(char) for char in text)


def is_digits(text: str) -> bool:
    """Whether *text* is one or more of `0` to `9`."""
    return text.isascii() and text.isdigit()


def is_fraction(char: str) -> bool:
    """Whether *char* is a fraction in one character, such as ½."""
    return not char.isascii() and unicodedata.decomposition(char).startswith("<fraction>")


def number_forms(text: str) -> frozenset[str]:
    """
    The values that *text* (digits and separators `, . '`, perhaps a sign or a fraction) may have: two where `1.250`
    could be either; none where it is no number.
    """
    sign, digits = ("-" if text[0] == "-" else "", text[1:]) if text[:1] in {"-", "+"} else ("", text)
    if digits and is_fraction(digits[-1]):
        return frozenset(sign + value for value in _mixed(digits[:-1], digits[-1]))
    if not digits or not (is_digits(digits[0]) and is_digits(digits[-1])):
        return frozenset()
    if any(char not in _SEPARATORS and not is_digits(char) for char in digits):
        return frozenset()
    groups, marks = _split(digits)
    if "" in groups:
        return frozenset()
    return frozenset(sign + value for value in _values(groups, marks))


def canonical(whole: str, fraction: str = "") -> str:
    """A decimal number without idle zeros."""
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def scaled(number: str, scale: int) -> str:
    """*number* times *scale*; what has more than DIGITS_MAX digits, or no decimal value, stays as it is."""
    if len(number) > DIGITS_MAX or "/" in number:
        return number
    whole, _, fraction = f"{Decimal(number) * scale:f}".partition(".")
    sign = "-" if whole.startswith("-") else ""
    return sign + canonical(whole.lstrip("-"), fraction)


@lru_cache(maxsize=4_096)
def _figure(char: str) -> str:
    if char.isascii():
        return char
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char in _SIGNS:
        return _SIGNS[char]
    if unicodedata.decomposition(char).startswith(("<wide>", "<narrow>")):
        return unicodedata.normalize("NFKC", char)[:1]
    return char


def _signed(match: re.Match[str]) -> str:
    before = match.string[max(match.start() - _REACH, 0) : match.start()].rstrip()
    return "–" if before[-1:].isdecimal() else "-"


def _joined(match: re.Match[str]) -> str:
    return "'".join(match[0].split())


def _split(digits: str) -> tuple[list[str], list[str]]:
    groups, marks, start = [], [], 0
    for place, char in enumerate(digits):
        if char in _SEPARATORS:
            groups.append(digits[start:place])
            marks.append("'" if char in _APOSTROPHES else char)
            start = place + 1
    groups.append(digits[start:])
    return groups, marks


def _values(groups: list[str], marks: list[str]) -> list[str]:
    if not marks:
        return [canonical(groups[0])]
    if len(set(marks)) == 1 and _are_groups(groups) and groups[0] != "0":
        whole = canonical("".join(groups))
        # One point and three digits, as in 1.250: a thousand in German, a decimal in English; .000 is never a decimal.
        decimal = len(marks) == 1 and marks[0] == "." and groups[1] != "000"
        return [whole, canonical(groups[0], groups[1])] if decimal else [whole]
    if len(marks) == 1:
        return [canonical(groups[0], groups[1])] if marks[0] != "'" else []
    if len(set(marks[:-1])) == 1 and marks[-1] != marks[0] and _are_groups(groups[:-1]) and marks[-1] != "'":
        return [canonical("".join(groups[:-1]), groups[-1])]
    return []


def _are_groups(groups: list[str]) -> bool:
    """Whether *groups* are thousands (1,234,567) or, as in India, hundreds above the first thousand (12,34,567)."""
    first, *middle = groups[:-1]
    if len(groups[-1]) != _THOUSAND_DIGITS:
        return False
    if all(len(group) == _THOUSAND_DIGITS for group in middle) and 1 <= len(first) <= _THOUSAND_DIGITS:
        return True
    return bool(middle) and all(len(group) == _INDIAN_DIGITS for group in (first.rjust(_INDIAN_DIGITS), *middle))


def _mixed(whole: str, fraction: str) -> list[str]:
    if whole and not is_digits(whole):
        return []
    part = Fraction(unicodedata.numeric(fraction)).limit_denominator(10)
    if _DECIMALS % part.denominator:
        return [f"{canonical(whole)} {part.numerator}/{part.denominator}"]
    return [canonical(whole, str(part.numerator * _DECIMALS // part.denominator).rjust(3, "0"))]
