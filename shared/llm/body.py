"""
The JSON object in the body of a success, as servers and the proxies before them send it.

Taken as sent: a byte order mark, white space and comments that keep a connection alive, NaN, half a surrogate pair,
bytes that are no UTF-8, a list of one, and an event stream although none was asked for.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pydantic_core import from_json

Assemble = Callable[[Sequence[dict[str, Any]]], dict[str, Any] | None]

EVENTS_MAX: Final = 100_000
"""Of a stream; what follows is passed over."""
_FIELDS: Final = ("data:", "event:", "id:", "retry:", ":")
_DONE: Final = "[DONE]"


def no_stream(_: Sequence[dict[str, Any]]) -> None:
    """The `Assemble` of an API whose answers are no streams."""


def document_in_body(body: bytes, assemble: Assemble) -> dict[str, Any] | None:
    """The object that *body* holds, with *assemble* put together of a stream's events; None where it holds none."""
    text = body.decode("utf-8-sig", "replace").strip()
    if text.startswith(_FIELDS):
        return _streamed(text, assemble)
    document = _json(text)
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    return document if isinstance(document, dict) else None


def _streamed(text: str, assemble: Assemble) -> dict[str, Any] | None:
    events = [event for event in _events(text) if isinstance(event, dict)]
    if events:
        return assemble(events)
    # Comments alone, and then a plain document.
    lines = _lines(text)
    begins = next((number for number, line in enumerate(lines) if line and not line.startswith(_FIELDS)), len(lines))
    document = _json("\n".join(lines[begins:]))
    return document if isinstance(document, dict) else None


def _events(text: str) -> Iterator[Any]:
    data: list[str] = []
    told = 0
    for line in (*_lines(text), ""):
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            joined, data = "\n".join(data), []
            told += 1
            if joined.strip() != _DONE and told <= EVENTS_MAX:
                yield _json(joined)


def _lines(text: str) -> list[str]:
    # Not splitlines: JSON may hold U+2028 as it is.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _json(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        pass
    try:
        # The standard library takes half a surrogate pair, which then has no UTF-8 form, and is replaced.
        return from_json(json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
