"""
What every body on the wire has in common.
"""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict

INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON reader reads exactly (RFC 8259 §6)."""


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
