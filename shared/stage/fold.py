"""
The fold of a ledger task's inputs: pure bookkeeping between a ledger and the transactions that make its work durable.

What inputs change is gathered into a *group*, which commits as one transaction. `seal` closes the group and hands its
records and offsets out; inputs that come meanwhile go into the next; `settle` says that the sealed one is committed.
When a transaction's end is in doubt the whole fold is thrown away and built anew from what is committed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from shared.broker.clients import RECORD_BYTES_MAX
from shared.broker.topics import DEAD_LETTER_BYTES_MAX
from shared.errors import Fatal, HoldfastError, Invalid
from shared.events.codec import Headers
from shared.stage.base import Ledger, Output, Record, Transition
from shared.stage.dead_letters import without_value
from shared.stage.hops import wrote
from shared.stage.ports import Committed, Position
from shared.stage.state import Change, KeyedState
from shared.stage.timers import Timers
from shared.telemetry.spans import Hop

S = TypeVar("S")

DUE_HEADER = "due"
"""
The changelog header with a key's due time (unix milliseconds, decimal): timers are restored without decoding states.
"""

_BATCH_OVERHEAD_BYTES = 512
"""What a record batch of one adds to its record, generously: 61 bytes of batch header and the varints of the record."""

_OUTPUT_BYTES_MAX = RECORD_BYTES_MAX - _BATCH_OVERHEAD_BYTES
_LETTER_BYTES_MAX = DEAD_LETTER_BYTES_MAX - _BATCH_OVERHEAD_BYTES


class Applied(StrEnum):
    """What became of an input: it changed something, or nothing, is dead-lettered, or had been folded in before."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    PASSED = "passed"


class InputFailedError(HoldfastError):
    """
    A ledger failed at an input in a way that it does not promise; `where` names the input, the same at each
    attempt.
    """

    def __init__(self, where: str, error: Exception) -> None:
        # The cause's own words may quote a customer: they stay with the cause.
        super().__init__(f"the ledger failed at {where} with {type(error).__name__}")
        self.where = where


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


