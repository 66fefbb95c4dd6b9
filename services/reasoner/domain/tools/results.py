"""
What a tool's answer means, by a convention that any endpoint already keeps and a willing one can use in full.

The body is the result's `data`, as JSON or as text. Where it is a JSON object with the one key `holdfast`, the object
below that speaks by channels: `data` (may be shown to a model and cited), `metadata` (for the record alone), `fields`
(texts for templates), `guidelines` ([{condition, action}], for this turn only), `mode` (`auto` or `manual`, the
conversation's from now on).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json

from shared.events.tools import ToolGuideline, ToolStatus

KEY: Final = "holdfast"
ERROR_CHARS_MAX: Final = 300
_Text = Annotated[str, Field(max_length=1_000)]


class _Guideline(BaseModel):
    model_config = ConfigDict(extra="forbid")
    condition: _Text = ""
    action: Annotated[str, Field(min_length=1, max_length=1_000)]


class _Channels(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data: JsonValue = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    fields: dict[Annotated[str, Field(max_length=64)], _Text] = Field(default_factory=dict, max_length=50)
    guidelines: tuple[_Guideline, ...] = Field((), max_length=5)
    mode: Literal["", "auto", "manual"] = ""


@dataclass(frozen=True, slots=True)
class Came:
    """What an attempt to call a tool came to; the fields are those of `ToolResult`."""

    status: ToolStatus
    data: JsonValue = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    guidelines: tuple[ToolGuideline, ...] = ()
    mode: str = ""
    error: str = ""


def failed(error: str) -> Came:
    """A call that came to nothing, and changed nothing."""
    return Came(ToolStatus.FAILED, error=error[:ERROR_CHARS_MAX])


def unknown(error: str) -> Came:
    """A call of which nobody can tell whether it was executed."""
    return Came(ToolStatus.UNKNOWN, error=error[:ERROR_CHARS_MAX])


def answered(content_type: str, content: bytes) -> Came:
    """The result in a body that reports success."""
    kind = content_type.partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if not content.strip():
        return Came(ToolStatus.DONE)
    if not is_json and (kind.startswith("text/") or content.lstrip()[:1] not in b'{["'):
        return _of_text(content)
    try:
        return of_value(from_json(content, allow_inf_nan=False))
    except ValueError:
        return failed("the answer is no JSON") if is_json else _of_text(content)


def rejected(status: int, content_type: str, content: bytes) -> Came:
    """The result in a body that reports failure by *status*: what it says of it by channels is kept."""
    said = answered(content_type, content)
    words = HTTPStatus(status).phrase if status in {known.value for known in HTTPStatus} else "unknown status"
    speaks = said.status is ToolStatus.DONE and _has_channels(content)
    return Came(
        ToolStatus.FAILED,
        data=said.data if speaks else None,
        metadata=said.metadata if speaks else {},
        error=f"HTTP {status} {words}",
    )


def of_value(value: JsonValue) -> Came:
    """The result that a JSON *value* is: by channels, or as data."""
    if not isinstance(value, dict) or value.keys() != {KEY}:
        return Came(ToolStatus.DONE, data=value)
    try:
        said = _Channels.model_validate(value[KEY])
    except ValidationError as error:
        places = "; ".join(".".join(map(str, item["loc"])) or KEY for item in error.errors()[:3])
        return failed(f"the answer's `{KEY}` is not as agreed: {places}")
    return Came(
        ToolStatus.DONE,
        data=said.data,
        metadata=said.metadata,
        fields=said.fields,
        guidelines=tuple(ToolGuideline(condition=g.condition, action=g.action) for g in said.guidelines),
        mode=said.mode,
    )


def _has_channels(content: bytes) -> bool:
    try:
        value: Any = from_json(content, allow_inf_nan=False)
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() == {KEY}


def _of_text(content: bytes) -> Came:
    try:
        return Came(ToolStatus.DONE, data=content.decode("utf-8").strip())
    except UnicodeDecodeError:
        return failed("the answer is no UTF-8 text")
