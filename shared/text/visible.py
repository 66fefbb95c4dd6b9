"""
Characters that a text holds and nobody sees, or that show it other than it is: controls, directional overrides, what
Unicode has programs ignore by default, annotations, noncharacters and halves of surrogate pairs.

A newline and a tab stay. Joiners, variation selectors, directional marks and tags stay where the writing needs them:
joiners by RFC 5892 A.1 and A.2 and inside emoji, selectors after what has variants, marks beside punctuation of a line
that runs from right to left, tags in the flags that UTS 51 recommends.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import idna.core
from icu4py.breakers import CharacterBreaker

_JOINERS: Final = "\u200c\u200d"
_MARKS: Final = "\u200e\u200f\u061c"
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f"
_TAGS: Final = "\U000e0020-\U000e007f"
_LINE_BREAKS: Final = frozenset("\r\x0b\x0c\x85\u2028\u2029")
# Controls; format characters and default ignorables but for the above; annotations; surrogates; noncharacters.
_NEVER: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff0-\ufffb\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
_SOMETIMES: Final = re.compile(f"[{_JOINERS}{_MARKS}{_SELECTORS}{_TAGS}]")
_HEART: Final = "\N{HEAVY BLACK HEART}"
_TONES: Final = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_EMOJI_SELECTORS: Final = "\ufe0e\ufe0f"
_KEYCAP: Final = "\u20e3"
_BLACK_FLAG: Final = "\N{WAVING BLACK FLAG}"
# England, Scotland and Wales: the others are seen as a black flag.
_FLAG_TAGS: Final = tuple(
    "".join(chr(0xE0000 + ord(char)) for char in region) + "\U000e007f" for region in ("gbeng", "gbsct", "gbwls")
)
# Letters without case, and symbols: the categories of all standardized variants but that of the zero.
_VARYING: Final = frozenset({"Lo", "Sm", "So", "Po", "Pi", "Pf"})
_JOINING_REACH: Final = 32
"""Marks between a joiner and its letter beyond which it joins nothing."""
_EMOJI_REACH: Final = 3

_Put = Callable[[str], str]


def cleaned(text: str) -> str:
    """*text* without what it hides, and with each kind of line break as a newline."""
    return _replaced(text.replace("\r\n", "\n"), _blank)


def bare(text: str) -> str:
    """*text* cleaned, and without what its writing needs and nobody sees: for comparing."""
    return _SOMETIMES.sub("", _NEVER.sub(lambda match: _blank(match[0]), text.replace("\r\n", "\n")))


def shown(text: str) -> str:
    """*text* for a terminal or a person who decides: what it hides stands as `‹U+202E›`."""
    return _replaced(text, lambda char: f"‹{_code(char)}›")


def hidden(text: str) -> tuple[str, ...]:
    """What *text* hides, each different character once, as `U+202E`, in the order of their appearance."""
    codes: dict[str, None] = {}

    def put(char: str) -> str:
        codes[_code(char)] = None
        return char

    _replaced(text, put)
    return tuple(codes)


def _blank(char: str) -> str:
    return "\n" if char in _LINE_BREAKS else ""


def _code(char: str) -> str:
    return f"U+{ord(char):04X}"


def _replaced(text: str, put: _Put) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = _NEVER.sub(lambda match: put(match[0]), text)
    if _SOMETIMES.search(text) is None:
        return text
    return "\n".join(_of_line(line, put) for line in text.split("\n"))


def _of_line(line: str, put: _Put) -> str:
    marked = any(mark in line for mark in _MARKS)
    right_to_left = marked and any(unicodedata.bidirectional(char) in {"R", "AL"} for char in line if char.isalpha())

    def kept(match: re.Match[str]) -> str:
        return match[0] if _needed(line, match.start(), right_to_left=right_to_left) else put(match[0])

    return _SOMETIMES.sub(kept, line)


def _needed(line: str, place: int, *, right_to_left: bool) -> bool:
    char = line[place]
    if char in _JOINERS:
        return _joins(line, place) or (char == "\u200d" and _joins_emoji(line, place))
    if char in _MARKS:
        return right_to_left and _directs(line, place)
    if "\U000e0020" <= char <= "\U000e007f":
        return _in_flag(line, place)
    return _selects(line, place)


def _joins(line: str, place: int) -> bool:
    start = max(place - _JOINING_REACH, 0)
    try:
        return idna.core.valid_contextj(line[start : place + _JOINING_REACH], place - start)
    except ValueError:  # beside a character without a name
        return False


def _joins_emoji(line: str, place: int) -> bool:
    before = line[max(place - _EMOJI_REACH, 0) : place].rstrip(_EMOJI_SELECTORS + _TONES)
    return before != "" and pictographic(before[-1]) and pictographic(line[place + 1 : place + 2])


def _directs(line: str, place: int) -> bool:
    """Whether a directional mark stands at something that has no direction of its own, and by itself."""
    beside = (line[place - 1 : place] if place else "", line[place + 1 : place + 2])
    if any(char and _SOMETIMES.match(char) for char in beside):
        return False
    return not all(char and char.isalnum() for char in beside)


def _in_flag(line: str, place: int) -> bool:
    start = line.rfind(_BLACK_FLAG, max(place - len(_FLAG_TAGS[0]), 0), place)
    return start >= 0 and line.startswith(_FLAG_TAGS, start + 1)


def _selects(line: str, place: int) -> bool:
    base = line[place - 1 : place] if place else ""
    if not base:
        return False
    char = line[place]
    if char in _EMOJI_SELECTORS:
        return pictographic(base) or (base in "0123456789#*" and line.startswith(_KEYCAP, place + 1))
    if char >= "\U000e0100":
        return unicodedata.name(base, "").startswith("CJK")
    if char < "\ufe00":
        return unicodedata.name(base, "").startswith("MONGOLIAN") and base.isalnum()
    return base == "0" or (not base.isascii() and unicodedata.category(base) in _VARYING)


@lru_cache(maxsize=4_096)
def pictographic(char: str) -> bool:
    """Whether *char* is an emoji that joins with others; False for an empty text."""
    return char != "" and len(list(CharacterBreaker(f"{char}\u200d{_HEART}", "en").segments())) == 1
