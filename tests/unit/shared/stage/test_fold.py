from dataclasses import replace

import pytest

from shared.broker.clients import RECORD_BYTES_MAX
from shared.broker.topics import DEAD_LETTER_BYTES_MAX
from shared.errors import Invalid
from shared.stage.base import Output, Transition
from shared.stage.commit_group import StateFailedError
from shared.stage.ports import Committed, Position
from shared.stage.timers import due_of


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


def test_an_invalid_record_is_dead_lettered_in_the_same_group_and_the_state_stays(fold, ledger, make_record):
    ledger.then = Invalid("bad_json", "no")
    fold.apply(make_record(10, value=b"{"), 1)

    group = fold.seal()
    assert [(o.topic, o.value) for o in group.outputs] == [("dead.letters", b"{")]
    assert group.rejected == ["bad_json"]
    assert group.progress == {Position("in", 3): Committed(11)}


def test_a_dead_letter_too_large_for_the_broker_goes_without_its_value(fold, ledger, make_record):
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


def test_a_state_that_outgrew_a_record_fails_its_group_and_is_named(fold, ledger, make_record):
    ledger.then = Transition("x" * RECORD_BYTES_MAX)
    fold.apply(make_record(10), 1)

    with pytest.raises(StateFailedError, match="it takes 104") as caught:
        fold.seal()
    assert caught.value.key == b"k"


def test_a_record_without_a_key_has_no_state_to_change(fold, ledger, make_record):
    ledger.then = Transition("new")
    fold.apply(make_record(10, key=None), 1)
    ledger.then = Transition(None, None, (Output("out", b"o", b"told"),))
    fold.apply(make_record(11, key=None), 1)

    group = fold.seal()
    assert group.rejected == ["missing_key"]
    assert [o.topic for o in group.outputs] == ["dead.letters", "out"]
    assert ledger.seen[0][0] is None


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


def test_what_the_client_could_not_decode_is_a_dead_letter_and_not_the_ledgers_to_see(fold, ledger, make_record):
    fold.apply(replace(make_record(12), unreadable="CorruptRecordException"), 1)
    group = fold.seal()

    assert ledger.seen == []
    assert group.rejected == ["unreadable"]
    assert group.progress == {Position("in", 3): Committed(13)}
