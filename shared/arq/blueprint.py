"""
A blueprint: the ordered queries that a model answers, as a JSON Schema in the portable profile.

ARQ (Karov, Zohar, Marcovitz 2025, arXiv 2503.03669) keeps a model's attention by letting it restate what matters right
before it decides. That works only when the keys come in the order written here, all of them, and nothing else: the
profile that every provider enforces is a closed object, every property required, no defaults, no bounds, unions or
recursion, conclusion last.
"""

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
    """

    name: str
    answer: type[Answer]

    def schema(self) -> dict[str, Any]:
        """The answer's JSON Schema in the portable profile."""
        return portable(self.answer.model_json_schema())


def portable(schema: dict[str, Any]) -> dict[str, Any]:
    """
    *schema* reduced to what every provider enforces: closed objects, all properties required, no titles, bounds or
    defaults.

    Raises:
        ValueError: the schema uses a construct that cannot be enforced everywhere (a union, an open object).

    """
    if "anyOf" in schema or "oneOf" in schema or "allOf" in schema:
        raise ValueError(f"unions are not portable: {schema}")
    kept: dict[str, Any] = {}
    for key in _KEPT:
        if key in schema:
            kept[key] = _portable_value(key, schema[key])
    if "const" in schema:
        kept |= {"type": "string", "enum": [schema["const"]]}
    if kept.get("type") == "object":
        if "properties" not in kept:
            raise ValueError("an object without named properties is not portable")
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return kept


def _portable_value(key: str, value: Any) -> Any:
    if key in {"properties", "$defs"}:
        return {name: portable(inner) for name, inner in value.items()}
    return portable(value) if key == "items" else value
