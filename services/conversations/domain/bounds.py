"""
The limits that keep a conversation's state, and what is written about it, of bounded size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

EVENT_ID_CHARS_MAX = 256
"""Longer event ids, and unprintable ones, are refused: they are repeated in every record about their turn."""
REASON_CHARS_MAX = 128
CALL_ID_CHARS_MAX = 64
"""Of a tool call's id, which is an approval's as well, and of a claimant's word."""
REPLY_BYTES_MAX = 131_072
"""A verified reply beyond this is refused; playbooks allow 20,000 characters at most."""
SETTLE_CAP = 5
"""A burst that never pauses opens its turn after so many settle times all the same."""
IDENTIFIER_BYTES_MAX = 64
"""Of a guideline's id, as the playbook limits it; a longer one is not remembered as performed."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    The configured limits; their meaning stands at the settings of the same names.
    """

    covers_max: int
    seen_events_max: int
    history_bytes_max: int
    variables_bytes_max: int
    applied_max: int
    journeys_bytes_max: int
    calls_max: int
    calls_bytes_max: int
    legs_max: int
    grant_seconds: float
    erasure_retention_seconds: float
    idle_retention_seconds: float

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The limits among *settings*."""
        return cls(**{limit.name: settings[limit.name] for limit in fields(cls)})
