"""Whatever comes to the ledger through its runtime is applied or dead-lettered, and what is kept can be read back."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.conversations.domain.bounds import Bounds
from services.conversations.domain.state import decode, encode
from services.conversations.metrics import ConversationsMetrics
from services.conversations.settings import ConversationsSection
from services.conversations.stage import ConversationLedger
from services.operator.adapters.samples import bank_playbook
from shared.events.codec import encode as encoded
from shared.events.codec import headers_of
from shared.events.conversation import Author, MessagePosted, VariableSet
from shared.events.envelope import Address, Envelope
from shared.events.topics import CONVERSATION_EVENTS, TURNS_FINISHED, TURNS_OPENED, TURNS_VERIFIED
from shared.playbook.directory import StaticDirectory
from shared.stage.base import Record
from shared.stage.commit_group import Applied
from shared.stage.dead_letters import dead_letter
from shared.stage.fold import Fold
from shared.stage.state import KeyedState, MemoryStateStore
from shared.stage.timers import Timers

HERE = Address("acme", "c")
INPUTS = (CONVERSATION_EVENTS, TURNS_FINISHED, TURNS_VERIFIED)
BOUNDS = Bounds.of(ConversationsSection().model_dump())
METRICS = ConversationsMetrics(CollectorRegistry())
PLAYBOOK = bank_playbook()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
DEEP = st.integers(1, 400).map(lambda levels: json.loads("[" * min(levels, 200) + "]" * min(levels, 200)))


class Letters:
    def rejected(self, record, error):
        return dead_letter("conversations", record, error, attempts=1, first_failed_at=1.0)

    held = rejected


class Task:
    """A fold of the conversations' ledger, with one conversation whose turn is open."""

    def __init__(self):
        directory = StaticDirectory()
        directory.put("acme", PLAYBOOK)
        self.ledger = ConversationLedger(directory, BOUNDS, METRICS)
        state = KeyedState(MemoryStateStore(), self.ledger.decode, self.ledger.encode, cache_bytes_max=0)
        self.fold = Fold(
            self.ledger,
            state,
            Timers(),
            task=0,
            changelog="conversations.state",
            positions=dict.fromkeys(INPUTS, 0),
            letters=Letters(),
            records_max=500,
            bytes_max=1_000_000,
            quarantined={},
        )
        self.now_ms = 1_000_000
        self.written = []

    def write(self, topic, key, headers, value):
        self.now_ms += 1_000
        record = Record(topic, 0, self.fold.positions[topic], self.now_ms, key, value, headers)
        applied = self.fold.apply(record, self.now_ms)
        group = self.fold.seal()
        self.fold.settle()
        self.written += group.outputs
        return applied, group

    def opened(self):
        """The body of the turn that was opened last; a burst that has to settle is given the time."""
        while self.fold.wake(self.now_ms + 2_000):
            pass
        if (group := self.fold.seal()) is not None:
            self.written += group.outputs
            self.fold.settle()
        return json.loads([output for output in self.written if output.topic == TURNS_OPENED][-1].value)

    def tell(self, body, kind, name):
        event = Envelope(name, "/tenants/acme", kind, datetime(2026, 1, 1, tzinfo=UTC), "c", body)
        return self.write(CONVERSATION_EVENTS, HERE.key, *encoded(event))

    def check(self):
        while self.fold.wake(self.now_ms + 10**12):
            pass
        self.fold.seal()
        self.fold.settle()
        assert self.fold.quarantined == {}
        for key, value, _ in self.fold.state.store.iterate():
            state = decode(value)
            assert decode(encode(state)) == state, key


@pytest.fixture
def make_task():
    return Task


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(INPUTS),
            st.none() | st.binary(max_size=20) | st.just(HERE.key),
            st.lists(st.tuples(st.text(max_size=12), st.none() | st.binary(max_size=20)), max_size=4).map(tuple),
            st.none() | st.binary(max_size=60),
        ),
        max_size=8,
    )
)
def test_any_bytes_are_dead_lettered_and_set_nothing_apart(make_task, records):
    task = make_task()
    for topic, key, headers, value in records:
        assert task.write(topic, key, headers, value)[0] is Applied.REJECTED
    task.check()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS.filter(bool), TEXTS), max_size=10), VALUES | DEEP)
def test_whatever_events_and_results_hold_can_be_read_back(make_task, variables, said):
    task = make_task()
    task.tell(MessagePosted(agent=PLAYBOOK.agent, author=Author.CUSTOMER, text="hello"), "message.posted", "m")
    for number, (name, value) in enumerate(variables):
        task.tell(VariableSet(name=name, value=value), "variable.set", f"v{number}")
    opened = task.opened()
    call = {"id": "c", "tool": "t", "arguments": {"x": said}}
    result = {"call": call, "status": "done", "data": said, "at": "2026-01-01T00:00:00Z"}
    body = {"turn": opened["turn"], "stage": "reasoner", "result": "paused", "results": [result], "draft": None}
    event = Envelope("f", "/tenants/acme/reasoner", "turn.finished", datetime(2026, 1, 1, tzinfo=UTC), "c", None)
    applied, _ = task.write(TURNS_FINISHED, HERE.key, headers_of(event), json.dumps(body).encode())
    assert applied in {Applied.CHANGED, Applied.REJECTED}, applied
    task.check()
