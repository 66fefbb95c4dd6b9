from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.broker.clients import RECORD_BYTES_MAX
from shared.broker.topics import DEAD_LETTER_BYTES_MAX
from shared.errors import Fatal, Invalid
from shared.stage.base import Output, Transition
from shared.stage.fold import Fold, InputFailedError, due_of
from shared.stage.ports import Committed, Position
from shared.stage.state import KeyedState, MemoryStateStore
from shared.stage.timers import Timers


@dataclass
class Scripted:
    """A ledger that does what the test says: `then` is a transition, an error to raise, or a function of the state."""

    then: Any = None
    seen: list[Any] = field(default_factory=list)

    def decode(self, data):
        return data.decode()

    def encode(self, state):
        return state.encode()

    def apply(self, state, record, now_ms):
        self.seen.append((state, record.offset, now_ms))
        return self._result(state)

    def wake(self, key, state, now_ms):
        self.seen.append((state, key, now_ms))
        return self._result(state)

    def _result(self, state):
        result = self.then(state) if callable(self.then) else self.then
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def ledger():
    return Scripted()


@pytest.fixture
def accepted():
    return []


@pytest.fixture
def build(ledger, accepted):
    def build(**changes):
        store, timers = MemoryStateStore(), Timers()
        store.put(b"k", b"old", 50)
        timers.schedule(b"k", 50)
        options = {
            "task": 3,
            "changelog": "state",
            "positions": {"in": 10, "more": 20},
            "accept": lambda: accepted.append(1),
            "reject": lambda record, _: Output("dead.letters", record.key, record.value),
            "records_max": 100,
            "bytes_max": 1_000_000,
        }
        return Fold(
            ledger,
            KeyedState(store, ledger.decode, ledger.encode, cache_bytes_max=1_000),
            timers,
            **{**options, **changes},
        )

    return build


@pytest.fixture
def fold(build):
    return build()


def outputs(fold):
    return [(o.topic, o.key, o.value, o.headers) for o in fold.seal().outputs]


def test_outputs_changes_and_offsets_of_a_group_commit_together(fold, ledger, make_record):
    ledger.then = Transition("new", 99, (Output("out", b"k", b"told"),))
    fold.apply(make_record(10, partition=3), 1)
    ledger.then = Transition("newer", 99, (Output("out", b"k", b"again"),))
    fold.apply(make_record(14, partition=3), 2)

    group = fold.seal()

    assert [(o.topic, o.key, o.value, o.headers) for o in group.outputs] == [
        ("out", b"k", b"told", ()),
        ("out", b"k", b"again", ()),
        ("state", b"k", b"newer", (("due", b"99"),)),
    ]
    assert group.progress == {Position("in", 3): Committed(15)}
    assert (group.records, group.wakes, group.rejected) == (2, 0, [])
    assert ledger.seen == [("old", 10, 1), ("new", 14, 2)]
    assert fold.seal() is None


def test_a_record_that_was_folded_before_is_passed_over(fold, ledger, make_record):
    ledger.then = Transition("old", 50)
    fold.apply(make_record(9), 1)

    assert ledger.seen == []
    assert not fold.pending


def test_an_unchanged_state_writes_no_changelog_but_its_offset_is_pending(fold, ledger, make_record):
    ledger.then = lambda state: Transition(state, 50)
    fold.apply(make_record(10), 1)

    assert (fold.pending, fold.urgent) == (True, False)
    group = fold.seal()
    assert group.outputs == []
    assert group.progress == {Position("in", 3): Committed(11)}


def test_a_due_time_changed_alone_is_written(fold, ledger, make_record):
    ledger.then = lambda state: Transition(state, 60)
    fold.apply(make_record(10), 1)

    assert outputs(fold) == [("state", b"k", b"old", (("due", b"60"),))]
    assert fold.timers.due_of(b"k") == 60


def test_a_deletion_is_a_tombstone_and_wakes_nobody(fold, ledger, make_record):
    ledger.then = Transition(None)
    fold.apply(make_record(10), 1)

    assert outputs(fold) == [("state", b"k", None, ())]
    assert len(fold.timers) == 0
    assert not fold.wake(1_000)


def test_a_due_key_is_woken_once_and_the_change_is_written_although_the_state_is_the_same(fold, ledger):
    ledger.then = Transition

    assert not fold.wake(49)
    assert fold.wake(50)
    assert not fold.wake(1_000)
    assert ledger.seen == [("old", b"k", 50)]
    group = fold.seal()
    assert [(o.key, o.value, o.headers) for o in group.outputs] == [(b"k", b"old", ())]
    assert (group.progress, group.wakes) == ({}, 1)


