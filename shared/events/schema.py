"""
The closed JSON Schemas that writers hold themselves to; readers are the more lenient models.

A record that its schema allows is read by every reader of the same major version, older or newer.
"""

from typing import Any

from shared.events.base import Body
from shared.events.topics import TOPICS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAJOR_VERSION = 1
"""Of all event types together: a change that older readers cannot take needs new types beside the old ones."""


def event_types() -> dict[str, type[Body]]:
    """Every CloudEvents type that travels, with its body."""
    return {name: body for topic in TOPICS.values() for name, body in topic.types.items()}


def writer_schema(event_type: str) -> dict[str, Any]:
    """
    The schema of the body of *event_type*: every object closed, whatever has a default optional.

    Raises:
        KeyError: no such type.

    """
    schema = event_types()[event_type].model_json_schema()
    return {
        "$schema": DIALECT,
        "$id": f"urn:holdfast:event:{event_type}:v{MAJOR_VERSION}",
        **_closed(schema),
    }


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _kept(name, part) for name, part in schema.items() if name != "title" or not isinstance(part, str)}
    if schema.get("type") == "object" and "properties" in schema:
        closed["additionalProperties"] = False
    return closed


def _kept(name: str, part: Any) -> Any:
    # Under these, names are the contract's own: a property may be called `title`.
    if name in {"properties", "$defs"}:
        return {inner: _closed(held) for inner, held in part.items()}
    return part if name in {"default", "enum", "required"} else _closed(part)
