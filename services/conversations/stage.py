"""
The ledger: between records and conversations.

Every input is decoded here, worked out in `domain`, and what follows is encoded here. Pure but for the metrics, so
the runtime may repeat an input, and a simulation may run it without a broker.
"""

from collections.abc import Collection

from aiokafka.partitioner import murmur2

from services.conversations.domain.admission import Admission, Unlimited
from services.conversations.domain.bounds import Bounds
from services.conversations.domain.effects import Closed, Note
from services.conversations.domain.events import apply_event, apply_time
from services.conversations.domain.records import emissions
from services.conversations.domain.speakers import RESULT_TOPICS, check_speaker, is_verifiers_word
from services.conversations.domain.state import ConversationState, decode, encode
from services.conversations.domain.step import Step
from services.conversations.metrics import ConversationsMetrics
from shared.errors import Invalid
from shared.events import codec
from shared.events.base import Body
from shared.events.conversation import ConversationErased
from shared.events.envelope import Address, Envelope
from shared.events.topics import (
    CONVERSATION_DECISIONS,
    CONVERSATION_EVENTS,
    RECEIVED_FROM_TENANTS,
    TOPICS,
    TURNS_FINISHED,
    shared_topic,
    tenant_named_by,
)
from shared.events.turns import TurnFinished
from shared.playbook.directory import Directory
from shared.stage.base import Output, Record, Transition
from shared.telemetry.trace import hop

_INPUTS = (*RECEIVED_FROM_TENANTS, *RESULT_TOPICS)


