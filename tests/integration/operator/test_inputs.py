"""A tenant that floods its own topic with garbage, on a real broker: paused, listed, and read on by command."""

import asyncio
import json

import pytest

from services.operator.adapters.publisher import Publisher, posted
from shared.broker.clients import KafkaSettings, producer
from shared.broker.topics import TopicsSettings, create_topics
from shared.events.envelope import Address
from shared.events.topics import tenant_topic
from shared.stage.settings import StageSettings
from tests.integration.operator.test_quarantine import covered, held, holdfast, ledger

FLOODED = tenant_topic("acme")
LIMIT = StageSettings().tenant_topic_rejected_consecutive_max
PARTITIONS = 2


@pytest.fixture
async def kafka(broker_settings):
    settings = KafkaSettings(**broker_settings.model_dump() | {"namespace": "inputs.", "tenant_topics": "acme,globex"})
    await create_topics(settings, TopicsSettings(partitions=PARTITIONS))
    return settings


async def publish(kafka, tenant, name):
    address = Address(tenant, "c")
    async with Publisher(kafka) as publisher:
        await publisher.publish([(address, posted(address, "desk", name, event_id=name))])


async def flood(kafka):
    async with producer(kafka) as client:
        for partition in range(PARTITIONS):
            for _ in range(LIMIT):
                await client.send_and_wait(kafka.namespace + FLOODED, b"garbage", key=b"acme:c", partition=partition)


async def paused(kafka, count):
    """What `holdfast inputs list` names, once that is *count* positions."""
    async with asyncio.timeout(30):
        while True:
            listed = await holdfast(kafka, "inputs", "list", "--json")
            if listed.exit_code == 0 and (found := json.loads(listed.stdout))["count"] == count:
                return [(one["topic"], one["partition"]) for one in found["inputs"]]
            await asyncio.sleep(0.1)


async def test_a_flooded_topic_is_paused_listed_and_read_on_once_it_is_released(kafka):
    async with ledger(kafka):
        await flood(kafka)
        assert await paused(kafka, PARTITIONS) == [(FLOODED, 0), (FLOODED, 1)]
        await publish(kafka, "acme", "waits")
        await publish(kafka, "globex", "goes on")
        assert await covered(kafka, 1) == ["goes on"]
    async with ledger(kafka):
        await publish(kafka, "globex", "goes on after a restart")
        assert await covered(kafka, 2) == ["goes on", "goes on after a restart"]
        refused = await holdfast(kafka, "inputs", "release", tenant_topic("globex"))
        assert "is not paused" in str(refused.exception)

        done = await holdfast(kafka, "inputs", "release", FLOODED)
        assert done.exit_code == 0, (done.output, done.exception)
        assert sorted(await covered(kafka, 3)) == ["goes on", "goes on after a restart", "waits"]
        await paused(kafka, 0)
        assert "no tenant's topic is paused" in (await holdfast(kafka, "inputs", "list")).output
        await held(kafka, LIMIT * PARTITIONS)
