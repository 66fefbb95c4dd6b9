"""A key at which the ledger fails is set apart, whole and in order, and costs the others nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.events.codec import encode
from shared.events.envelope import Envelope
from shared.events.release import RELEASED, ConversationReleased
from shared.stage.base import Output, Transition
from shared.stage.commit_group import Applied
from shared.stage.quarantine import (
    FROM_HEADER,
    HELD_HEADER,
    MARK_BYTES_MAX,
    MARK_HEADER,
    Quarantine,
    handed_on,
    mark_of,
)
from shared.stage.state import MemoryStateStore

BUG = KeyError("my secret")


@pytest.fixture
def releasing(build):
    return build(positions={"in": 10, "more": 20, "releases": 0}, releases="releases")


def letters_of(group):
    return [(o.key, o.value, dict(o.headers)[HELD_HEADER].decode()) for o in group.outputs if o.topic == "dead.letters"]


def state_of(group):
    [record] = [o for o in group.outputs if o.topic == "state"]
    return record


def mark(group):
    return mark_of(b"k", state_of(group).headers)


def released(quarantine, **changes):
    body = ConversationReleased(quarantine=quarantine, **changes)
    event = Envelope("e", "/tenants/acme", RELEASED, datetime(2026, 1, 1, tzinfo=UTC), "c", body)
    headers, value = encode(event)
    return {"topic": "releases", "key": b"acme:c", "headers": headers, "value": value}


def test_a_record_at_which_the_ledger_fails_is_held_and_the_others_of_the_task_go_on(fold, ledger, make_record):
    ledger.then = BUG
    assert fold.apply(make_record(10, partition=3), 7) is Applied.HELD
    ledger.then = Transition("well", None, (Output("out", b"other", b"told"),))
    assert fold.apply(make_record(11, key=b"other"), 8) is Applied.CHANGED

    group = fold.seal()
    assert [(key, value) for key, value, _ in letters_of(group)] == [(b"k", b"v")]
    assert [(o.key, o.value) for o in group.outputs if o.topic in {"out", "state"}] == [
        (b"other", b"told"),
        (b"other", b"well"),
        (b"k", b"old"),
    ]
    assert group.rejected == ["quarantined"]


def test_the_mark_says_where_and_with_what_the_ledger_failed_and_quotes_nothing(fold, ledger, make_record):
    ledger.then = BUG
    fold.apply(make_record(10, partition=3), 7)

    found = mark(fold.seal())
    assert (found.where, found.error, found.since_ms, found.held, found.due_ms) == ("in-3@10", "KeyError", 7, 1, 50)


def test_what_comes_later_of_a_key_in_quarantine_is_held_unseen_and_numbered(fold, ledger, make_record):
    ledger.then = BUG
    fold.apply(make_record(10), 1)
    ledger.then = Transition("new")
    ledger.seen.clear()
    fold.apply(make_record(11), 2)
    fold.apply(make_record(20, topic="more"), 3)

    group = fold.seal()
    assert ledger.seen == []
    assert [number.rpartition(":")[2] for _, _, number in letters_of(group)] == ["1", "2", "3"]
    assert mark(group).held == 3


def test_a_fault_that_lay_in_the_memory_costs_nothing(fold, ledger, make_record):
    """What is decoded anew is sound."""
    fold.state._remember(b"k", "spoilt", 1)
    ledger.then = lambda state: BUG if state == "spoilt" else Transition("new", 50)

    assert fold.apply(make_record(10), 1) is Applied.CHANGED
    assert fold.quarantined == {}


def test_what_the_group_has_changed_before_stands(fold, ledger, make_record):
    ledger.then = Transition("new", 50)
    fold.apply(make_record(10), 1)
    ledger.then = BUG
    fold.apply(make_record(11), 2)

    record = state_of(fold.seal())
    assert (record.value, mark_of(b"k", record.headers).due_ms) == (b"new", 50)


def test_a_state_that_cannot_be_read_stays_as_it_is_byte_for_byte(fold, make_record):
    def unreadable(_):
        raise Invalid("bad_json", "the state, not the record")

    fold.state._decode = unreadable
    assert fold.apply(make_record(10), 1) is Applied.HELD

    record = state_of(fold.seal())
    assert record.value == b"old"
    assert mark_of(b"k", record.headers).error == "Invalid"


@pytest.mark.parametrize("then", [BUG, Transition("new", 50), Transition("new", 49), Transition(None, 70)])
def test_a_timer_never_raises_and_never_rings_for_ever(fold, ledger, then):
    """One that fails, and one that asks to be woken when it was, or wants to be woken without a state."""
    ledger.then = then

    assert fold.wake(60)
    assert not fold.wake(1_000)
    assert state_of(fold.seal()).value == b"old"
    assert fold.quarantined[b"k"].where == "its timer, due 50"


def test_a_due_time_without_a_state_is_set_apart_and_does_not_ring_again_when_it_is_released(releasing, make_record):
    releasing.timers.schedule(b"acme:c", 55)
    releasing.timers.schedule(b"k", None)
    assert releasing.wake(60)

    name = releasing.quarantined[b"acme:c"].id
    releasing.apply(make_record(0, **released(name)), 70)
    assert releasing.quarantined == {}
    assert not releasing.wake(1_000)


def test_no_memory_is_nobodys_fault(fold, ledger, make_record):
    ledger.then = MemoryError()

    with pytest.raises(MemoryError):
        fold.apply(make_record(10), 1)
    with pytest.raises(MemoryError):
        fold.wake(60)
    assert fold.quarantined == {}


def test_a_record_without_a_key_that_fails_is_dead_lettered_alone(fold, ledger, make_record):
    ledger.then = BUG
    assert fold.apply(make_record(10, key=None), 1) is Applied.REJECTED
    assert fold.seal().rejected == ["unexpected_error"]
    assert fold.quarantined == {}


def test_a_key_without_a_state_has_a_value_beside_its_mark_that_stands_for_none(fold, ledger, make_record):
    """Compaction would drop a record without a value."""
    ledger.then = BUG
    fold.apply(make_record(10, key=b"n"), 1)

    [record] = [o for o in fold.seal().outputs if o.topic == "state"]
    assert record.value == b"anew at 1"
    assert mark_of(b"n", record.headers).stateless


def test_what_asks_to_forget_a_key_takes_effect_and_ends_its_quarantine(fold, ledger, make_record):
    ledger.then = BUG
    fold.apply(make_record(10), 1)
    ledger.then = lambda state: BUG if state == "old" else Transition("forgotten", None)

    assert fold.apply(make_record(11, value=b"forget"), 2) is Applied.CHANGED
    assert fold.quarantined == {}
    record = state_of(fold.seal())
    assert (record.value, record.headers) == (b"forgotten", ())


class Desk:
    """An operator at a fold: quarantines `acme:c`, and hands its letters on."""

    def __init__(self, fold, ledger, make_record):
        self.fold, self.ledger, self.make_record = fold, ledger, make_record
        self.letters, self.offset, self.said = [], 10, -1
        fold.state.put(b"acme:c", "s", None)
        ledger.then = BUG
        self.write(b"a")

    def write(self, value):
        record = self.make_record(self.offset, key=b"acme:c", value=value)
        self.offset += 1
        applied = self.fold.apply(record, self.offset)
        self._take()
        return applied

    def release(self, **changes):
        return self._say(released(self.mark.id, **changes))

    def hand_on(self, letter):
        quarantine, _, number = dict(letter.headers)[HELD_HEADER].decode().partition(":")
        original = self.make_record(0, key=letter.key, value=letter.value, headers=letter.headers[:-1])
        headers = handed_on(original, quarantine, int(number))
        return self._say({"topic": "releases", "key": letter.key, "value": letter.value, "headers": headers})

    def hand_all_on(self):
        due, self.letters = self.letters, []
        return [self.hand_on(letter) for letter in due]

    @property
    def mark(self):
        return self.fold.quarantined[b"acme:c"]

    @property
    def is_over(self):
        return b"acme:c" not in self.fold.quarantined

    def _say(self, record):
        self.said += 1
        applied = self.fold.apply(self.make_record(self.said, **record), 1_000)
        self._take()
        return applied

    def _take(self):
        group = self.fold.seal()
        self.letters += [o for o in group.outputs if o.topic == "dead.letters"]
        self.fold.settle()


@pytest.fixture
def desk(releasing, ledger, make_record):
    return Desk(releasing, ledger, make_record)


def appended(ledger):
    """A ledger that notes each record's value in its state."""
    ledger.then = lambda state: Transition(f"{state}{ledger.value.decode()}")
    apply = ledger.apply

    def noted(state, record, now_ms):
        ledger.value = record.value
        return apply(state, record, now_ms)

    ledger.apply = noted


