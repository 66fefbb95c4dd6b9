"""
The handler of a stage that works on turns (matcher, reasoner, verifier). A service writes one method:

    class Matching:
        async def process(self, event: Envelope[TurnOpened]) -> Sequence[tuple[str, str, Body]]:
            ...
            return [(TURNS_MATCHED, "turn.matched", TurnMatched(...))]

`process` gets one event of the stage's input topics, decoded, and returns what follows as (topic, ce_type, body);
returning nothing ends the stage's part in the turn silently. Everything around it is done here: the envelope (id
derived from turn, leg and type, so that a repetition has the same id; source `/tenants/{tenant}/{stage}`, subject,
correlation, causation, trace context), the turn's deadline, superseding, repeated inputs, one canonical log line,
metrics.

While `process` runs it may be cancelled at any await: a newer turn was opened, the deadline passed, or the task went
to another process. It may raise `Retryable` (tried again later), `Invalid` (dead-lettered); anything else is a bug.
What goes on failing ends its turn as `failed`, with the playbook's fallback, and nothing else.

    stage = TurnStage("matcher", Matching(...), inputs=[TURNS_OPENED], settings=settings.stage, metrics=metrics)
    ConcurrentStage("matcher", broker, stage, inputs=[TURNS_OPENED], watches=[], settings=..., metrics=..., health=...)

Reasoner and verifier watch `turns.opened` (`watches=[TURNS_OPENED]`) beside their input.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, cast

import structlog

from shared.errors import Invalid
from shared.events.base import Body
from shared.events.codec import decode, encode, source_of
from shared.events.envelope import Address, Envelope, derived_id
from shared.events.topics import TOPICS, TURNS_OPENED
from shared.events.turns import Turn, TurnDrafted, TurnMatched, TurnOpened
from shared.playbook.directory import Directory
from shared.stage.base import Output, Record
from shared.stage.failed_turn import ENDS, OPENED_HEADS, check_key, failed_turn, hands_off, head_of
from shared.stage.hops import hop_of, wrote
from shared.stage.leads import Leads, assume
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings
from shared.stage.steady_clock import unix_time
from shared.stage.supersede import NewestTurns, Recent, Superseded
from shared.stage.unexpected import Unexpected, passes
from shared.telemetry.logging import canonical
from shared.telemetry.spans import Spans, telling, under_way
from shared.telemetry.trace import continued, derived

_log = structlog.get_logger(__name__)

In = TypeVar("In", bound=Body)
Products = Sequence[tuple[str, str, Body]]
"""What follows from an event: (topic, ce_type, body) each."""


class TurnWork(Protocol[In]):
    """What a service does with one event of a turn."""

    async def process(self, event: Envelope[In]) -> Products:
        """
        What follows from *event*; at most one body of each type.

        Raises:
            Retryable: tried again after a while, while the turn is open and newest.
            Invalid: the record is dead-lettered, and the turn fails.

        """
        ...


class Result(StrEnum):
    """How a turn's record ended in a stage."""

    DONE = "done"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"


