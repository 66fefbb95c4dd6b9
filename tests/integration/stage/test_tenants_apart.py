"""
Tenants with topics of their own, through a real broker: what is published there counts, what is forged does not.
"""

import asyncio
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from services.conversations.domain.bounds import Bounds
from services.conversations.domain.speakers import RESULT_TOPICS
from services.conversations.metrics import ConversationsMetrics
from services.conversations.settings import ConversationsSection
from services.conversations.stage import ConversationLedger
from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import TopicReader
from services.operator.faults.records import raw_records
from shared.broker.clients import KafkaSettings, producer
from shared.broker.topics import TopicsSettings, create_topics
from shared.events.codec import encode
from shared.events.envelope import Address
from shared.events.topics import CONVERSATIONS_STATE, DEAD_LETTERS, TURNS_CLOSED, tenant_topic
from shared.playbook.directory import StaticDirectory
from shared.stage.kafka import KafkaBroker
from shared.stage.ledger import LedgerStage
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.settings import StageSettings

WAIT_SECONDS_MAX = 30.0


@pytest.fixture
async def kafka(embedded_settings):
    settings = KafkaSettings(**embedded_settings.model_dump() | {"namespace": "apart.", "tenant_topics": "acme,globex"})
    await create_topics(settings, TopicsSettings(partitions=2))
    return settings


def ledger_stage(kafka):
    registry = CollectorRegistry()
    ledger = ConversationLedger(
        StaticDirectory(),
        Bounds.of(ConversationsSection().model_dump()),
        ConversationsMetrics(registry),
        tenants_apart=kafka.tenants_apart,
    )
    return LedgerStage(
        "conversations",
        KafkaBroker(kafka),
        ledger,
        inputs=[*kafka.received_topics, *RESULT_TOPICS],
        changelog=CONVERSATIONS_STATE,
        settings=StageSettings(),
        metrics=LedgerMetrics(registry, "conversations"),
    )


async def test_each_tenant_is_believed_on_its_own_topic_alone(kafka):
    """None of them has a playbook, so each message that counts is closed at once."""
    stop = asyncio.Event()
    running = asyncio.create_task(ledger_stage(kafka).run(stop))
    homes = [Address(tenant, "c") for tenant in ("acme", "globex", "common")]
    forger = producer(kafka)
    await forger.start()
    async with Publisher(kafka) as publisher, TopicReader(kafka, [TURNS_CLOSED]) as reader:
        forged = [(tenant_topic("globex"), "acme"), ("conversation.events", "acme"), (tenant_topic("acme"), "common")]
        for topic, tenant in forged:
            address = Address(tenant, "forged")
            headers, value = encode(posted(address, "desk", "let me in"))
            await forger.send_and_wait(f"apart.{topic}", value, key=address.key, headers=list(headers))
        await publisher.publish([(home, posted(home, "desk", "hello")) for home in homes])
        closed = []
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while len(closed) < len(homes):
                closed += [seen.address for seen in await reader.read()]
    await forger.stop()
    stop.set()
    await running
    assert sorted(address.key for address in closed) == sorted(home.key for home in homes)
    letters = [letter async for letter in raw_records(kafka, [DEAD_LETTERS])]
    assert Counter(dict(letter.headers)["x-holdfast-reason"] for letter in letters) == {b"tenant_mismatch": 3}
