"""
A tenant over its budget: its turns wait for their slots in order, or are refused; nothing is lost.
"""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.conversations.domain.admission import TurnBudget
from services.conversations.settings import ConversationsSettings
from services.conversations.stage import ConversationLedger
from shared.errors import Fatal
from shared.settings import read_settings


def budget(per_minute=60.0, burst=1, wait_max_ms=5_000):
    return TurnBudget(turns_per_minute=per_minute, burst=burst, wait_max_ms=wait_max_ms, tenants_max=100)


class Slots:
    """An admission that tells what a test wrote down."""

    def __init__(self, *answers):
        self.answers = deque(answers)

    def reserve(self, _tenant, now_ms):
        answer = self.answers.popleft()
        return None if answer is None else now_ms + answer


def test_a_turn_over_budget_opens_when_its_slot_has_come(world):
    w = world(admission=Slots(3_000))
    message = w.post()
    assert (w.opened, w.due_ms) == ([], w.now_ms + 3_000)
    assert w.note("held_by_budget") == 1
    w.wake()
    assert w.opened[0].covers == (message,)
    assert w.state.slot_ms == 0
    w.finish()
    assert w.outcomes == [("answered", "")]


def test_a_burst_that_goes_on_while_it_waits_is_one_turn_with_one_slot(world):
    w = world(admission=Slots(3_000), limits={"settle_seconds": 0.0})
    first = w.post()
    w.now_ms += 1_000
    second = w.post("and another thing")
    w.wake()
    assert w.now_ms == w.START_MS + 3_000
    assert [o.covers for o in w.opened] == [(first, second)]


def test_a_slot_is_asked_for_when_the_burst_has_settled(world):
    w = world(admission=Slots(1_000), limits={"settle_seconds": 2.0})
    w.post()
    assert (w.due_ms, w.note("held_by_budget")) == (w.START_MS + 2_000, 0)
    w.wake()
    assert (w.opened, w.due_ms) == ([], w.START_MS + 3_000)
    w.wake()
    assert len(w.opened) == 1


def test_a_turn_beyond_the_wait_is_refused_with_the_words_for_it(world):
    w = world(admission=Slots(None), playbook={"fallbacks": {"busy": "Later, please."}})
    message = w.post()
    assert w.outcomes == [("rejected", "over_budget")]
    assert w.closed[0].covers == (message,)
    assert (w.closed[0].fallback, w.responses[0].text) == ("busy", "Later, please.")
    assert (w.opened, w.note("over_budget")) == ([], 1)


def test_a_playbook_may_say_nothing_about_it(world):
    w = world(admission=Slots(None), playbook={"fallbacks": {"busy": ""}})
    w.post()
    assert (w.outcomes, w.responses) == ([("rejected", "over_budget")], [])


def test_a_newer_message_ends_the_open_turn_and_both_are_answered_in_the_slot(world):
    w = world(admission=Slots(0, 2_000))
    first, second = w.post(), w.post("wait")
    assert w.outcomes == [("superseded", "newer_message")]
    w.wake()
    assert w.opened[-1].covers == (first, second)


def test_what_is_refused_covers_what_its_predecessor_left_as_well(world):
    w = world(admission=Slots(0, None))
    first, second = w.post(), w.post("wait")
    assert w.outcomes == [("superseded", "newer_message"), ("rejected", "over_budget")]
    assert w.closed[-1].covers == (first, second)


def test_a_turn_that_a_refused_message_interrupted_needs_a_slot_to_go_on(world):
    """Otherwise messages that are too large would begin the model's work anew, as often as they come."""
    w = world(admission=Slots(0, 4_000), limits={"message_bytes": 10})
    first, second = w.post("short"), w.post("x" * 11)
    assert [closed.covers for closed in w.closed] == [(first,), (second,)]
    assert w.due_ms == w.now_ms + 4_000
    w.wake()
    assert w.opened[-1].covers == (first,)


def test_a_burst_that_fills_a_turn_before_its_slot_is_refused(world):
    w = world(admission=Slots(5_000, 0), bounds={"covers_max": 3})
    messages = [w.post() for _ in range(3)]
    assert w.outcomes == [("rejected", "over_budget")]
    assert w.closed[0].covers == tuple(messages)
    w.post()
    assert len(w.opened) == 1


