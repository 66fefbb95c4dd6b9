"""
What a service implements: a handler (concurrent stage) or a ledger (ledger stage). Nothing here knows Kafka.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from shared.events.codec import Headers

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Record:
    """
    One record as it was read. `topic` is the plain name, without the namespace. `fresh` tells that it was written
    within a second or so before it was read; where it is false nothing is known. `unreadable` says why the client could
    not decode what lies at `offset`, and is empty else; such a record is dead-lettered, and handed to nobody.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    fresh: bool = field(default=False, compare=False)
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """
    One record to write; it goes to the partition number of the task that made it. Without a key it needs a value.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Handler(Protocol):
    """The work of a concurrent stage."""

    def observe(self, record: Record) -> None:
        """
        Take note of *record*: called for each record of the inputs and of the watched topics, in partition order, as
        soon as it is fetched and before its turn to be handled comes; once more where it is fetched again, and also for
        records of a task that was lost meanwhile. Must be quick and must not raise.
        """
        ...

    async def handle(self, record: Record) -> Sequence[Output]:
        """
        The outputs that follow from *record*. One record of a key at a time, in order; different keys at once.

        May be cancelled when the task is lost, and called again with the same record: delivery is at least once.

        Raises:
            Retryable: the key waits and *record* is tried again, up to a limit; then it is given up.
            Invalid: *record* is dead-lettered, and given up.
            Fatal, MemoryError: the stage must not go on.
            Anything else is unexpected: *record* is tried again, up to a small limit; then it is given up.

        """
        ...

    def given_up(self, record: Record, reason: str) -> Sequence[Output]:
        """
        What is to be written because nothing more is done with *record*, for *reason* (a bounded word); nothing where
        nobody waits for it: then it is dead-lettered. May raise, which counts as nothing.
        """
        ...

    def acknowledged(self, record: Record) -> None:
        """
        The outputs of *record* are in the log: from now on a repetition of it needs no work. Must be quick, must not
        raise.
        """
        ...


@dataclass(frozen=True, slots=True)
class Transition(Generic[State]):
    """
    What follows from one input: the key's new state (`None` deletes it), when the key wants to be woken (unix
    milliseconds; `None` is never), and the records to write. All of it commits, or nothing. `traceparent` is the trace
    context that a wake's outputs continue; a record carries its own.
    """

    state: State | None
    due_ms: int | None = None
    outputs: tuple[Output, ...] = ()
    traceparent: str = ""


class Ledger(Protocol[State]):
    """
    The truth of a ledger stage: a pure function of a key's state and an input. No I/O, no clock, no randomness.

    A state is a value that is never changed in place; returning the same object says that nothing changed.
    """

    def decode(self, data: bytes) -> State:
        """The state that `encode` wrote, or an older release did."""
        ...

    def encode(self, state: State) -> bytes:
        """*state* as it goes into the changelog."""
        ...

    def apply(self, state: State | None, record: Record, now_ms: int) -> Transition[State]:
        """
        What follows from *record*.

        Raises:
            Invalid: *record* is dead-lettered, in the same transaction; the state stays as it was.

        """
        ...

    def wake(self, key: bytes, state: State, now_ms: int) -> Transition[State]:
        """What follows from the due time of *state* having come."""
        ...

    def anew(self, now_ms: int) -> Transition[State]:
        """
        What a key begins with whose state is given up; it stands for no state as well, where a value has to. Its
        `state` is never `None`.
        """
        ...

    def forgets(self, record: Record) -> bool:
        """Whether *record* asks to forget its key: then it takes effect though the key is in quarantine."""
        ...
