"""
A conversation under test: the real ledger, driven record by record, its outputs decoded as any consumer would.
"""

import hashlib
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry

from services.conversations.domain.bounds import Bounds
from services.conversations.metrics import ConversationsMetrics
from services.conversations.settings import ConversationsSection
from services.conversations.stage import ConversationLedger
from shared.events import codec
from shared.events import turns as wire
from shared.events.claims import ClaimKind, Correction, Judge, ReasoningMode, Verdict
from shared.events.conversation import Author, MessagePosted
from shared.events.envelope import Address, Envelope
from shared.events.schema import writer_schema
from shared.events.topics import CONVERSATION_EVENTS, RECEIVED_FROM_TENANTS, TOPICS, TURNS_FINISHED, TURNS_VERIFIED
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook, Profile
from shared.stage.base import Record

START_MS = 1_790_000_000_000
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
VALIDATORS = {
    event_type: Draft202012Validator(writer_schema(event_type))
    for event_type in (
        "turn.opened",
        "turn.closed",
        "response.sent",
        "acknowledgement.sent",
        "approval.requested",
        "claim.judged",
    )
}


def instant(ms):
    return datetime.fromtimestamp(ms / 1000, UTC)


def bounds_of(**changes):
    return Bounds.of(ConversationsSection(**changes).model_dump())


