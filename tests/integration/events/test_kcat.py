"""A client that knows nothing but docs/events.md can publish: its one-liner is run as it stands there."""

import asyncio
import re
import shutil
from pathlib import Path
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from aiokafka.partitioner import murmur2

from shared.broker.clients import consumer
from shared.broker.topics import TopicsSettings, create_topics
from shared.events.codec import decode
from shared.events.conversation import Author, MessagePosted
from shared.events.topics import CONVERSATION_EVENTS, TOPICS

PAGE = Path(__file__).parents[3] / "docs" / "events.md"
DOCUMENTED_BROKER = "127.0.0.1:9092"
PARTITIONS = 12
SECONDS_MAX = 30

pytestmark = pytest.mark.skipif(
    shutil.which("kcat") is None, reason="kcat is not installed (Debian: apt-get install kcat)"
)


def one_liner():
    [found] = re.findall(r"<!-- publish -->\n```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found


async def published(kafka, command):
    """Every record of the topic after *command* has run in a shell."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    assert process.returncode == 0, output.decode()

    reader = consumer(kafka, group=None)
    await reader.start()
    try:
        partitions = [TopicPartition(f"{kafka.namespace}{CONVERSATION_EVENTS}", number) for number in range(PARTITIONS)]
        reader.assign(partitions)
        await reader.seek_to_beginning(*partitions)
        async with asyncio.timeout(SECONDS_MAX):
            while not (batches := await reader.getmany(timeout_ms=200)):
                pass
        return [record for batch in batches.values() for record in batch]
    finally:
        await reader.stop()


async def test_the_one_liner_publishes_an_event_that_is_read_whole_and_lies_where_it_belongs(broker_settings):
    kafka = broker_settings
    await create_topics(kafka, TopicsSettings(partitions=PARTITIONS))
    command = one_liner()
    assert DOCUMENTED_BROKER in command
    assert f"-t {CONVERSATION_EVENTS}" in command

    [record] = await published(
        kafka,
        command.replace(DOCUMENTED_BROKER, kafka.bootstrap_servers).replace(
            f"-t {CONVERSATION_EVENTS}", f"-t {kafka.namespace}{CONVERSATION_EVENTS}"
        ),
    )
    event = decode(TOPICS[CONVERSATION_EVENTS].types, record.key, record.headers, record.value)

    assert event.data == MessagePosted(
        agent="bank", author=Author.CUSTOMER, text="How long does a transfer to Norway take?"
    )
    assert record.key == b"acme:chat-2041"
    assert UUID(event.id).version == 4
    assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
