"""
What every body on the wire has in common.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON reader reads exactly (RFC 8259 §6)."""

IDENTIFIER_CHARS_MAX = 256
"""The longest identifier; as an attribute of other events it must fit their headers (`ATTRIBUTE_CHARS_MAX`)."""

Instant = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]
"""
An RFC 3339 time, whose offset is therefore told (one without would not compare with any other), and far enough from the
ends of Python's calendar that a duration can be added.
"""


def _fits_headers(identifier: str) -> str:
    if len(identifier) > IDENTIFIER_CHARS_MAX:
        raise ValueError(f"an identifier has at most {IDENTIFIER_CHARS_MAX} characters")
    return identifier


# A validator, not a bound of the schema, which released readers hold a record to and which may only grow.
Identifier = Annotated[str, AfterValidator(_fits_headers)]
"""What names a turn, a call or an event in the records about it."""


class Body(BaseModel):
    """
    A value on the wire: frozen, and lenient towards fields of a newer writer.

    A field's description, or the docstring below it, is what the documents say of it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class OpenEnum(StrEnum):
    """An enum whose readers take a value that they do not know for `other`; each subclass defines OTHER."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("other") if isinstance(value, str) and value != "other" else None
