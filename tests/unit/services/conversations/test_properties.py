"""
Whatever comes, in whatever order, however often: the promises that the ledger makes to the other side of its topics.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.errors import Invalid
from shared.events.conversation import Author
from shared.events.topics import CONVERSATION_DECISIONS, CONVERSATION_EVENTS, TURNS_FINISHED, TURNS_VERIFIED
from shared.events.turns import FinishResult
from shared.stage.base import Record

STATE_BYTES_MAX = 1_000_000
CEILING = {"covers_max": 4, "seen_events_max": 8, "history_bytes_max": 1_024, "variables_bytes_max": 1_024}


def refusal(step):
    """Why *step* was refused; None where it was not."""
    try:
        step()
    except Invalid as error:
        return error.reason
    return None


class Conversation(RuleBasedStateMachine):
    """Does to a conversation all that can be done to it; *world* is the driver's class."""

    def __init__(self, world):
        super().__init__()
        self.world = world
        self.accepted = []
        self.erased = False

    @initialize(settle=st.sampled_from([0.0, 2.0]), empty=st.booleans())
    def begin(self, settle, empty):
        texts = {"failed": "", "expired": "", "hand_off": "", "too_large": ""} if empty else {}
        self.w = self.world(
            limits={"settle_seconds": settle, "window_messages": 5, "message_bytes": 40},
            playbook={"fallbacks": texts},
            bounds=CEILING,
        )

    @rule(
        text=st.text(max_size=50).map(lambda t: t.encode("utf-8", "ignore").decode()),
        agent=st.sampled_from(["desk", "desk", "desk", "nobody"]),
        sequence=st.none() | st.integers(0, 6),
        expires=st.none() | st.sampled_from([-1_000, 60_000]),
    )
    def customer_writes(self, text, agent, sequence, expires):
        expires_ms = None if expires is None else self.w.now_ms + expires
        self.accepted.append(self.w.post(text, agent=agent, sequence=sequence, expires_ms=expires_ms))

    @precondition(lambda self: self.accepted)
    @rule(data=st.data(), same=st.booleans())
    def an_id_comes_again(self, data, same):
        message = data.draw(st.sampled_from(self.accepted))
        before = self.w.data
        reason = refusal(lambda: self.w.post("hello" if same else "another body", event_id=message))
        assert reason in (None, "id_conflict")
        assert reason is None or self.w.data == before

    @rule(author=st.sampled_from([Author.HUMAN_AGENT, Author.ASSISTANT, Author.OTHER]))
    def somebody_else_writes(self, author):
        self.w.post("words", author=author)

    @precondition(lambda self: self.w.opened)
    @rule(
        data=st.data(),
        result=st.sampled_from(list(FinishResult)),
        wrong_hash=st.booleans(),
        leg=st.sampled_from([1, 1, 1, 2]),
    )
    def stages_finish(self, data, result, wrong_hash, leg):
        turn = data.draw(st.sampled_from([o.turn for o in self.w.opened[-3:]]))
        changes = {"text_sha256": "0" * 64} if wrong_hash and result is FinishResult.VERIFIED else {}
        self.w.finish(turn.model_copy(update={"leg": leg}), result, **changes)

    @rule(mode=st.sampled_from(["auto", "manual", "strange"]))
    def mode_changes(self, mode):
        self.w.tell("conversation.mode_changed", mode=mode)

    @rule(name=st.sampled_from("abc"), size=st.integers(0, 600))
    def a_variable_is_set(self, name, size):
        reason = refusal(lambda: self.w.tell("variable.set", name=name, value="v" * size))
        assert reason in (None, "variables_too_large")

    @rule()
    def platform_closes(self):
        self.w.tell("conversation.closed")

    @rule(really=st.integers(0, 9))
    def platform_erases(self, really):
        if really == 0:
            self.w.tell("conversation.erased")
            self.erased = True
            self.answers_before_erasure = len(self.w.responses)

    @rule(ms=st.integers(0, 5_000))
    def time_passes(self, ms):
        self.w.now_ms += ms
        while self.w.due_ms is not None and self.w.due_ms <= self.w.now_ms:
            self.w.wake()

    @rule(ms=st.integers(0, 70_000))
    def time_passes_and_timers_are_slow(self, ms):
        self.w.now_ms += ms

    @invariant()
    def at_most_one_turn_is_open_and_every_other_is_closed(self):
        if not hasattr(self, "w"):
            return
        state = self.w.state
        closed = [c.turn.id for c in self.w.closed]
        assert len(closed) == len(set(closed))
        still_open = {o.turn.id for o in self.w.opened} - set(closed)
        assert still_open == ({state.open.id} if state and state.open else set())
        assert not (state and state.open and state.waiting)

    @invariant()
    def responses_come_once_a_turn_in_the_order_of_turns(self):
        if hasattr(self, "w"):
            epochs = [r.epoch for r in self.w.responses]
            assert epochs == sorted(set(epochs))
            closings = [c.turn.epoch for c in self.w.closed]
            assert closings == sorted(set(closings))
            sent = {c.turn.id for c in self.w.closed if c.response_sha256}
            assert {r.turn_id for r in self.w.responses} == sent

    @invariant()
    def nothing_leaves_after_erasure(self):
        if self.erased:
            assert len(self.w.responses) == self.answers_before_erasure
            assert not self.w.state.transcript.entries

    @invariant()
    def the_state_is_bounded(self):
        if hasattr(self, "w") and self.w.data:
            assert len(self.w.data) < 8_000

    def teardown(self):
        if not hasattr(self, "w"):
            return
        self.w.settle()
        covered = {message for closed in self.w.closed for message in closed.covers}
        assert covered >= set(self.accepted)
        assert {o.turn.id for o in self.w.opened} <= {c.turn.id for c in self.w.closed}


