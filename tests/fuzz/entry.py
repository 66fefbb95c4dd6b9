"""
One thing that comes in from outside: its body and what stands around it, whatever door it comes to.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from services.operator.faults.mutation import Headers, mutated, mutated_headers, mutated_text

HEADERS_SHARE = 0.25
BODY_BYTES_MAX = 1_000_000
"""What a broker takes in a record, and clients in an answer."""
KEY_SHARE = 0.03
STATUS_SHARE = 0.1
STATUSES = (200, 200, 200, 201, 204, 206, 299, 301, 400, 404, 408, 418, 425, 429, 500, 503, 599, 999)


@dataclass(frozen=True, slots=True)
class Entry:
    """
    *kind* is what it comes as (a topic, an API, a file). *key* is a record's; *status* an answer's.
    """

    kind: str
    body: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    status: int = 200


def hostile(entry: Entry, source: Random, others: Sequence[Entry]) -> Entry:
    """*entry* as a hostile sender would have it; *others* are of its kind."""
    changed = entry
    if source.random() < HEADERS_SHARE:
        changed = replace(changed, headers=mutated_headers(changed.headers, source))
    if source.random() < KEY_SHARE and changed.key is not None:
        key = mutated_text(changed.key.decode(), source).encode("utf-8", "surrogatepass")
        changed = replace(changed, key=source.choice((key, None, b"")))
    if source.random() < STATUS_SHARE:
        changed = replace(changed, status=source.choice(STATUSES))
    if changed == entry or source.random() < 0.85:
        body = mutated(changed.body or b"", source, [one.body or b"" for one in others])
        changed = replace(changed, body=body[:BODY_BYTES_MAX] if source.random() < 0.995 else None)
    return changed


def dump(entries: Sequence[Entry]) -> str:
    """*entries* as a file that `load` reads, and a person too where they are text."""
    return json.dumps([_shown(entry) for entry in entries], indent=1)


def load(text: str) -> list[Entry]:
    """The entries that `dump` wrote."""
    return [
        Entry(
            kind=held["kind"],
            body=_bytes(held["body"]),
            key=_bytes(held["key"]),
            headers=tuple((name, _bytes(value)) for name, value in held["headers"]),
            status=held["status"],
        )
        for held in json.loads(text)
    ]


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "body": _text(entry.body),
        "key": _text(entry.key),
        "headers": [[name, _text(value)] for name, value in entry.headers],
        "status": entry.status,
    }


def _text(data: bytes | None) -> str | dict[str, str] | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(held: str | dict[str, str] | None) -> bytes | None:
    if held is None:
        return None
    return held.encode() if isinstance(held, str) else base64.b64decode(held["base64"])
