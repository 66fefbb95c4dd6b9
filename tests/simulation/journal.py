"""
The real ledger with a journal: what it was asked in which order, so that a reader can repeat it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.conversations.domain.state import ConversationState
from services.conversations.stage import ConversationLedger
from shared.errors import Invalid
from shared.stage.base import Record, Transition


@dataclass(frozen=True, slots=True)
class Applied:
    """A record that the ledger applied at *now_ms*, knowing the playbooks published by *as_of*."""

    topic: str
    offset: int
    now_ms: int
    as_of: float


@dataclass(frozen=True, slots=True)
class Woken:
    """A key that the ledger woke at *now_ms*, knowing the playbooks published by *as_of*."""

    key: bytes
    now_ms: int
    as_of: float


class JournalledLedger:
    """*ledger*, each of whose inputs goes into the open journal of its task first."""

    def __init__(
        self,
        ledger: ConversationLedger,
        journals: dict[int, list[Any]],
        as_of: Callable[[], float],
        partition_of: Callable[[bytes], int],
    ) -> None:
        self._ledger = ledger
        self._journals = journals
        self._as_of = as_of
        self._partition_of = partition_of
        self.decode = ledger.decode
        self.encode = ledger.encode
        self.anew = ledger.anew
        self.forgets = ledger.forgets

    def apply(self, state: ConversationState | None, record: Record, now_ms: int) -> Transition[ConversationState]:
        """What follows from *record*; see `ConversationLedger.apply`."""
        journal = self._journals[record.partition]
        journal.append(Applied(record.topic, record.offset, now_ms, self._as_of()))
        try:
            return self._ledger.apply(state, record, now_ms)
        except Invalid:
            raise
        except Exception:
            journal.pop()  # it took no effect: the runtime tries it once more, and holds it then
            raise

    def wake(self, key: bytes, state: ConversationState, now_ms: int) -> Transition[ConversationState]:
        """What follows from the due time; see `ConversationLedger.wake`."""
        self._journals[self._partition_of(key)].append(Woken(key, now_ms, self._as_of()))
        return self._ledger.wake(key, state, now_ms)