def test_the_promises_hold_for_any_sequence_of_events(world):
    run_state_machine_as_test(
        lambda: Conversation(world), settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )


HEADER_NAMES = (
    *("ce_id", "ce_type", "ce_source", "ce_specversion", "ce_subject", "ce_time", "ce_expirytime"),
    *("content-type", "traceparent"),
)
HEADER_VALUES = (
    *(b"1.0", b"message.posted", b"turn.finished", b"/tenants/bank", b"c-1"),
    *(b"2026-01-01T00:00:00Z", b"0001-01-01T00:00:00+14:00"),
)
MESSAGE = b'{"agent":"desk","author":"customer","text":"x"}'
HEADER = st.tuples(st.sampled_from(HEADER_NAMES), st.binary(max_size=30) | st.sampled_from(HEADER_VALUES))


@settings(max_examples=300, deadline=None)
@given(
    topic=st.sampled_from([CONVERSATION_EVENTS, CONVERSATION_DECISIONS, TURNS_FINISHED, TURNS_VERIFIED]),
    key=st.none() | st.binary(max_size=20) | st.just(b"bank:c-1"),
    headers=st.lists(HEADER, max_size=10),
    value=st.none()
    | st.binary(max_size=60)
    | st.sampled_from([b"{}", b'{"agent":"desk","author":"customer","text":"x"}']),
    known=st.booleans(),
)
def test_any_bytes_are_taken_or_refused_and_nothing_else(world, topic, key, headers, value, known):
    w = world()
    if known:
        w.post()
    state = w.state
    record = Record(topic, 0, 1, w.now_ms, key, value, tuple(headers))
    reason = refusal(lambda: w.ledger.apply(state, record, w.now_ms))
    if reason is None:
        assert w.ledger.apply(state, record, w.now_ms) == w.ledger.apply(state, record, w.now_ms)
    else:
        assert reason.isidentifier()


def test_ten_thousand_messages_leave_a_state_as_small_as_the_window(world):
    w = world(limits={"window_messages": 20})
    state = None
    sizes = []
    for number in range(10_000):
        headers, value = message(w, number)
        transition = w.ledger.apply(state, w.record(CONVERSATION_EVENTS, headers, value), w.now_ms)
        state = transition.state
        if number % 1_000 == 999:
            sizes.append(len(w.ledger.encode(state)))
    assert max(sizes) < 1.05 * min(sizes) < 30_000
    assert state.transcript.omitted == 10_000 - 20


def message(w, number):
    return (
        (
            ("ce_specversion", b"1.0"),
            ("ce_id", b"m-%06d" % number),
            ("ce_source", b"/tenants/bank"),
            ("ce_type", b"message.posted"),
            ("ce_subject", b"c-1"),
            ("ce_time", b"2026-01-01T00:00:00Z"),
        ),
        b'{"agent":"desk","author":"customer","text":"message %06d"}' % number,
    )


def test_the_worst_that_may_come_fits_one_record(world):
    """Default bounds, every text at its largest and of characters that JSON writes in six bytes or UTF-8 in four."""
    w = world(limits={"message_bytes": 65_536, "window_messages": 500, "window_tokens": 100_000})
    w.tell("variable.set", name="v", value="\x01" * 4_096)
    for number in range(110):
        w.post("\x01" * 65_536 if number % 2 else "\U0001f600" * 16_384, event_id=f"{number:04}" + "\U0001f600" * 63)
    w.tell("conversation.mode_changed", mode="auto")
    assert len(w.opened[-1].covers) == 100
    assert len(w.data) < STATE_BYTES_MAX
