"""A conversation whose state cannot be read, on a real broker: set apart, shown, and let out by command."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from services.conversations.domain.bounds import Bounds
from services.conversations.domain.speakers import RESULT_TOPICS
from services.conversations.metrics import ConversationsMetrics
from services.conversations.settings import ConversationsSection
from services.conversations.stage import ConversationLedger
from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.scan import scan
from services.operator.cli import app
from shared.broker.clients import KafkaSettings, producer
from shared.broker.topics import TopicsSettings, create_topics
from shared.events.envelope import Address
from shared.events.topics import (
    CONVERSATION_RELEASES,
    CONVERSATIONS_STATE,
    DEAD_LETTERS,
    TURNS_CLOSED,
    TURNS_VERIFIED,
)
from shared.playbook.directory import StaticDirectory
from shared.stage.kafka import KafkaBroker
from shared.stage.ledger import LedgerStage
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.settings import StageSettings

WAIT_SECONDS_MAX = 30.0
DAMAGED, WELL = Address("acme", "damaged"), Address("acme", "well")


@pytest.fixture
async def kafka(broker_settings):
    settings = KafkaSettings(**broker_settings.model_dump() | {"namespace": "quarantine."})
    await create_topics(settings, TopicsSettings(partitions=2))
    async with producer(settings) as client:
        await client.send_and_wait(f"quarantine.{CONVERSATIONS_STATE}", b"no state", key=DAMAGED.key)
    return settings


@asynccontextmanager
async def ledger(kafka):
    registry = CollectorRegistry()
    stage = LedgerStage(
        "conversations",
        KafkaBroker(kafka),
        ConversationLedger(
            StaticDirectory(), Bounds.of(ConversationsSection().model_dump()), ConversationsMetrics(registry)
        ),
        inputs=[*kafka.received_topics, *RESULT_TOPICS, CONVERSATION_RELEASES],
        changelog=CONVERSATIONS_STATE,
        releases=CONVERSATION_RELEASES,
        first_hand=frozenset({TURNS_VERIFIED}),
        settings=StageSettings(),
        metrics=LedgerMetrics(registry, "conversations"),
    )
    stop = asyncio.Event()
    job = asyncio.create_task(stage.run(stop))
    try:
        yield
    finally:
        stop.set()
        await job


async def publish(kafka, *messages):
    async with Publisher(kafka) as publisher:
        await publisher.publish([(home, posted(home, "desk", name, event_id=name)) for home, name in messages])


async def covered(kafka, count):
    """The ids of the messages that the first *count* closed turns cover, in order; none has a playbook."""
    closed = []
    async with TopicReader(kafka, [TURNS_CLOSED]) as reader, asyncio.timeout(WAIT_SECONDS_MAX):
        while len(closed) < count:
            closed += [message for seen in await reader.read() for message in seen.event.data.covers]
    return closed


async def held(kafka, count):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while sum([1 async for _ in scan(kafka, DEAD_LETTERS)]) < count:  # noqa: ASYNC110  the broker tells nobody
            await asyncio.sleep(0.1)


async def holdfast(kafka, *arguments):
    """The command, on a thread: the embedded broker lives on this loop."""
    environ = {
        "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "HOLDFAST_KAFKA_NAMESPACE": kafka.namespace,
    }
    return await asyncio.to_thread(CliRunner(env=environ).invoke, app, arguments)


async def test_a_conversation_is_set_apart_shown_and_let_out_in_its_order(kafka):
    async with ledger(kafka):
        await publish(kafka, (DAMAGED, "a"), (WELL, "x"), (DAMAGED, "b"))
        assert await covered(kafka, 1) == ["x"]
        await held(kafka, 2)

        listed = json.loads((await holdfast(kafka, "quarantine", "list", "--json")).stdout)
        assert [(one["conversation"], one["held"], one["error"]) for one in listed["conversations"]] == [
            ("acme:damaged", 2, "StateError")
        ]
        shown = await holdfast(kafka, "quarantine", "show", "acme:damaged", "--json")
        assert list(json.loads(shown.stdout)["letters"]) == ["1", "2"]
        assert "1 as" in (await holdfast(kafka, "quarantine", "show", "acme:damaged")).output

        redriven = await holdfast(kafka, "dlq", "redrive", "--reason", "quarantined", "--yes")
        assert "quarantine release" in redriven.output.replace("\n", " ")

        told = await holdfast(kafka, "quarantine", "release", "acme:damaged", "--discard-state")
        assert "nothing was written" in told.output
        unreadable = await holdfast(kafka, "quarantine", "release", "acme:damaged", "--yes")
        assert "--discard-state" in str(unreadable.exception)

        done = await holdfast(kafka, "quarantine", "release", "acme:damaged", "--yes", "--discard-state")
        assert done.exit_code == 0, (done.output, done.exception)
        await publish(kafka, (DAMAGED, "c"))
        assert await covered(kafka, 4) == ["x", "a", "b", "c"]
        assert "no conversation" in (await holdfast(kafka, "quarantine", "list")).output
        again = await holdfast(kafka, "quarantine", "release", "acme:damaged", "--yes")
        assert "is not in quarantine" in str(again.exception)
