"""
The fold of a ledger task's inputs: pure bookkeeping between a ledger and the transactions that make its work durable.

What inputs change is gathered into a *group*, which commits as one transaction. `seal` closes the group and hands its
records and offsets out; inputs that come meanwhile go into the next; `settle` says that the sealed one is committed.
When a transaction's end is in doubt the whole fold is thrown away and built anew from what is committed.

An input at which the ledger fails unexpectedly (anything but `Invalid`) is tried once more, on the state decoded anew,
for the fault may have been the memory's; when it fails again its key goes into quarantine (quarantine.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

from shared.errors import Invalid
from shared.events.codec import Headers
from shared.events.release import ConversationReleased
from shared.stage.base import Ledger, Output, Record, Transition
from shared.stage.commit_group import Applied, CommitGroup, Letters, StateFailedError
from shared.stage.dead_letters import unreadable
from shared.stage.hops import wrote
from shared.stage.input_pause import Pauses, input_released_by
from shared.stage.ports import Committed, Position
from shared.stage.quarantine import MARK_BYTES_MAX, REASON, Held, Quarantine, held, release_of, why_held
from shared.stage.settings import StageSettings
from shared.stage.sizes import OUTPUT_BYTES_MAX, checked, fitted, size_of
from shared.stage.state import Change, KeyedState, UnwritableStateError
from shared.stage.timers import DUE_HEADER, Timers
from shared.telemetry.spans import Hop

S = TypeVar("S")


class _Worked(NamedTuple, Generic[S]):
    """What the ledger made of an input: the state before, what follows, and the bytes of the outputs."""

    state: S | None
    transition: Transition[S]
    size_bytes: int


class Fold(Generic[S]):
    """
    One task's inputs, folded: each at once, into the state in memory, and into the group that is being filled.

    *positions* is the next offset of every input topic, *quarantined* the keys that are set apart, *pauses* says which
    topics are not read. Operators write to the topic *releases*; without one nobody can end a quarantine or a pause.
    What came on a topic of *first_hand* is believed on that topic alone: held and handed on, it changes nothing.
    *set_apart* hears of each key that goes into quarantine. *hop* makes the beginning of an input's span, where spans
    are wanted; `None` stands for a wake.
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
        letters: Letters,
        records_max: int,
        bytes_max: int,
        quarantined: Mapping[bytes, Quarantine],
        pauses: Pauses | None = None,
        releases: str | None = None,
        first_hand: frozenset[str] = frozenset(),
        set_apart: Callable[[bytes, Quarantine], None] = lambda _key, _mark: None,
        hop: Callable[[Record | None], Hop] | None = None,
    ) -> None:
        self.state = state
        self.timers = timers
        self.positions = dict(positions)
        self.quarantined = dict(quarantined)
        self.pauses = pauses or Pauses((), {}, StageSettings())
        self._ledger = ledger
        self._task = task
        self._changelog = changelog
        self._letters = letters
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._releases = releases
        self._first_hand = first_hand
        self._set_apart = set_apart
        self._hop = hop
        self._group = CommitGroup()
        self._moved: set[str] = set()
        self._marked: set[bytes] = set()
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
        """Fold *record* in; one that was folded before, or whose topic is paused, is passed over."""
        if record.offset < self.positions[record.topic] or self.pauses.passes_over(record.topic):
            return Applied.PASSED
        if record.unreadable:
            applied = self._dead_letter(record, unreadable(record))
        elif record.topic == self._releases:
            applied = self._from_operator(record, now_ms)
        elif record.key in self.quarantined:
            applied = self._set_aside(record, now_ms)
        else:
            applied = self._folded(record, now_ms)
        self.positions[record.topic] = record.offset + 1
        self._moved.add(record.topic)
        self.pauses.note(record.topic, now_ms, rejected=applied is Applied.REJECTED)
        self._group.records += 1
        self._group.size_bytes += len(record.value) if record.value is not None else 0
        return applied

    def go_on_from(self, topic: str, offset: int) -> None:
        """Take *offset* for the next of *topic*: what lies between is gone, or the log begins anew there."""
        self.positions[topic] = offset
        self._moved.add(topic)

    def wake(self, now_ms: int) -> bool:
        """Wake the key whose due time came first; false when none has come."""
        due = self.timers.pop_due(now_ms)
        if due is None:
            return False
        due_ms, key = due
        self._group.wakes += 1
        outcome = self._outcome(key, lambda state: self._woken(key, state, due_ms, now_ms))
        if isinstance(outcome, Exception):
            self.quarantine(key, f"its timer, due {due_ms}", outcome, now_ms, due_ms=due_ms)
        else:
            self._take(None, key, outcome)
        return True

    def quarantine(self, key: bytes, where: str, error: Exception, now_ms: int, *, due_ms: int | None = None) -> None:
        """
        Set *key* apart, whose input at *where* the ledger failed at with *error*. It is woken again when it is
        released: at *due_ms*, or when it wanted to be.
        """
        # The error's own words may quote a customer: they stay out.
        kind = type(error.__cause__ or error).__name__
        if (mark := self.quarantined.get(key)) is not None:
            mark = mark.failed_again(where, kind)
        else:
            due_ms = self.timers.due_of(key) if due_ms is None else due_ms
            mark = Quarantine.of(key, where, kind, now_ms=now_ms, due_ms=due_ms)
        self.timers.schedule(key, None)
        self._mark(key, mark)
        self._set_apart(key, mark)

    def seal(self) -> CommitGroup | None:
        """
        Close the group that is being filled; `None` when it holds nothing.

        Raises:
            StateFailedError: a state cannot be encoded, or has outgrown what the broker takes in one record; the fold
                must be thrown away.

        """
        if not self.pending:
            return None
        group, self._group = self._group, CommitGroup()
        group.progress = {
            Position(topic, self._task): Committed(self.positions[topic], self.pauses.metadata(topic))
            for topic in self._moved
        }
        try:
            changes = {change.key: change for change in self.state.seal()}
        except UnwritableStateError as error:
            raise StateFailedError(error.key, type(error.__cause__).__name__) from error
        for key in self._marked - changes.keys():
            changes[key] = Change(key, self.state.store.get(key), self.timers.due_of(key))
        group.outputs += [self._changelog_record(change) for change in changes.values()]
        self._moved, self._marked, self._changed = set(), set(), False
        return group

    def settle(self) -> None:
        """The sealed group is committed."""
        self.state.settle()

    # -- what the ledger makes of an input ---------------------------------------------------------------------------

    def _outcome(
        self,
        key: bytes | None,
        step: Callable[[S | None], Transition[S]],
        reads: Sequence[Callable[[bytes], S | None]] = (),
    ) -> "_Worked[S] | Exception":
        """
        What *step* makes of the state of *key*, got in the first of the ways *reads* with which that does not fail. An
        `Invalid` is about the input, any other error a failure.
        """
        failure = Exception()
        for read in reads or (self.state.get, self.state.get_anew):
            try:
                state = None if key is None else read(key)
                transition = step(state)
                return _Worked(state, transition, checked(key, transition))
            except Invalid as error:
                return error
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001  a failure costs its own key: this is the boundary of an input
                failure = error
        return failure

    def _folded(self, record: Record, now_ms: int, number: int = 0) -> Applied:
        """Apply *record*, which was held before under *number* if it was."""
        key = record.key
        outcome = self._outcome(key, lambda state: self._ledger.apply(state, record, now_ms))
        if isinstance(outcome, Invalid):
            return self._dead_letter(record, outcome)
        if isinstance(outcome, Exception):
            if key is None:
                kind = type(outcome).__name__
                return self._dead_letter(record, Invalid("unexpected_error", f"the ledger failed with {kind}"))
            self.quarantine(key, _place(record), outcome, now_ms)
            return self._hold(record, number)
        return self._take(record, key, outcome)

    def _woken(self, key: bytes, state: S | None, due_ms: int, now_ms: int) -> Transition[S]:
        if state is None:
            raise LookupError("a due time without a state; the changelog was written by something else")
        transition = self._ledger.wake(key, state, now_ms)
        if transition.due_ms is not None and transition.due_ms <= due_ms:
            raise ValueError(f"the ledger left the due time at {transition.due_ms}; a wake must clear or advance it")
        return transition

    def _take(self, record: Record | None, key: bytes | None, worked: _Worked[S]) -> Applied:
        state, transition, size_bytes = worked
        changed = transition.state is not state
        if key is not None and (record is None or changed or transition.due_ms != self.timers.due_of(key)):
            self._change(key, transition)
        group = self._group
        group.outputs += transition.outputs
        group.size_bytes += size_bytes
        self._begin_hop(record, transition)
        return Applied.CHANGED if changed or transition.outputs else Applied.UNCHANGED

    def _change(self, key: bytes, transition: Transition[S]) -> None:
        self._group.size_bytes += self.state.put(key, transition.state, transition.due_ms)
        self._changed = True
        if (mark := self.quarantined.get(key)) is None:
            self.timers.schedule(key, transition.due_ms)
        else:
            self._mark(key, replace(mark, due_ms=transition.due_ms))

    def _begin_hop(self, record: Record | None, transition: Transition[S]) -> None:
        if self._hop is None or not transition.outputs:
            return
        hop = self._hop(record)
        hop.read = hop.read or transition.traceparent
        hop.wrote = wrote(transition.outputs)
        self._group.hops.append(hop)

    def _dead_letter(self, record: Record, error: Invalid) -> Applied:
        self._group.outputs.append(fitted(self._letters.rejected(record, error)))
        self._group.rejected.append(error.reason)
        return Applied.REJECTED

    # -- keys in quarantine ------------------------------------------------------------------------------------------

    def _mark(self, key: bytes, mark: Quarantine) -> None:
        self.quarantined[key] = mark
        self._marked.add(key)
        self._changed = True

    def _hold(self, record: Record, number: int = 0) -> Applied:
        """Write *record* to the dead letters as the next one held, or under the *number* that it was held as before."""
        key = record.key or b""
        mark = self.quarantined[key]
        number = number or mark.held + 1
        self._mark(key, replace(mark, held=max(mark.held, number)))
        letter = held(self._letters.held(record, why_held(mark)), mark, number)
        self._group.outputs.append(fitted(letter))
        self._group.size_bytes += size_of((letter,))
        self._group.rejected.append(REASON)
        return Applied.HELD

    def _set_aside(self, record: Record, now_ms: int) -> Applied:
        """Hold *record*, whose key is in quarantine; but what asks to forget the key takes effect at once."""
        if not self._ledger.forgets(record):
            return self._hold(record)
        key = record.key or b""
        anew = self._ledger.anew(now_ms).state
        outcome = self._outcome(
            key,
            lambda state: self._ledger.apply(state, record, now_ms),
            (self.state.get, self.state.get_anew, lambda _key: anew),
        )
        if isinstance(outcome, Invalid):
            return self._dead_letter(record, outcome)
        if isinstance(outcome, Exception):
            return self._hold(record)
        del self.quarantined[key]
        self._marked.add(key)
        return self._take(record, key, outcome)

    def _from_operator(self, record: Record, now_ms: int) -> Applied:
        if topic := input_released_by(record):
            return self._release_input(topic)
        try:
            said = release_of(record)
        except Invalid as error:
            return self._dead_letter(record, error)
        if isinstance(said, Held):
            return self._handed_on(said, now_ms)
        if said is not None:
            return self._release(record.key or b"", said, now_ms)
        return self._set_aside(record, now_ms) if record.key in self.quarantined else self._folded(record, now_ms)

    def _release_input(self, topic: str) -> Applied:
        if not self.pauses.release(topic):
            return Applied.UNCHANGED
        self._moved.add(topic)
        self._changed = True
        return Applied.CHANGED

    def _release(self, key: bytes, said: ConversationReleased, now_ms: int) -> Applied:
        """Let the records that are held be applied, if the state can be read or is given up."""
        mark = self.quarantined.get(key)
        if mark is None or mark.id != said.quarantine:
            return Applied.UNCHANGED
        if said.discard_state and not mark.releasing:
            fresh = self._ledger.anew(now_ms)
            self.state.put(key, fresh.state, fresh.due_ms)
            mark = replace(mark, due_ms=fresh.due_ms)
        try:
            self.state.get_anew(key)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  whatever keeps a state from being read keeps its key in quarantine
            self._mark(key, mark.stays(f"state unreadable: {type(error.__cause__ or error).__name__}"))
            return Applied.UNCHANGED
        self._go_on(key, mark.opened(said.through))
        return Applied.CHANGED

    def _handed_on(self, said: Held, now_ms: int) -> Applied:
        """Apply a record that was held, in its turn; hold it again where its release is closed."""
        record, key = said.record, said.record.key or b""
        mark = self.quarantined.get(key)
        if mark is None:
            return self._second_hand(record, now_ms)
        if mark.id != said.quarantine:
            return self._hold(record)
        if said.number <= mark.released:
            return Applied.UNCHANGED
        if not mark.releasing:
            return self._hold(record, said.number)
        applied = self._second_hand(record, now_ms, said.number)
        if (mark := self.quarantined[key]).releasing:
            self._go_on(key, replace(mark, released=said.number))
        return applied

    def _second_hand(self, record: Record, now_ms: int, number: int = 0) -> Applied:
        return Applied.UNCHANGED if record.topic in self._first_hand else self._folded(record, now_ms, number)

    def _go_on(self, key: bytes, mark: Quarantine) -> None:
        """A release got as far as *mark*, which may be its end."""
        self._mark(key, mark)
        if mark.is_over:
            del self.quarantined[key]
            # Nobody is woken who is not there.
            self.timers.schedule(key, None if self.state.get(key) is None else mark.due_ms)

    def _changelog_record(self, change: Change) -> Output:
        key, value, room_bytes = change.key, change.value, OUTPUT_BYTES_MAX
        headers: Headers = () if change.due_ms is None else ((DUE_HEADER, str(change.due_ms).encode()),)
        if (mark := self.quarantined.get(key)) is not None:
            headers = mark.headers(stateless=value is None)
            value = self._stand_in(mark) if value is None else value
            room_bytes += MARK_BYTES_MAX
        output = Output(self._changelog, key, value, headers)
        if (size_bytes := size_of((output,))) > room_bytes:
            raise StateFailedError(key, f"it takes {size_bytes} bytes of at most {room_bytes}")
        return output

    def _stand_in(self, mark: Quarantine) -> bytes:
        """What stands beside the mark of a key that has no state: a record without a value would not be kept."""
        state = self._ledger.anew(mark.since_ms).state
        return b"" if state is None else self._ledger.encode(state)


def _place(record: Record) -> str:
    return f"{record.topic}-{record.partition}@{record.offset}"
