"""
A blueprint: the ordered queries that a model answers, as a JSON Schema in the portable profile.

ARQ (Karov, Zohar, Marcovitz 2025, arXiv 2503.03669) keeps a model's attention by letting it restate what matters right
before it decides. That works only when the keys come in the order written here, all of them, and nothing else: the
profile that every provider enforces is a closed object, every property required, no defaults, no bounds, unions or
recursion, conclusion last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Answer = TypeVar("Answer", bound="Queries")

_KEPT = ("type", "properties", "required", "items", "enum", "description", "additionalProperties", "$ref", "$defs")


class Queries(BaseModel):
    """
    Base of every model answer: closed, no defaults, fields in the order in which they are to be answered.

    Subclasses are never themselves subclassed: inherited fields would come first and break the order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Blueprint(Generic[Answer]):
    """
    A named, versioned answer model.

    `name` is sent as the schema's name (letters, digits and `_`, with its version: `match_guidelines_v1`) and tells the
    rehearsal model which rules to answer by.

    `choices` names string properties (or lists of strings) and the only values that they may take in this question,
    such as the numbers of the facts that it shows. The schema says so; endpoints that do not enforce schemas may ignore
    it, so the caller checks the answer. An endpoint compiles every new schema: let the values be few and recurring
    (`F1` to `Fn`).
    """

    name: str
    answer: type[Answer]
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def schema(self) -> dict[str, Any]:
        """The answer's JSON Schema in the portable profile."""
        schema = portable(self.answer.model_json_schema())
        for name, values in self.choices:
            if values:
                _restrict(schema, name, values)
        return schema


def portable(schema: dict[str, Any]) -> dict[str, Any]:
    """
    *schema* reduced to what every provider enforces: closed objects, all properties required, no titles, bounds or
    defaults.

    Raises:
        ValueError: the schema uses a construct that cannot be enforced everywhere: a union, an open object, a value
        of any
            type, a recursion.

    """
    _refuse_recursion(schema.get("$defs", {}))
    return _portable(schema)


def _portable(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema or "oneOf" in schema or "allOf" in schema:
        raise ValueError(f"unions are not portable: {schema}")
    kept: dict[str, Any] = {}
    for key in _KEPT:
        if key in schema:
            kept[key] = _portable_value(key, schema[key])
    if "const" in schema:
        kept |= {"type": "string", "enum": [schema["const"]]}
    if not kept.keys() & {"type", "$ref", "enum"} or (kept.get("type") == "array" and "items" not in kept):
        raise ValueError(f"a value of any type is not portable: {schema}")
    if kept.get("type") == "object":
        if "properties" not in kept:
            raise ValueError("an object without named properties is not portable")
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return kept


def _restrict(schema: dict[str, Any], name: str, values: tuple[str, ...]) -> None:
    """Let every property *name* within *schema* take only *values*."""
    for inner in schema.get("$defs", {}).values():
        _restrict(inner, name, values)
    for key, inner in schema.get("properties", {}).items():
        strings = inner.get("items", inner)
        if key == name and strings.get("type") == "string":
            strings["enum"] = list(values)
        else:
            _restrict(strings, name, values)


def _portable_value(key: str, value: Any) -> Any:
    if key in {"properties", "$defs"}:
        return {name: _portable(inner) for name, inner in value.items()}
    return _portable(value) if key == "items" else value


def _refuse_recursion(definitions: dict[str, Any], path: tuple[str, ...] = ()) -> None:
    for name in _references(definitions[path[-1]]) if path else definitions:
        if name in path:
            raise ValueError(f"recursion is not portable: {' → '.join((*path, name))}")
        _refuse_recursion(definitions, (*path, name))


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)
