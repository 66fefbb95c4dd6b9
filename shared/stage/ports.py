"""
What the runtimes need of a broker; `kafka` implements it with aiokafka, `memory` in memory for tests and simulation.

A *task* is one partition number across all input topics of a stage: co-partitioned, always owned together.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.events.codec import Headers
from shared.stage.base import Output, Record


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A partition of a topic (plain name, without the namespace)."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed offset (the next to read) with its metadata."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """
    The log of `position` does not have `asked`, the next offset to read; it is read from `first`, where it begins.

    That lies behind `asked` where records were deleted, and before it where the log begins anew: its topic was
    recreated, or it was cut off when it had no replica in step.
    """

    position: Position
    asked: int
    first: int

    @property
    def begins_anew(self) -> bool:
        """Whether offsets that were read before come once more, with other records."""
        return self.first < self.asked

    @property
    def lost(self) -> int:
        """How many offsets are lost; 1 of a log that begins anew, where nobody can tell."""
        return 1 if self.begins_anew else self.first - self.asked


class Listener(Protocol):
    """
    Who is told of rebalances; one call at a time. The group stays a live member (heartbeats go on) during both.

    From the beginning of `revoked` until a position is resumed again, `fetch` returns nothing of it.
    """

    async def revoked(self, tasks: frozenset[int]) -> None:
        """
        All *tasks* are in doubt: the group rebalances, and some of them may come back. Commits are still accepted.
        """
        ...

    async def assigned(self, tasks: frozenset[int]) -> None:
        """
        Exactly *tasks* are owned now; they are paused until the listener seeks and resumes them.

        Cancelled where the group rebalances meanwhile; `revoked` follows, then `assigned` anew.
        """
        ...

    def missed(self, gap: Gap) -> None:
        """
        A position that `fetch` reads has a gap. `fetch` calls this before it returns what lies behind.
        """
        ...


class Group(Protocol):
    """A process's membership in a consumer group over co-partitioned topics."""

    async def start(self, listener: Listener) -> None: ...

    async def stop(self) -> None:
        """Leave the group."""
        ...

    async def fetch(self, *, records_max: int, wait_seconds: float) -> Sequence[Record]:
        """
        Records of the partitions that are not paused, in offset order within each; empty after *wait_seconds*.

        Raises:
            Retryable: not now.
            OwnershipLost: the membership is broken beyond repair: stop this group and start another.
            Fatal: this process may not read what it should.

        """
        ...

    def pause(self, positions: Iterable[Position]) -> None: ...

    def resume(self, positions: Iterable[Position]) -> None: ...

    def seek(self, position: Position, offset: int) -> None: ...

    async def committed(self, positions: Iterable[Position]) -> dict[Position, Committed]:
        """What the group has committed; a position without is absent. Read it only after fencing the former owner."""
        ...

    async def commit(self, progress: Mapping[Position, Committed]) -> None:
        """
        Commit *progress*.

        Raises:
            Retryable: not now (the group rebalances, the coordinator moves).
            OwnershipLost: this member no longer belongs to the group's generation.

        """
        ...

    async def beginning(self, positions: Iterable[Position]) -> dict[Position, int]:
        """The first offset that each position still has."""
        ...


class Producer(Protocol):
    """An idempotent producer."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, outputs: Sequence[Output], partition: int) -> None:
        """
        Write *outputs* in order to *partition* of their topics, and return when all are acknowledged.

        Raises:
            Retryable: not now; what was written of *outputs* is unknown.
            Invalid: an output can never be written (`output_too_large`).
            Fatal: this process may not write, or a topic lacks the partition.

        """
        ...


class TransactionalProducer(Protocol):
    """The producer of one ledger task; starting it fences every former one of the same id."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def transact(self, outputs: Sequence[Output], partition: int, progress: Mapping[Position, Committed]) -> None:
        """
        Write *outputs* to *partition* of their topics and commit *progress*, all or nothing.

        Raises:
            OwnershipLost: another process has taken the task over, or nobody can tell whether the transaction took
            effect. Retryable: the transaction was aborted; whether it took effect is known: it did not. Invalid: an
            output can never be written (`output_too_large`); the transaction was aborted.

        """
        ...


class Changelog(Protocol):
    """Reads a compacted topic's partition from its beginning to its present (committed) end."""

    def read(self, topic: str, partition: int) -> AsyncIterator[tuple[bytes, bytes | None, Headers]]: ...


class Broker(Protocol):
    """Everything that a stage needs of a broker."""

    def group(self, name: str, topics: Sequence[str]) -> Group: ...

    def producer(self) -> Producer: ...

    def transactional_producer(self, transactional_id: str, *, group: str) -> TransactionalProducer:
        """A producer that commits its progress for *group*."""
        ...

    def changelog(self) -> Changelog: ...