@pytest.mark.parametrize("due_ms", [50, 49])
def test_a_wake_that_leaves_its_due_time_in_the_past_is_refused(fold, ledger, due_ms):
    """It would be woken for ever."""
    ledger.then = Transition("new", due_ms)

    with pytest.raises(InputFailedError, match=r"timer of b'k', due 50, task 3 with ValueError"):
        fold.wake(60)


def test_an_invalid_record_is_dead_lettered_in_the_same_group_and_the_state_stays(fold, ledger, accepted, make_record):
    ledger.then = Invalid("bad_json", "no")
    fold.apply(make_record(10, value=b"{"), 1)

    group = fold.seal()
    assert [(o.topic, o.value) for o in group.outputs] == [("dead.letters", b"{")]
    assert group.rejected == ["bad_json"]
    assert group.progress == {Position("in", 3): Committed(11)}
    assert accepted == []


def test_a_dead_letter_too_large_for_the_broker_goes_without_its_value(build, ledger, make_record):
    fold = build(reject=lambda record, _: Output("dead.letters", record.key, record.value))
    ledger.then = Invalid("text_too_long", "no")
    fold.apply(make_record(10, value=b"x" * DEAD_LETTER_BYTES_MAX), 1)

    [(_, _, value, headers)] = outputs(fold)
    assert value is None
    assert headers == (("x-holdfast-value-bytes", str(DEAD_LETTER_BYTES_MAX).encode()),)


def test_an_output_that_the_broker_would_refuse_rejects_its_record(fold, ledger, make_record):
    ledger.then = Transition("new", None, (Output("out", b"k", b"x" * RECORD_BYTES_MAX),))
    fold.apply(make_record(10), 1)

    group = fold.seal()
    assert group.rejected == ["output_too_large"]
    assert [o.topic for o in group.outputs] == ["dead.letters"]
    assert fold.state.get(b"k") == "old"


def test_a_state_that_outgrew_a_record_stops_the_process(fold, ledger, make_record):
    ledger.then = Transition("x" * RECORD_BYTES_MAX)
    fold.apply(make_record(10), 1)

    with pytest.raises(Fatal, match="Bound what the ledger keeps per key"):
        fold.seal()


def test_a_record_without_a_key_has_no_state_to_change(fold, ledger, make_record):
    ledger.then = Transition("new")
    fold.apply(make_record(10, key=None), 1)
    ledger.then = Transition(None, None, (Output("out", b"o", b"told"),))
    fold.apply(make_record(11, key=None), 1)

    group = fold.seal()
    assert group.rejected == ["missing_key"]
    assert [o.topic for o in group.outputs] == ["dead.letters", "out"]
    assert ledger.seen[0][0] is None


def test_a_deleted_state_cannot_be_woken(fold, ledger, make_record):
    ledger.then = Transition(None, 70)

    with pytest.raises(InputFailedError, match="with ValueError"):
        fold.apply(make_record(10), 1)


def test_an_unexpected_error_names_the_record_and_quotes_nothing_of_it(fold, ledger, make_record):
    ledger.then = KeyError("my secret")

    with pytest.raises(InputFailedError) as caught:
        fold.apply(make_record(10, partition=3), 1)
    assert str(caught.value) == "the ledger failed at in, partition 3, offset 10 with KeyError"


def test_a_state_that_cannot_be_decoded_fails_its_input_and_is_not_rejected(fold, ledger, make_record):
    def corrupt(_):
        raise Invalid("bad_json", "the state, not the record")

    fold.state._decode = corrupt

    with pytest.raises(InputFailedError):
        fold.apply(make_record(10), 1)


def test_a_condemned_record_is_dead_lettered_whatever_it_raises(build, ledger, make_record):
    fold = build(condemned="in, partition 3, offset 10")
    ledger.then = KeyError("my secret")
    fold.apply(make_record(10, partition=3), 1)

    assert fold.seal().rejected == ["unexpected_error"]
    with pytest.raises(InputFailedError):
        fold.apply(make_record(11, partition=3), 1)


def test_a_group_is_full_at_its_records_and_at_its_bytes(build, ledger, make_record):
    ledger.then = lambda state: Transition(state, 50)
    by_records, by_bytes = build(records_max=2), build(bytes_max=10)

    by_records.apply(make_record(10), 1)
    assert not by_records.full
    by_records.apply(make_record(11), 1)
    assert by_records.full
    by_records.seal()
    assert not by_records.full

    by_bytes.apply(make_record(10, value=b"x" * 10), 1)
    assert by_bytes.full


def test_due_times_are_read_from_the_changelogs_header():
    assert due_of((("other", b"1"), ("due", b"1700000000000"))) == 1_700_000_000_000
    assert due_of(()) is None
    with pytest.raises(ValueError, match="invalid literal"):
        due_of((("due", b"soon"),))
