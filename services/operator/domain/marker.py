"""
What the newest record of a conversation tells the operator: was the conversation erased, and is nothing left of it?

The conversations service alone writes and reads the states (services/conversations/domain/state.py, whose format a
contract test holds this to), and the observer its rows; here only the names of what they hold are looked at.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.stage.base import Record

KEPT = frozenset({"v", "epoch", "seen", "touched_ms", "retire_ms", "erased_at_ms"})
"""What an erased conversation's state may hold: counts, times, and digests of event ids. Nothing that was said."""


@dataclass(frozen=True, slots=True)
class StateHead:
    """
    The names in a state's first line, how many messages follow it, and when it was erased (0: it was not).

    `readable` is false of a record that is no state of a conversation.
    """

    names: tuple[str, ...]
    messages: int
    erased_at_ms: int
    readable: bool = True

    @property
    def is_empty_marker(self) -> bool:
        """Whether nothing is left but the marker of an erasure."""
        return self.erased_at_ms > 0 and not self.messages and set(self.names) <= KEPT


def head_of(value: bytes | None) -> StateHead | None:
    """The head of a state; None of a tombstone, behind which nothing is known of the conversation any more."""
    if value is None:
        return None
    first, *messages = value.split(b"\n")
    try:
        head: dict[str, Any] = json.loads(first)
        return StateHead(tuple(head), len(messages), int(head.get("erased_at_ms", 0)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return StateHead((), 0, 0, readable=False)


def forgotten_by_observer(value: bytes | None) -> bool:
    """Whether a row of the observer's table of conversations tells nothing but that the conversation was erased."""
    if value is None:
        return True
    try:
        return bool(json.loads(value)["erased"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def erased_among(states: Iterable[Record]) -> dict[bytes, int]:
    """
    By key, when the conversations of *states* were erased, of those that were: unix milliseconds. A state that cannot
    be read is that of none.
    """
    found: dict[bytes, int] = {}
    for record in states:
        head = head_of(record.value)
        if record.key is not None and head is not None and head.erased_at_ms:
            found[record.key] = head.erased_at_ms
    return found