def test_release_hands_the_records_on_in_their_order_and_then_newcomers_are_applied(desk, ledger):
    desk.write(b"b")
    appended(ledger)
    desk.release()
    assert desk.hand_all_on() == [Applied.CHANGED, Applied.CHANGED]

    assert desk.is_over
    desk.write(b"c")
    assert desk.fold.state.get(b"acme:c") == "sabc"


def test_what_comes_while_a_release_is_under_way_waits_for_its_turn(desk, ledger):
    appended(ledger)
    desk.release()
    assert desk.write(b"b") is Applied.HELD
    late = desk.letters.pop()
    desk.hand_all_on()
    assert not desk.is_over

    desk.hand_on(late)
    assert desk.is_over
    assert desk.fold.state.get(b"acme:c") == "sab"


def test_a_record_that_fails_again_closes_the_release_and_keeps_its_number(desk, ledger):
    desk.write(b"b")
    desk.release()
    assert desk.hand_all_on() == [Applied.HELD, Applied.HELD]
    assert [dict(letter.headers)[HELD_HEADER].decode().rpartition(":")[2] for letter in desk.letters] == ["1", "2"]
    assert (desk.mark.held, desk.mark.released, desk.mark.releasing) == (2, 0, False)

    appended(ledger)
    desk.release()
    desk.hand_all_on()
    assert desk.is_over
    assert desk.fold.state.get(b"acme:c") == "sab"


