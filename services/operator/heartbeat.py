"""
The heartbeat: a question that goes the whole way of a customer's message again and again, partition by partition, so
that a stage which stands still is noticed although no customer writes.

Its tenant has a playbook of its own and shares nothing with others. Each beat costs the model calls of one reply.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import structlog
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from pydantic import Field

from services.operator.adapters.playbooks import publish_playbook
from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import TopicReader
from services.operator.metrics import HeartbeatMetrics
from shared.errors import HoldfastError
from shared.events.envelope import Address
from shared.events.topics import TURNS_CLOSED
from shared.events.turns import Outcome, TurnClosed
from shared.playbook.model import Fact, Guideline, Limits, Playbook, Profile
from shared.settings import Section
from shared.stage.process import Process, StageProcessSettings
from shared.telemetry.health import Health

AGENT = "heartbeat"
QUESTION = "What is the word of the day?"
LATE = "late"
RESTART_SECONDS = 5.0

log = structlog.get_logger(__name__)


class HeartbeatSection(Section):
    """How often the way of a message is walked, and how long it may take."""

    tenant: str = Field("holdfast-heartbeat", min_length=1, description="whose conversations the beats are")
    interval_seconds: float = Field(30.0, gt=0, description="between two beats; each walks the next partition")
    patience_seconds: float = Field(20.0, gt=0, le=3_600, description="a beat without an outcome by then is late")


class HeartbeatSettings(StageProcessSettings):
    """All that the heartbeat reads from the environment."""

    heartbeat: HeartbeatSection = HeartbeatSection()


def playbook(settings: HeartbeatSection) -> Playbook:
    """What the heartbeat's agent is told: one guideline and one fact, so that every stage has something to do."""
    return Playbook(
        agent=AGENT,
        profile=Profile(name="Heartbeat", description="Answers the question by which the pipeline is watched."),
        guidelines=(
            Guideline(
                id="word-of-the-day",
                condition="the customer asks for the word of the day",
                action="tell the word of the day",
            ),
        ),
        facts=(Fact(id="word", text="The word of the day is steadfast."),),
        limits=Limits(deadline_seconds=settings.patience_seconds, window_messages=2),
    )


def addresses(tenant: str, partitions: int) -> tuple[Address, ...]:
    """An address in each partition, by partition number (murmur2, as Kafka's clients place keys)."""
    found: dict[int, Address] = {}
    for number in itertools.count():
        address = Address(tenant, f"beat-{number}")
        found.setdefault((murmur2(address.key) & 0x7FFFFFFF) % partitions, address)
        if len(found) == partitions:
            return tuple(found[partition] for partition in range(partitions))
    raise AssertionError("unreachable: every partition has keys")


class Heartbeat:
    """Beats until told to stop; a broker that is away, or whatever a beat meets, makes beats fail and ends nothing."""

    def __init__(self, settings: HeartbeatSettings, metrics: HeartbeatMetrics, health: Health) -> None:
        self._kafka = settings.kafka
        self._settings = settings.heartbeat
        self._metrics = metrics
        self._health = health

    async def run(self, stop: asyncio.Event) -> None:
        """Beat until *stop* is set."""
        while not stop.is_set():
            try:
                await self._beating(stop)
            except (HoldfastError, KafkaError, OSError) as error:
                await self._fail(stop, error=str(error))
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001  the boundary of the watch: it tells that beats fail, whatever fails
                await self._fail(stop, exc_info=error)

    async def _fail(self, stop: asyncio.Event, **why: Any) -> None:
        self._health.ready = False
        self._metrics.beats.labels(result="failed").inc()
        log.warning("the heartbeat begins anew", **why)
        await _pause(stop, RESTART_SECONDS)

    async def _beating(self, stop: asyncio.Event) -> None:
        settings = self._settings
        await publish_playbook(self._kafka, settings.tenant, playbook(settings))
        async with (
            Publisher(self._kafka) as publisher,
            TopicReader(self._kafka, [TURNS_CLOSED], start="end") as reader,
        ):
            self._health.ready = True
            for address in itertools.cycle(addresses(settings.tenant, reader.partitions)):
                begun = time.monotonic()
                await self._beat(publisher, reader, address)
                await _pause(stop, settings.interval_seconds - (time.monotonic() - begun))
                if stop.is_set():
                    return

    async def _beat(self, publisher: Publisher, reader: TopicReader, address: Address) -> None:
        question = posted(address, AGENT, QUESTION, event_id=str(uuid4()))
        begun = time.monotonic()
        await publisher.publish([(address, question)])
        try:
            async with asyncio.timeout(self._settings.patience_seconds):
                outcome = await _outcome(reader, question.id)
        except TimeoutError:
            self._metrics.beats.labels(result=LATE).inc()
            log.warning("a beat had no outcome in time", conversation=address.conversation)
            return
        seconds = time.monotonic() - begun
        self._metrics.beats.labels(result=outcome).inc()
        if outcome is Outcome.ANSWERED:
            self._metrics.seconds.observe(seconds)
            self._metrics.last.set_to_current_time()
        else:
            log.warning("a beat was not answered", conversation=address.conversation, outcome=outcome)


async def _outcome(reader: TopicReader, message: str) -> Outcome:
    while True:
        for seen in await reader.read():
            if isinstance(seen.event.data, TurnClosed) and message in seen.event.data.covers:
                return seen.event.data.outcome


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), max(0.0, seconds))


@asynccontextmanager
async def build(settings: HeartbeatSettings, process: Process) -> AsyncIterator[Heartbeat]:
    """The heartbeat of a process."""
    yield Heartbeat(settings, HeartbeatMetrics(process.registry), process.health)
