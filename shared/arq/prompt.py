"""
A prompt as named sections: what is fixed first, what changes last, so that providers can cache the shared prefix.

A section holds either prose or data. Data is JSON, so that text written by customers and authors can neither break out
of its section nor be mistaken for an instruction, and braces in it mean nothing: no prompt text is ever `.format`-ted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

SECTION_OPEN = "<section name={name}>"
SECTION_CLOSE = "</section>"

# What opens markup, and what some reader takes for the end of a line (JSON escapes the control characters itself).
_ESCAPED: Final = {ord(char): f"\\u{ord(char):04x}" for char in "<\x7f\x85\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Section:
    """A named part of a prompt; `data`, where given, is rendered as one JSON document after `text`."""

    name: str
    text: str = ""
    data: Mapping[str, Any] | Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a model call."""

    role: Literal["system", "user"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """
    What a model is asked: `static` sections (rules, schema notes, the tenant's catalogue) are the same for many turns
    and come first; `dynamic` sections (history, then what this turn adds) follow.
    """

    static: tuple[Section, ...]
    dynamic: tuple[Section, ...]

    def messages(self) -> tuple[Message, ...]:
        """The prompt as a system message (static part) and a user message (dynamic part)."""
        return (Message("system", render(self.static)), Message("user", render(self.dynamic)))


def render(sections: Sequence[Section]) -> str:
    """The sections in order, each within its markers."""
    return "\n\n".join(_render(section) for section in sections)


def parse(text: str) -> dict[str, Any]:
    """
    The data of every section in *text* that has data, by section name: the inverse of `render`.

    Only lines that are markers count: JSON is written on one line with `<` escaped, so no data can hold a marker.
    """
    found: dict[str, Any] = {}
    name = None
    for line in text.split("\n"):
        if line.startswith("<section name=") and line.endswith(">"):
            name = json.loads(line[len("<section name=") : -1])
        elif line == SECTION_CLOSE:
            name = None
        elif name is not None and line[:1] in ("{", "["):
            found[name] = json.loads(line)
    return found


def _render(section: Section) -> str:
    lines = [SECTION_OPEN.format(name=json.dumps(section.name))]
    if section.text:
        lines.append(section.text)
    if section.data is not None:
        lines.append(as_data(section.data))
    return "\n".join([*lines, SECTION_CLOSE])


def as_data(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """*value* as one line of JSON in which no markup can open: `<` and line separators are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPED)
