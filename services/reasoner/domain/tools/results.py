"""
What a tool's answer means, by a convention that any endpoint already keeps and a willing one can use in full.

The body is the result's `data`, as JSON or as text. Where it is a JSON object with the one key `holdfast`, that object
speaks by channels: `data` (may be shown to a model and cited), `metadata` (for the record alone), `fields`
(texts for templates), `guidelines` ([{condition, action}], for this turn only), `mode` (`auto` or `manual`, the
conversation's from now on).
"""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from services.reasoner.domain.reading import is_json, value_of
from shared.events.tools import ToolGuideline, ToolStatus
from shared.events.values import bounded

KEY: Final = "holdfast"
ERROR_CHARS_MAX: Final = 300
_CHANNELS: Final = re.compile(rf'\{{\s*"{KEY}"')
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
    """
    What an attempt to call a tool came to; the fields are those of `ToolResult`, and whether the answer spoke by
    channels.
    """

    status: ToolStatus
    data: JsonValue = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    guidelines: tuple[ToolGuideline, ...] = ()
    mode: str = ""
    error: str = ""
    by_channels: bool = False


def failed(error: str) -> Came:
    """A call that came to nothing, and changed nothing."""
    return Came(ToolStatus.FAILED, error=error[:ERROR_CHARS_MAX])


def unknown(error: str) -> Came:
    """A call of which nobody can tell whether it was executed."""
    return Came(ToolStatus.UNKNOWN, error=error[:ERROR_CHARS_MAX])


def executed(came: Came, *, consequential: bool) -> Came:
    """
    *came* of a call that the other side reports as made: where it changes something, that its words cannot be kept does
    not undo it.
    """
    return replace(came, status=ToolStatus.DONE) if consequential else came


def answered(content_type: str, content: bytes, *, text_speaks: bool = False) -> Came:
    """
    The result in a body that reports success; *text_speaks*: see `of_text`.
    """
    if not content.removeprefix(BOM_UTF8).strip():
        return Came(ToolStatus.DONE)
    if is_json(content_type):
        try:
            return of_value(value_of(content))
        except ValueError as error:
            return failed(f"the answer is no JSON that can be kept: {error}")
    try:
        return of_text(content.removeprefix(BOM_UTF8).decode("utf-8"), speaks=text_speaks)
    except UnicodeDecodeError:
        return failed("the answer is no UTF-8 text")


def rejected(status: int, content_type: str, content: bytes) -> Came:
    """The result in a body that reports failure by *status*: what it says of it by channels is kept."""
    said = answered(content_type, content)
    words = HTTPStatus(status).phrase if status in {known.value for known in HTTPStatus} else "unknown status"
    speaks = said.status is ToolStatus.DONE and said.by_channels
    return Came(
        ToolStatus.FAILED,
        data=said.data if speaks else None,
        metadata=said.metadata if speaks else {},
        error=f"HTTP {status} {words}",
    )


def of_text(text: str, *, speaks: bool = False) -> Came:
    """
    The result that a *text* is: the JSON in it, or itself.

    A text may be another's (a page that was fetched, a customer's words), so what it says by channels sets no field,
    guideline or mode unless the tool is declared to speak so (*speaks*); what it marks as metadata stays hidden all the
    same.
    """
    text = text.removeprefix("\ufeff").strip()
    if not text.startswith(("{", "[", '"')):
        return of_value(text)
    try:
        said = of_value(value_of(text.encode("utf-8", "replace")))
    except ValueError as error:
        return failed(f"the answer is no JSON that can be kept: {error}") if _CHANNELS.match(text) else of_value(text)
    return said if speaks or not said.by_channels else replace(said, fields={}, guidelines=(), mode="")


def of_value(value: object) -> Came:
    """The result that a JSON *value* is: by channels, or as data."""
    try:
        kept = bounded(value)
    except ValueError as error:
        return failed(f"the answer cannot be kept: {error}")
    if not isinstance(kept, dict) or kept.keys() != {KEY}:
        return Came(ToolStatus.DONE, data=kept)
    try:
        said = _Channels.model_validate(kept[KEY])
    except ValidationError as error:
        return failed(f"the answer's `{KEY}` is not as agreed: {_places(error)}")
    return Came(
        ToolStatus.DONE,
        data=said.data,
        metadata=said.metadata,
        fields=said.fields,
        guidelines=tuple(ToolGuideline(condition=g.condition, action=g.action) for g in said.guidelines),
        mode=said.mode,
        by_channels=True,
    )


def _places(error: ValidationError) -> str:
    """Which channels are wrong; names of the other side's own are not repeated, they may hold anything."""
    known = [str(item["loc"][0]) for item in error.errors(include_input=False) if item["loc"]]
    return ", ".join(dict.fromkeys(name if name in _Channels.model_fields else "another name" for name in known)) or KEY
