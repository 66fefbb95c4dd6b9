"""
The least answer that a schema allows: what the rehearsal model says where no rule is written.
"""

from collections.abc import Mapping
from typing import Any

DEPTH_MAX = 32


def least_answer(schema: Mapping[str, Any]) -> Any:
    """
    A value that satisfies *schema* (portable profile): the first of an enum, an empty list, "", 0, False.

    Raises:
        ValueError: the schema is recursive, or of a type outside the profile.

    """
    return _least(schema, schema.get("$defs", {}), 0)


def resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """*schema*, or what it refers to in *definitions*."""
    reference = schema.get("$ref")
    return schema if reference is None else definitions[str(reference).rsplit("/", 1)[-1]]


def _least(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise ValueError(f"the schema nests deeper than {DEPTH_MAX}")
    schema = resolve(schema, definitions)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: _least(inner, definitions, depth + 1) for name, inner in schema.get("properties", {}).items()}
    plain: dict[str, Any] = {"array": [], "string": "", "integer": 0, "number": 0.0, "boolean": False, "null": None}
    if not isinstance(kind, str) or kind not in plain:
        raise ValueError(f"a schema of type {kind!r} is outside the portable profile")
    return plain[kind]