class TurnStage(Generic[In]):
    """
    A `Handler` around *work*. *stage* is the service's name; *inputs* are the topics whose events *work* processes.

    *clock* tells unix seconds. A turn's times are compared with it as far as it agrees with the ledger's, which wrote
    them; see shared/stage/leads.py. *work* that compares them too does so with `ledger_time`. *spans* are
    told of each record's handling, and of the calls that it took. *directory* knows whether people take a failed turn
    over; without one, nobody does.
    """

    def __init__(
        self,
        stage: str,
        work: TurnWork[In],
        *,
        inputs: Sequence[str],
        settings: StageSettings,
        metrics: StageMetrics,
        clock: Callable[[], float] = unix_time,
        spans: Spans | None = None,
        directory: Directory | None = None,
    ) -> None:
        self._stage = stage
        self._work = work
        self._inputs = {topic: TOPICS[topic].types for topic in inputs}
        self._metrics = metrics
        self._unexpected = Unexpected(stage, metrics)
        self._directory = directory
        self._clock = clock
        self._leads = Leads()
        self._spans = spans
        self._newest = NewestTurns(settings.epochs_remembered_max)
        self._handled: Recent[tuple[str, int], None] = Recent(settings.turns_remembered_max)
        # A record leaves when it is acknowledged; one that never is, because its task was lost, is crowded out.
        self._unacknowledged: Recent[tuple[str, int, int], tuple[str, int]] = Recent(2 * settings.in_flight_max)

    def observe(self, record: Record) -> None:
        """Learn of the newest turn; work on an older one of the same conversation is cancelled."""
        if record.topic != TURNS_OPENED or record.key is None:
            return
        try:
            head = decode(OPENED_HEADS, record.key, record.headers, record.value)
        except Invalid:
            # As an input it is dead-lettered in its turn; where it is only watched, the stage whose input it is does
            # so.
            return
        lead_seconds = self._clock() - head.time.timestamp()
        self._leads.take(record.partition, lead_seconds, fresh=record.fresh)
        if record.fresh or lead_seconds < 0:
            self._metrics.clock_lead.set(lead_seconds)
        self._newest.observe(record.key, head.data.turn)

    async def handle(self, record: Record) -> Sequence[Output]:
        """
        The outputs of *record*; none where its turn is superseded, expired or was handled before.

        Raises:
            Retryable: from the work.
            Invalid: the record cannot be read, or the work refuses it.

        """
        if self._spans is None:
            return await self._handle(record)
        with telling(self._spans, hop_of(record, self._stage)) as hop:
            outputs = await self._handle(record)
            hop.wrote = wrote(outputs)
        return outputs

    async def _handle(self, record: Record) -> Sequence[Output]:
        event = cast("Envelope[In]", decode(self._inputs[record.topic], record.key, record.headers, record.value))
        turn = turn_of(event.data)
        key = check_key(turn, record.key)
        now = asyncio.get_running_loop().time
        lead_seconds = self._leads.of(record.partition)
        assume(lead_seconds)
        begun_at, begun = self._clock() - lead_seconds, now()
        with structlog.contextvars.bound_contextvars(turn=turn.id):
            result, products = await self._attempt(key, event, turn, begun_at)
            if len({ce_type for _, ce_type, _ in products}) < len(products):
                raise ValueError("two products of one type would have the same id, and readers would drop the second")
            outputs = [self._output(event, turn, *product) for product in products]
            self._unacknowledged.put((record.topic, record.partition, record.offset), (turn.id, turn.leg))
            age = max(0.0, begun_at - turn.opened_at.timestamp())
            with self._unexpected.spared("account", record):
                self._account(record, event, turn, result, age=age, spent=now() - begun)
        return outputs

    def given_up(self, record: Record, reason: str) -> Sequence[Output]:
        """
        What fails the turn of *record*: the ledger closes it with its playbook's fallback.

        Raises:
            Invalid: the turn cannot be read.

        """
        event = head_of(record)
        turn, people = event.data.turn, False
        with self._unexpected.spared("give_up", record):
            people = hands_off(self._directory, turn)
        body = failed_turn(turn, self._stage, reason, hands_off=people)
        self._unacknowledged.put((record.topic, record.partition, record.offset), (turn.id, turn.leg))
        topic, ce_type = ENDS[event.type]
        return [self._output(event, turn, topic, ce_type, body)]

    def acknowledged(self, record: Record) -> None:
        """Remember the turn's leg as handled."""
        handled = self._unacknowledged.pop((record.topic, record.partition, record.offset))
        if handled is not None:
            self._handled.put(handled, None)

    async def _attempt(self, key: bytes, event: Envelope[In], turn: Turn, now: float) -> tuple[Result, Products]:
        if (turn.id, turn.leg) in self._handled:
            self._metrics.dedupe_hits.inc()
            return Result.DUPLICATE, ()
        remaining_seconds = turn.deadline.timestamp() - now
        if remaining_seconds <= 0:
            return Result.EXPIRED, ()
        try:
            async with asyncio.timeout(remaining_seconds) as limit, self._newest.work(key, turn):
                return Result.DONE, await self._work.process(event)
        except Superseded:
            return Result.SUPERSEDED, ()
        except (Exception, BaseExceptionGroup) as error:
            # What the work raises when the deadline cuts it short is as late as its result would be.
            if not limit.expired() or passes(error):
                raise
            return Result.EXPIRED, ()

    def _output(self, event: Envelope[Any], turn: Turn, topic: str, ce_type: str, body: Body) -> Output:
        headers, value = encode(
            Envelope(
                id=derived_id(turn.id, turn.leg, ce_type),
                source=source_of(turn.tenant, self._stage),
                type=ce_type,
                time=datetime.fromtimestamp(self._clock(), UTC),
                subject=turn.conversation,
                data=body,
                correlation_id=turn.id,
                causation_id=event.id,
                traceparent=str(continued(event.traceparent, derived(turn.id, turn.leg, ce_type))),
            )
        )
        return Output(topic, Address(turn.tenant, turn.conversation).key, value, headers)

    def _account(
        self, record: Record, event: Envelope[In], turn: Turn, result: Result, *, age: float, spent: float
    ) -> None:
        if (hop := under_way()) is not None:
            hop.attributes["holdfast.result"] = result.value
        self._metrics.result(result).inc()
        self._metrics.age.observe(age)
        self._metrics.duration.observe(spent)
        canonical(
            _log,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            outcome=result,
            duration_seconds=spent,
            event_id=event.id,
            tenant=turn.tenant,
            conversation=turn.conversation,
            turn=turn.id,
            trace=event.traceparent,
            leg=turn.leg,
            age_seconds=round(age, 3),
        )


def turn_of(body: Body) -> Turn:
    """The turn that a body of the stages' input topics is about."""
    match body:
        case TurnOpened():
            return body.turn
        case TurnMatched() | TurnDrafted():
            return body.opened.turn
    raise TypeError(f"{type(body).__name__} is no input of a turn's stage")