def test_a_record_that_is_handed_on_twice_counts_once(desk, ledger):
    desk.write(b"b")
    appended(ledger)
    desk.release()
    first = desk.letters[0]
    desk.hand_on(first)
    assert desk.hand_on(first) is Applied.UNCHANGED
    assert desk.fold.state.get(b"acme:c") == "sa"


def test_a_letter_that_came_before_its_release_is_held_on(desk, ledger):
    appended(ledger)
    assert desk.hand_all_on() == [Applied.HELD]
    assert desk.mark.held == 1


def test_records_that_are_lost_can_be_given_up(desk, ledger):
    appended(ledger)
    desk.release(through=1)
    assert desk.is_over


def test_a_release_of_another_quarantine_says_nothing(desk):
    assert desk._say(released("another")) is Applied.UNCHANGED
    assert not desk.is_over


def test_a_state_that_cannot_be_read_keeps_its_key_until_it_is_given_up(desk, ledger):
    def unreadable(data):
        if data == b"s":
            raise ValueError("no state")
        return data.decode()

    desk.fold.state._decode = unreadable
    desk.release()
    assert desk.mark.refused == "state unreadable: ValueError"

    appended(ledger)
    desk.release(discard_state=True)
    desk.release(discard_state=True)
    desk.hand_all_on()
    assert desk.is_over
    assert desk.fold.state.get(b"acme:c") == "anew at 1000a"


def test_a_timer_that_fell_due_meanwhile_rings_when_the_quarantine_is_over(releasing, ledger, make_record):
    releasing.state.put(b"acme:c", "s", None)
    releasing.timers.schedule(b"acme:c", 40)
    ledger.then = BUG
    releasing.wake(45)
    ledger.then = Transition("woken")

    releasing.apply(make_record(0, **released(releasing.quarantined[b"acme:c"].id)), 60)
    assert releasing.quarantined == {}
    assert releasing.wake(61)
    assert releasing.state.get(b"acme:c") == "woken"


@pytest.mark.parametrize(
    "headers",
    [
        ((FROM_HEADER, b"nowhere"), (HELD_HEADER, b"q:1")),
        ((FROM_HEADER, b"in:0:1"), (HELD_HEADER, b"q:first")),
        ((FROM_HEADER, None), (HELD_HEADER, b"q:1")),
        ((FROM_HEADER, b"\xff:0:1"), (HELD_HEADER, b"q:1")),
        (("ce_type", RELEASED.encode()),),
    ],
)
def test_what_says_nothing_readable_about_a_quarantine_is_dead_lettered(releasing, make_record, headers):
    record = make_record(0, topic="releases", key=b"acme:c", headers=headers)
    assert releasing.apply(record, 1) is Applied.REJECTED


def test_the_next_owner_finds_the_quarantine_as_it_was(build, ledger, make_record):
    first = build()
    ledger.then = BUG
    first.apply(make_record(10), 1)
    record = state_of(first.seal())

    store = MemoryStateStore()
    store.put(b"k", record.value, None)
    second = build(quarantined={b"k": mark_of(b"k", record.headers)})
    ledger.then = Transition("new")
    assert second.apply(make_record(11), 2) is Applied.HELD
    assert letters_of(second.seal())[0][2].endswith(":2")


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"id": 1}', b"\xff", b'{"id":"x","since_ms":"soon"}'])
def test_a_mark_that_cannot_be_read_is_a_mark(text):
    assert mark_of(b"k", ((MARK_HEADER, text),)).error == "Unreadable"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=400), st.text(max_size=400), st.integers(0, 2**42), st.booleans())
def test_a_mark_is_read_as_it_was_written(key, where, error, now_ms, stateless):
    made = Quarantine.of(key, where, error, now_ms=now_ms, due_ms=now_ms)
    [(name, value)] = made.headers(stateless=stateless)
    assert mark_of(key, ((name, value),)) == replace(made, stateless=stateless)


def test_a_mark_fits_the_room_that_is_kept_for_it():
    full = Quarantine.of(
        b"k", "tenant." + 63 * "t" + ".conversation.events-123@123456789", 90 * "E", now_ms=2**41, due_ms=2**41
    )
    full = replace(full.stays(90 * "r"), held=10**6, released=10**6)
    [(name, value)] = full.headers(stateless=True)
    assert json.loads(value)["where"].endswith("@123456789")
    assert len(name) + len(value) <= MARK_BYTES_MAX