class World:
    """
    One conversation of tenant `bank` with the agent `desk`.

    Each step goes through bytes: the state is encoded and decoded in between, so what is lost is not relied on.
    """

    START_MS = START_MS

    def __init__(self, *, limits=None, playbook=None, bounds=None, partitions=0, conversation="c-1", admission=None):
        self.playbooks = StaticDirectory()
        self.publish(limits=limits, **(playbook or {}))
        self.registry = CollectorRegistry()
        self.ledger = ConversationLedger(
            self.playbooks,
            bounds_of(**(bounds or {})),
            ConversationsMetrics(self.registry),
            partitions=partitions,
            admission=admission,
        )
        self.address = Address("bank", conversation)
        self.now_ms = START_MS
        self.data = None
        self.due_ms = None
        self.offset = 0
        self.number = 0
        self.opened, self.closed, self.responses, self.claims, self.asked = [], [], [], [], []
        self.acknowledged, self.envelopes = [], []
        self.last = ()

    def publish(self, *, agent="desk", limits=None, **parts):
        playbook = Playbook(agent=agent, profile=Profile(name="Desk"), limits=limits or {}, **parts)
        return self.playbooks.put("bank", playbook)

    @property
    def state(self):
        return None if self.data is None else self.ledger.decode(self.data)

    def note(self, note):
        return self.registry.get_sample_value("holdfast_conversation_notes_total", {"note": note}) or 0

    # -- inputs ------------------------------------------------------------------------------------------------------

    def record(self, topic, headers, value, key=None):
        self.offset += 1
        return Record(topic, 0, self.offset, self.now_ms, key or self.address.key, value, tuple(headers))

    def event(
        self, event_type, body, *, event_id=None, topic=CONVERSATION_EVENTS, source="", expires_ms=None, **changes
    ):
        self.number += 1
        envelope = Envelope(
            id=event_id or f"e-{self.number}",
            source=codec.source_of("bank", source),
            type=event_type,
            time=instant(changes.pop("time_ms", self.now_ms)),
            subject=self.address.conversation,
            data=body,
            traceparent=TRACEPARENT,
            **changes,
        )
        headers, value = codec.encode(envelope)
        if expires_ms is not None:
            headers += (("ce_expirytime", instant(expires_ms).isoformat().encode()),)
        return self.apply(self.record(topic, headers, value)), envelope.id

    def post(self, text="hello", *, author=Author.CUSTOMER, agent="desk", sequence=None, name="", **changes):
        body = MessagePosted.model_construct(
            agent=agent, author=author, text=text, sequence=sequence, customer_id="", customer_name=name
        )
        return self.event("message.posted", body, **changes)[1]

    def tell(self, event_type, **fields):
        event_id = fields.pop("event_id", None)
        if event_type == "approval.given" and "digest" not in fields:
            fields["digest"] = next((a.digest for a in self.asked if a.approval_id == fields["approval_id"]), "")
        topic = next(name for name in RECEIVED_FROM_TENANTS if event_type in TOPICS[name].types)
        body = TOPICS[topic].types[event_type].model_validate(fields)
        return self.event(event_type, body, event_id=event_id, topic=topic)[1]

    def finish(self, turn=None, result=wire.FinishResult.VERIFIED, text="Certainly.", *, topic=None, **fields):
        """The stages' result: of the reasoner where it is a pause or silence, else of the verifier."""
        turn = turn or self.opened[-1].turn
        verified = result is wire.FinishResult.VERIFIED
        drafting = result in {wire.FinishResult.PAUSED, wire.FinishResult.SILENT} or fields.get("results")
        topic = topic or (TURNS_FINISHED if drafting else TURNS_VERIFIED)
        fields = {
            "text": text if verified else "",
            "text_sha256": hashlib.sha256(text.encode()).hexdigest() if verified else "",
            "verification": None if drafting else wire.Verification(passed=verified, verified_by=Judge.CODE),
            "marks": (*self.opened[-1].marks, wire.Mark(stage="verifier", received_ms=1, finished_ms=2)),
        } | fields
        body = wire.TurnFinished(turn=turn, stage="verifier", result=result, **fields)
        return self.event(next(iter(TOPICS[topic].types)), body, topic=topic, source="verifier")[0]

    def apply(self, record):
        state = self.state
        before = None if state is None else self.ledger.encode(state)
        transition = self.ledger.apply(state, record, self.now_ms)
        assert state is None or self.ledger.encode(state) == before, "a state was changed in place"
        return self._take(transition)

    def wake(self):
        assert self.due_ms is not None
        self.now_ms = max(self.now_ms, self.due_ms)
        due_ms, transition = self.due_ms, self.ledger.wake(self.address.key, self.state, self.now_ms)
        assert transition.due_ms is None or transition.due_ms > due_ms, "a wake must clear or advance its due time"
        return self._take(transition)

    def settle(self):
        """Let time pass until no turn is open and no message waits."""
        while (state := self.state) is not None and (state.open or state.is_pending):
            self.wake()

    def _take(self, transition):
        if transition.state is None:
            assert transition.due_ms is None
            self.data = None
        else:
            self.data = self.ledger.encode(transition.state)
            assert self.ledger.decode(self.data) == transition.state
        self.due_ms = transition.due_ms
        self.last = transition.outputs
        for output in transition.outputs:
            assert output.key == self.address.key
            assert len(output.value) < 1_000_000
            event = codec.decode(TOPICS[output.topic].types, output.key, output.headers, output.value)
            VALIDATORS[event.type].validate(json.loads(output.value))
            self.envelopes.append(event)
            self._sink(event.type).append(event.data)
        return transition

    def _sink(self, event_type):
        return {
            "turn.opened": self.opened,
            "turn.closed": self.closed,
            "response.sent": self.responses,
            "acknowledgement.sent": self.acknowledged,
            "approval.requested": self.asked,
            "claim.judged": self.claims,
        }[event_type]

    @property
    def outcomes(self):
        return [(str(closed.outcome), closed.reason) for closed in self.closed]


@pytest.fixture(scope="session")
def world():
    """The class, so that property tests can make a fresh one per example."""
    return World


@pytest.fixture(scope="session")
def claim():
    """A supported claim at a position."""

    def make(position, text="The fee is 5 euros."):
        return wire.ClaimVerdict(
            position=position,
            kind=ClaimKind.NUMBER,
            text=text,
            draft_verdict=Verdict.CONTRADICTED,
            final_verdict=Verdict.SUPPORTED,
            correction=Correction.VALUE_RESTORED,
            judge=Judge.CODE,
        )

    return make


@pytest.fixture(scope="session")
def draft():
    """A draft of one claim, by the model `m`."""
    return wire.Draft(
        mode=ReasoningMode.COT,
        segments=(wire.Segment(kind=wire.SegmentKind.CLAIM, text="The fee is 5 euros."),),
        facts=(),
        spent=wire.Spent(calls=1, model="m"),
    )


@pytest.fixture(scope="session")
def bounds():
    return bounds_of


@pytest.fixture(scope="session")
def times():
    return SimpleNamespace(instant=instant, start_ms=START_MS)
