"""
The limits that keep a conversation's state, and what is written about it, of bounded size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from shared.errors import Fatal

RECORD_BYTES_MAX = 1_000_000
"""Of a value, below the brokers' 1,048,576 with room for key, headers and the batch's own bytes."""
EVENT_ID_BYTES_MAX = 256
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
MESSAGES_MAX = 500
"""Of a transcript: the widest window that a playbook may ask for."""
VARIABLE_SET_AT_BYTES = 36
"""Of a variable's time on `turns.opened`, beside its name: an RFC 3339 time, quotes, colon and comma."""
_ID_BYTES = 2 * EVENT_ID_BYTES_MAX + 3
"""As JSON: quotes and backslashes are escaped."""
_SEEN_BYTES = 28
_PERFORMED_BYTES = IDENTIFIER_BYTES_MAX + 64
_PLACE_BYTES = 32
"""Of a message's place in the platform's numbering and its tokens, beside the message."""
_REST_BYTES = 16_384
"""Of all that is of fixed size: the turn, names, times, marks."""


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
        """
        The limits among *settings*.

        Raises:
            Fatal: a conversation at these limits would not fit a record.

        """
        bounds = cls(**{limit.name: settings[limit.name] for limit in fields(cls)})
        if (needed_bytes := bounds.state_bytes_max) > RECORD_BYTES_MAX:
            raise Fatal(
                f"a conversation at its limits takes {needed_bytes} bytes, and a record holds {RECORD_BYTES_MAX}; lower"
                " HOLDFAST_CONVERSATIONS_HISTORY_BYTES_MAX, or another of its sizes"
            )
        return bounds

    @property
    def state_bytes_max(self) -> int:
        """The most that a state within these limits takes, and any `turn.opened` of it, as there is less in that."""
        ids = 2 * self.covers_max  # those that wait, and those that a superseded turn left
        return (
            self.history_bytes_max
            + self.variables_bytes_max
            + self.journeys_bytes_max
            + self.calls_bytes_max
            + ids * _ID_BYTES
            + self.applied_max * _PERFORMED_BYTES
            + self.seen_events_max * _SEEN_BYTES
            + MESSAGES_MAX * _PLACE_BYTES
            + _REST_BYTES
        )