@pytest.mark.parametrize(
    ("event_type", "fields", "outcome"),
    [
        ("conversation.mode_changed", {"mode": "manual"}, ("handed_off", "manual_mode")),
        ("conversation.closed", {}, ("no_reply", "conversation_closed")),
        ("conversation.erased", {}, ("rejected", "erased")),
    ],
)
def test_what_waits_for_a_slot_can_be_ended_like_any_other(world, event_type, fields, outcome):
    w = world(admission=Slots(5_000))
    w.post()
    w.tell(event_type, **fields)
    assert w.outcomes == [outcome]
    assert w.state.slot_ms == 0


def test_a_reservation_survives_the_process(world):
    """The schedule begins anew with the process; the conversations keep the slots that they have."""
    w = world(admission=Slots(3_000))
    w.post()
    w.ledger = ConversationLedger(w.playbooks, w.ledger._bounds, w.ledger._metrics, admission=Slots())
    w.wake()
    assert (w.now_ms, len(w.opened)) == (w.START_MS + 3_000, 1)


@settings(max_examples=150, deadline=None)
@given(
    posts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2_000)), min_size=1, max_size=60),
    per_minute=st.floats(6.0, 600.0),
    burst=st.integers(1, 5),
    wait_max_ms=st.integers(0, 20_000),
    settle_seconds=st.sampled_from([0.0, 0.0, 1.0]),
)
def test_a_tenant_opens_no_more_turns_than_its_budget_and_loses_nothing(
    world, posts, per_minute, burst, wait_max_ms, settle_seconds
):
    """Six conversations of one tenant, whose timers are kept on time as the runtime keeps them."""
    admission = budget(per_minute, burst, wait_max_ms)
    conversations = [
        world(conversation=f"c-{n}", admission=admission, limits={"settle_seconds": settle_seconds}) for n in range(6)
    ]
    opened, held, accepted, now_ms = [], {}, [], world.START_MS

    def advance(until_ms):
        """Wake whoever is due, the earliest first, as far as *until_ms*."""
        while due := [(w.due_ms, n) for n, w in enumerate(conversations) if _is_due(w, until_ms)]:
            due_ms, number = min(due)
            _step(number, due_ms, conversations[number].wake)

    def _step(number, at_ms, act):
        w = conversations[number]
        w.now_ms, before = at_ms, len(w.opened)
        act()
        opened.extend((at_ms, number, held.pop(number, at_ms)) for _ in w.opened[before:])
        if w.state.slot_ms:
            held.setdefault(number, w.state.slot_ms)
        else:
            held.pop(number, None)

    for number, gap_ms in posts:
        now_ms += gap_ms
        advance(now_ms)
        w = conversations[number]
        _step(number, now_ms, lambda w=w: accepted.append((w, w.post())))
    advance(now_ms + wait_max_ms + 10_000)

    times = [at for at, _, _ in opened]
    assert times == sorted(times)
    for first in range(len(times)):
        for last in range(first, len(times)):
            stretch_ms = times[last] - times[first] + 1
            assert last - first + 1 <= burst + per_minute * stretch_ms / 60_000 + 1e-3
    assert all(at == slot for at, _, slot in opened), "a turn opened at another time than its slot"
    for w in conversations:
        w.settle()
    for w, message in accepted:
        assert message in {covered for closed in w.closed for covered in closed.covers}


def _is_due(w, until_ms):
    """Whether a burst or a slot is due; deadlines are left aside."""
    state = w.state
    return state is not None and state.open is None and state.is_pending and w.due_ms <= until_ms


def test_a_budget_needs_the_number_of_partitions():
    environ = {"HOLDFAST_CONVERSATIONS_TENANT_TURNS_PER_MINUTE": "60"}
    with pytest.raises(Fatal, match="HOLDFAST_CONVERSATIONS_PARTITIONS"):
        read_settings(ConversationsSettings, environ)
    read = read_settings(ConversationsSettings, environ | {"HOLDFAST_CONVERSATIONS_PARTITIONS": "12"})
    assert read.conversations.tenant_turns_per_minute == 60
