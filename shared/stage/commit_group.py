"""
What a fold gathers for one transaction, and what it says of each input meanwhile.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.errors import HoldfastError, Invalid
from shared.stage.base import Output, Record
from shared.stage.ports import Committed, Position
from shared.telemetry.spans import Hop


class Applied(StrEnum):
    """
    What became of an input: it changed something, or nothing, is dead-lettered, held as its key is in quarantine, or
    had been folded in before.
    """

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    HELD = "held"
    PASSED = "passed"


class StateFailedError(HoldfastError):
    """
    The state of `key` cannot be written as it is by now, so the group that it belongs to cannot commit; `error` names
    the kind of failure.
    """

    def __init__(self, key: bytes, error: str) -> None:
        super().__init__(f"the state of {key!r} cannot be written: {error}")
        self.key = key
        self.error = error


@dataclass(slots=True)
class CommitGroup:
    """What commits in one transaction: records to write, offsets reached, and how many inputs and bytes that took."""

    outputs: list[Output] = field(default_factory=list)
    progress: dict[Position, Committed] = field(default_factory=dict)
    records: int = 0
    wakes: int = 0
    rejected: list[str] = field(default_factory=list)
    """The reasons of the records that are dead-lettered."""
    size_bytes: int = 0
    hops: list[Hop] = field(default_factory=list)
    """The inputs that something is written of, where spans are wanted."""


class Letters(Protocol):
    """Who makes dead letters of records."""

    def rejected(self, record: Record, error: Invalid) -> Output:
        """The letter of a *record* that the ledger called invalid."""
        ...

    def held(self, record: Record, error: Invalid) -> Output:
        """The letter of a *record* whose key is in quarantine."""
        ...
