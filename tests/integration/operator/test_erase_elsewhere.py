"""
A conversation is forgotten wherever it is known: on its tenant's own topic, in whatever partition its platform wrote it
to, and by the observer.
"""

import asyncio
import json

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.samples import bank_playbook
from services.operator.adapters.scan import home_of, scan
from services.operator.adapters.stack import STAGES, StackPlan, running
from services.operator.cli import app
from shared.broker.clients import KafkaSettings
from shared.events import topics
from shared.events.envelope import Address
from shared.events.topics import tenant_topic

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PARTITIONS = 4
TENANT = "acme"
SAID = "my mother's maiden name is Lovelace"
WAIT_SECONDS_MAX = 90.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka(tmp_path_factory):
    """A whole Holdfast with the observer, whose tenant publishes on a topic of its own."""
    settings = KafkaSettings(tenant_topics=TENANT)
    plan = StackPlan(
        folder=tmp_path_factory.mktemp("elsewhere") / "stack",
        tenant=TENANT,
        playbook=bank_playbook(),
        partitions=PARTITIONS,
        stages=(*STAGES, "observer"),
        environ={"HOLDFAST_KAFKA_TENANT_TOPICS": TENANT},
        ready_seconds_max=WAIT_SECONDS_MAX,
    )
    async with running(plan, settings) as stack:
        yield stack.kafka


def elsewhere(address):
    """A partition that Kafka's own partitioner does not give the conversation."""
    return (home_of(address.key, PARTITIONS) + 1) % PARTITIONS


async def closed_in(kafka, address, partitions):
    """Say something in each of *partitions*; return when each turn has its outcome."""
    async with Publisher(kafka) as publisher, TopicReader(kafka, [topics.TURNS_CLOSED], start="end") as reader:
        for partition in partitions:
            message = posted(address, "bank", SAID, event_id=f"{address.conversation}-{partition}")
            await publisher.publish([(address, message)], partition=partition)
        closed = set()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while closed < set(partitions):
                closed |= {seen.partition for seen in await reader.read() if seen.address == address}


async def erased(kafka, address, *options):
    environ = {
        "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "HOLDFAST_KAFKA_TENANT_TOPICS": kafka.tenant_topics,
    }
    arguments = ["erase", address.tenant, address.conversation, "--yes", "--json", *options]
    done = await asyncio.to_thread(CliRunner(env=environ).invoke, app, arguments)
    return done.exit_code, json.loads(done.stdout)


async def states(kafka, address):
    return {record.partition: record.value async for record in scan(kafka, topics.CONVERSATIONS_STATE, key=address.key)}


async def test_each_partition_that_knows_the_conversation_is_erased_and_proven(kafka):
    address = Address(TENANT, "in-two-places")
    places = sorted({home_of(address.key, PARTITIONS), elsewhere(address)})
    await closed_in(kafka, address, places)

    exit_code, certificate = await erased(kafka, address)

    assert (exit_code, certificate["doubts"]) == (0, [])
    assert [one["partition"] for one in certificate["partitions"]] == places
    assert all(one["probe"]["refused"] for one in certificate["partitions"])
    assert not any(SAID.encode() in value for value in (await states(kafka, address)).values())


async def test_what_lies_on_the_tenants_own_topic_is_listed_with_its_partition(kafka):
    address = Address(TENANT, "astray")
    await closed_in(kafka, address, [elsewhere(address)])

    _, certificate = await erased(kafka, address)

    said = [one for one in certificate["remains"] if one["topic"] == tenant_topic(TENANT)]
    assert elsewhere(address) in {one["partition"] for one in said}
    assert all(one["gone_by"] for one in certificate["remains"])


async def test_the_observer_forgets_the_conversation_too(kafka):
    address = Address(TENANT, "observed")
    await closed_in(kafka, address, [home_of(address.key, PARTITIONS)])

    exit_code, _ = await erased(kafka, address)

    rows = [
        json.loads(record.value)
        async for record in scan(kafka, topics.OBSERVER_CONVERSATIONS)
        if record.key == json.dumps(address.key.decode()).encode()
    ]
    assert exit_code == 0
    assert rows[-1]["erased"] is True


async def test_without_a_probe_nothing_is_proven(kafka):
    address = Address(TENANT, "untried")
    await closed_in(kafka, address, [home_of(address.key, PARTITIONS)])

    exit_code, certificate = await erased(kafka, address, "--no-probe")

    assert exit_code == 1
    assert "no message was sent to see it refused" in certificate["doubts"][0]


async def test_an_operator_who_takes_the_tenant_for_one_without_a_topic_proves_nothing(kafka):
    address = Address(TENANT, "misled")
    await closed_in(kafka, address, [home_of(address.key, PARTITIONS)])
    misled = KafkaSettings(**kafka.model_dump() | {"tenant_topics": ""})
    environ = {
        "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": misled.bootstrap_servers,
        "HOLDFAST_KAFKA_TENANT_TOPICS": "",
    }
    arguments = ["erase", address.tenant, address.conversation, "--yes", "--wait", "2"]

    done = await asyncio.to_thread(CliRunner(env=environ).invoke, app, arguments)

    assert done.exit_code != 0
    assert any(SAID.encode() in value for value in (await states(kafka, address)).values())
