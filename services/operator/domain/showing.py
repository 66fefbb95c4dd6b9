"""
Bytes from outside as a terminal may show them: whole or cut, never as control sequences, and hidden where asked.
"""

import base64
import binascii
import json
from enum import StrEnum
from typing import Any

from rich.markup import escape

from shared.text import visible

SHOWN_CHARS_MAX = 4_000
HIDDEN = "•••"
OPEN_NAMES = frozenset({"agent", "author", "mode", "stage", "result", "outcome", "epoch", "leg", "sequence", "id"})
"""Fields of a body whose values tell nothing about a customer."""


class Form(StrEnum):
    """How bytes that are no text are shown."""

    HEX = "hex"
    BASE64 = "base64"


def shown(value: bytes | None, *, form: Form = Form.HEX, reveal: bool = False, chars_max: int = SHOWN_CHARS_MAX) -> str:
    """
    *value* for people: JSON with what customers said hidden, other text by its length, bytes as *form*.

    With *reveal* everything is shown, what a terminal would act upon as `printable` tells it; beyond *chars_max* it is
    cut, and says so.
    """
    if value is None:
        return "(no value)"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _cut(_binary(value, form), chars_max) if reveal else f"({len(value):,} bytes that are no text; --reveal)"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return _cut(printable(text), chars_max) if reveal else f"({len(text):,} characters that are no JSON; --reveal)"
    return _cut(json.dumps(body if reveal else hidden(body), ensure_ascii=False, indent=2), chars_max, escape=True)


def hidden(body: Any) -> Any:
    """*body* with the same shape, its texts hidden but for those of `OPEN_NAMES`, its numbers kept."""
    if isinstance(body, dict):
        return {
            name: value if name in OPEN_NAMES and isinstance(value, str | int) else hidden(value)
            for name, value in body.items()
        }
    if isinstance(body, list):
        return [hidden(part) for part in body]
    return f"{HIDDEN} {len(body)} characters" if isinstance(body, str) else body


def printable(text: str) -> str:
    """*text* with what a terminal would act upon, or not show, as `‹U+202E›`; line ends and tabs stay."""
    return visible.shown(text)


def marked(text: str) -> str:
    """`printable`, for a place where rich reads markup: nothing in *text* is taken for any."""
    return escape(printable(text))


def json_text(value: Any) -> str:
    """*value* as JSON, for programs and people: what a terminal would act upon, or not show, stands as an escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    for code in visible.hidden(text):
        char = chr(int(code.removeprefix("U+"), 16))
        text = text.replace(char, json.dumps(char)[1:-1])
    return text


def _binary(value: bytes, form: Form) -> str:
    if form is Form.BASE64:
        return base64.b64encode(value).decode()
    return binascii.hexlify(value, " ", 2).decode()


def _cut(text: str, chars_max: int, *, escape: bool = False) -> str:
    text = printable(text) if escape else text
    return text if len(text) <= chars_max else f"{text[:chars_max]} … and {len(text) - chars_max:,} characters more"