class Fold(Generic[S]):
    """
    One task's inputs, folded: each at once, into the state in memory, and into the group that is being filled.

    *positions* is the next offset of every input topic. *reject* makes the dead letter of a record that the ledger
    called invalid, and may raise `Fatal` when there are too many. A record at *condemned* is dead-lettered whatever
    it raises. *hop* makes the beginning of an input's span, where spans are wanted; `None` stands for a wake.
    """

    def __init__(
        self,
        ledger: Ledger[S],
        state: KeyedState[S],
        timers: Timers,
        *,
        task: int,
        changelog: str,
        positions: Mapping[str, int],
        accept: Callable[[], None],
        reject: Callable[[Record, Invalid], Output],
        records_max: int,
        bytes_max: int,
        condemned: str | None = None,
        hop: Callable[[Record | None], Hop] | None = None,
    ) -> None:
        self.state = state
        self.timers = timers
        self.positions = dict(positions)
        self._ledger = ledger
        self._task = task
        self._changelog = changelog
        self._accept = accept
        self._reject = reject
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._condemned = condemned
        self._hop = hop
        self._group = CommitGroup()
        self._moved: set[str] = set()
        self._changed = False

    @property
    def full(self) -> bool:
        """The group has reached its bound: seal it before the next input."""
        group = self._group
        return group.records + group.wakes >= self._records_max or group.size_bytes >= self._bytes_max

    @property
    def urgent(self) -> bool:
        """The group holds something that others wait for, not offsets alone."""
        return self._changed or bool(self._group.outputs)

    @property
    def pending(self) -> bool:
        """There is something to commit."""
        return bool(self._moved) or self.urgent

    def apply(self, record: Record, now_ms: int) -> Applied:
        """
        Fold *record* in; one that was folded before is passed over.

        Raises:
            InputFailedError: the ledger raised what it does not promise; the fold must be thrown away.
            Fatal: too many records are rejected.

        """
        if record.offset < self.positions[record.topic]:
            return Applied.PASSED
        try:
            state = None if record.key is None else self.state.get(record.key)
        except Exception as error:
            raise InputFailedError(_place(record), error) from error
        group = self._group
        try:
            transition = self._ledger.apply(state, record, now_ms)
            size_bytes = _checked(record.key, transition)
        except Invalid as error:
            applied = Applied.REJECTED
            self._dead_letter(record, error)
        except Exception as error:
            if _place(record) != self._condemned:
                raise InputFailedError(_place(record), error) from error
            applied = Applied.REJECTED
            self._dead_letter(record, Invalid("unexpected_error", f"the ledger failed with {type(error).__name__}"))
        else:
            key = record.key
            if key is not None and (transition.state is not state or transition.due_ms != self.timers.due_of(key)):
                self._change(key, transition)
            applied = Applied.CHANGED if transition.state is not state or transition.outputs else Applied.UNCHANGED
            group.outputs += transition.outputs
            group.size_bytes += size_bytes
            self._begin_hop(record, transition)
            self._accept()
        self.positions[record.topic] = record.offset + 1
        self._moved.add(record.topic)
        group.records += 1
        group.size_bytes += len(record.value) if record.value is not None else 0
        return applied

    def wake(self, now_ms: int) -> bool:
        """
        Wake the key whose due time came first; false when none has come.

        Raises:
            InputFailedError: the ledger failed, or wants to be woken at the same due time for ever.

        """
        due = self.timers.pop_due(now_ms)
        if due is None:
            return False
        due_ms, key = due
        try:
            transition, size_bytes = self._woken(key, due_ms, now_ms)
        except Exception as error:
            raise InputFailedError(f"the timer of {key!r}, due {due_ms}, task {self._task}", error) from error
        self._change(key, transition)
        self._group.outputs += transition.outputs
        self._group.size_bytes += size_bytes
        self._group.wakes += 1
        self._begin_hop(None, transition)
        return True

    def seal(self) -> CommitGroup | None:
        """
        Close the group that is being filled; `None` when it holds nothing.

        Raises:
            Fatal: a state has outgrown what the broker takes in one record.

        """
        if not self.pending:
            return None
        group, self._group = self._group, CommitGroup()
        group.progress = {Position(topic, self._task): Committed(self.positions[topic]) for topic in self._moved}
        group.outputs += [self._changelog_record(change) for change in self.state.seal()]
        self._moved = set()
        self._changed = False
        return group

    def settle(self) -> None:
        """The sealed group is committed."""
        self.state.settle()

    def _woken(self, key: bytes, due_ms: int, now_ms: int) -> tuple[Transition[S], int]:
        state = self.state.get(key)
        if state is None:
            raise LookupError("a due time without a state; the changelog was written by something else")
        transition = self._ledger.wake(key, state, now_ms)
        size_bytes = _checked(key, transition)
        if transition.due_ms is not None and transition.due_ms <= due_ms:
            raise ValueError(f"the ledger left the due time at {transition.due_ms}; a wake must clear or advance it")
        return transition, size_bytes

    def _begin_hop(self, record: Record | None, transition: Transition[S]) -> None:
        if self._hop is None or not transition.outputs:
            return
        hop = self._hop(record)
        hop.read = hop.read or transition.traceparent
        hop.wrote = wrote(transition.outputs)
        self._group.hops.append(hop)

    def _change(self, key: bytes, transition: Transition[S]) -> None:
        self._group.size_bytes += self.state.put(key, transition.state, transition.due_ms)
        self.timers.schedule(key, transition.due_ms)
        self._changed = True

    def _dead_letter(self, record: Record, error: Invalid) -> None:
        letter = self._reject(record, error)
        group = self._group
        group.outputs.append(without_value(letter) if _size((letter,)) > _LETTER_BYTES_MAX else letter)
        group.rejected.append(error.reason)

    def _changelog_record(self, change: Change) -> Output:
        headers: Headers = () if change.due_ms is None else ((DUE_HEADER, str(change.due_ms).encode()),)
        output = Output(self._changelog, change.key, change.value, headers)
        if (size_bytes := _size((output,))) > _OUTPUT_BYTES_MAX:
            raise Fatal(
                f"the state of {change.key!r} in task {self._task} is {size_bytes} bytes; the broker takes "
                f"{_OUTPUT_BYTES_MAX} in one record of {self._changelog}. Bound what the ledger keeps per key."
            )
        return output


def due_of(headers: Headers) -> int | None:
    """
    The due time in a changelog record's *headers*.

    Raises:
        ValueError: it is not a number.

    """
    for name, value in headers:
        if name == DUE_HEADER:
            return int(value)
    return None


def _place(record: Record) -> str:
    return f"{record.topic}, partition {record.partition}, offset {record.offset}"


def _checked(key: bytes | None, transition: Transition[S]) -> int:
    """The bytes of the outputs of *transition*, which is one that a ledger may make."""
    if transition.state is None:
        if transition.due_ms is not None:
            raise ValueError("a transition deletes the state and still wants to be woken")
    elif key is None:
        raise Invalid("missing_key", "the record has no key, so there is no state that it could change")
    size_bytes = _size(transition.outputs)
    if size_bytes > _OUTPUT_BYTES_MAX and (largest := max(_size((o,)) for o in transition.outputs)) > _OUTPUT_BYTES_MAX:
        raise Invalid(
            "output_too_large",
            f"the record makes an output of {largest} bytes; the broker takes at most {_OUTPUT_BYTES_MAX}",
        )
    return size_bytes


def _size(outputs: tuple[Output, ...]) -> int:
    """The bytes of *outputs*. The records of a transition often share their headers: those are measured once."""
    size_bytes = headers_bytes = 0
    measured: Headers | None = None
    for output in outputs:
        if output.headers is not measured:
            measured = output.headers
            headers_bytes = 0
            for name, value in measured:
                headers_bytes += len(name) + len(value)
        size_bytes += headers_bytes + len(output.key or b"") + len(output.value or b"")
    return size_bytes