class ConversationLedger:
    """
    A `shared.stage.base.Ledger` of `ConversationState`.

    *partitions* is the number of partitions of the topics, by which a record that was sent to the wrong one is found
    out; 0 does not look. Only a conversation that this task does not know yet is looked at: one that it knows is at
    home here. *admission* says when a tenant's turns may open. What is about *tenants_apart* comes on topics of their
    own, and nothing else does. *verified_from_finished* and *approvals_from_events* believe an older verifier, or
    approver, where it writes.
    """

    def __init__(
        self,
        playbooks: Directory,
        bounds: Bounds,
        metrics: ConversationsMetrics,
        *,
        partitions: int = 0,
        admission: Admission | None = None,
        tenants_apart: Collection[str] = (),
        verified_from_finished: bool = False,
        approvals_from_events: bool = False,
    ) -> None:
        self._playbooks = playbooks
        self._bounds = bounds
        self._metrics = metrics
        self._partitions = partitions
        self._admission = admission or Unlimited()
        self._tenants_apart = frozenset(tenants_apart)
        self._verified_from_finished = verified_from_finished
        self._types: dict[str, dict[str, type[Body]]] = {name: TOPICS[name].types for name in _INPUTS}
        if approvals_from_events:
            self._types[CONVERSATION_EVENTS] = TOPICS[CONVERSATION_EVENTS].types | TOPICS[CONVERSATION_DECISIONS].types

    def decode(self, data: bytes) -> ConversationState:
        """
        The state that `encode` wrote, or an older release did.

        Raises:
            StateError: it cannot be read.

        """
        return decode(data)

    def encode(self, state: ConversationState) -> bytes:
        """
        *state* as it goes into the changelog.

        Raises:
            StateError: it could not be read back.

        """
        data = encode(state)
        # What tools said is the one part whose form is not ours.
        if state.calls:
            decode(data)
        return data

    def anew(self, now_ms: int) -> Transition[ConversationState]:
        """
        An empty state, forgotten in its time. Its epochs go on at the unix seconds, above any that the lost state can
        have counted: the stages take a lower one for superseded.
        """
        retire_ms = now_ms + round(self._bounds.idle_retention_seconds * 1_000)
        state = ConversationState(epoch=now_ms // 1_000, touched_ms=now_ms, retire_ms=retire_ms)
        return Transition(state, state.due_ms)

    def forgets(self, record: Record) -> bool:
        """Whether *record* erases the conversation."""
        try:
            event = codec.decode(TOPICS[CONVERSATION_EVENTS].types, record.key, record.headers, record.value)
        except Invalid:
            return False
        return isinstance(event.data, ConversationErased)

    def apply(self, state: ConversationState | None, record: Record, now_ms: int) -> Transition[ConversationState]:
        """
        What follows from an event or from the stages' result.

        Raises:
            Invalid: the record cannot be read (shared/events/codec.py names the reasons), is `misrouted` or of another
                tenant than may write there (`tenant_mismatch`), says what the writers of its topic do not decide
                (`wrong_topic`), its id was seen with another body (`id_conflict`), or it exceeds a bound.

        """
        topic = shared_topic(record.topic)
        event = codec.decode(self._types[topic], record.key, record.headers, record.value)
        former = self._check_speaker(topic, event)
        stages = topic in RESULT_TOPICS
        address = Address.from_key(record.key)
        if self._tenants_apart and not stages:
            self._check_tenant(address.tenant, record.topic)
        if state is None:
            self._check_home(record)
        step = self._step(address, state or ConversationState(), now_ms)
        step.older_release = former
        if former:
            step.notes.append(Note.FORMER_TOPIC)
        step.cause = event.id
        step.traceparent = hop(event.traceparent, f"{event.source}\x1f{event.id}")
        if not apply_event(step, event):
            self._count(step)
            return _unchanged(state)
        if not stages:
            self._metrics.accepted[event.type].inc()
        return self._finish(step)

    def wake(self, key: bytes, state: ConversationState, now_ms: int) -> Transition[ConversationState]:
        """What follows from a deadline, the end of a burst, or the end of a retention."""
        parent = state.open.traceparent if state.open else state.traceparent
        step = self._step(Address.from_key(key), state, now_ms)
        step.traceparent = hop(parent, f"{key.decode()}\x1fwake\x1f{now_ms}")
        if not apply_time(step):
            return Transition(None)
        return self._finish(step, parent)

    def _step(self, address: Address, state: ConversationState, now_ms: int) -> Step:
        return Step(address, state.copy(), now_ms, self._playbooks, self._bounds, self._admission)

    def _finish(self, step: Step, parent: str = "") -> Transition[ConversationState]:
        key = step.address.key
        outputs = tuple([Output(topic, key, value, headers) for topic, headers, value in emissions(step)])
        self._count(step)
        return Transition(step.state, step.state.due_ms, outputs, parent)

    def _count(self, step: Step) -> None:
        for note in step.notes:
            self._metrics.notes[note].inc()
        for effect in step.effects:
            if isinstance(effect, Closed):
                self._metrics.outcomes[effect.outcome].inc()
                if effect.reply is not None:
                    self._metrics.latency.observe(max(0, effect.closed_ms - effect.turn.accepted_ms) / 1000)

    def _check_speaker(self, topic: str, event: Envelope[Body]) -> bool:
        """Whether *event* is believed here only because an older release wrote it."""
        if isinstance(event.data, TurnFinished):
            check_speaker(topic, event.data, verified_from_finished=self._verified_from_finished)
            return topic == TURNS_FINISHED and is_verifiers_word(event.data)
        return event.type not in TOPICS[topic].types

    def _check_tenant(self, tenant: str, topic: str) -> None:
        """A tenant with a topic of its own is believed there alone: the broker knows who may write there."""
        owner = tenant_named_by(topic)
        if owner != (tenant if tenant in self._tenants_apart else ""):
            place = f"{owner}'s own topic" if owner else "the shared topic"
            raise Invalid(
                "tenant_mismatch",
                f"an event of {tenant} came on {place}; HOLDFAST_KAFKA_TENANT_TOPICS says where each tenant's belong",
            )

    def _check_home(self, record: Record) -> None:
        if not self._partitions or record.key is None:
            return
        home = (murmur2(record.key) & 0x7FFFFFFF) % self._partitions
        if home != record.partition:
            raise Invalid(
                "misrouted",
                f"the key belongs to partition {home} of {self._partitions} and came on {record.partition}: its "
                "publisher does not use murmur2, or the topics differ in their partition counts",
            )


def _unchanged(state: ConversationState | None) -> Transition[ConversationState]:
    return Transition(state, state.due_ms if state else None)
