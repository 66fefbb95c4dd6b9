"""
How the parts of a playbook name each other: `card-lost` (a guideline), `tag:cards` (all that bear the tag),
`any:cards` (any that bears it), `journey:return`.
"""

from enum import StrEnum
from typing import NamedTuple

PATTERN = r"^((tag|any|journey):)?[a-z0-9][a-z0-9_-]{0,63}$"


class ReferenceKind(StrEnum):
    """What a reference names."""

    GUIDELINE = "guideline"
    TAG = "tag"
    ANY = "any"
    JOURNEY = "journey"


class Reference(NamedTuple):
    """A name with what it names."""

    kind: ReferenceKind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind is ReferenceKind.GUIDELINE else f"{self.kind}:{self.name}"


def reference(text: str) -> Reference:
    """The reference that *text*, which fits `PATTERN`, stands for."""
    kind, separator, name = text.partition(":")
    return Reference(ReferenceKind(kind), name) if separator else Reference(ReferenceKind.GUIDELINE, text)
