"""What a publisher may write and a client cannot decode: it stops no reader, and nothing else is lost with it."""

import struct
from contextlib import AsyncExitStack

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from shared.broker.salvage import Unreadable
from tests.integration.broker.test_conformance import Clients, take

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEADER_BYTES = 61


@pytest.fixture(name="clients")
async def made(broker_settings):
    async with AsyncExitStack() as stack:
        clients = Clients(broker_settings, stack)
        await clients.admin.start()
        stack.push_async_callback(clients.admin.close)
        yield clients


def batch(*values, header="name", codec=0):
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for number, value in enumerate(values):
        builder.append(number, 1_700_000_000_000, b"k", value, [(header, b"v")])
    return bytes(builder.build())


def resealed(raw, *, body=None, codec=None):
    """*raw* with another body or codec, and the checksum that it then has."""
    head, data = bytearray(raw[:HEADER_BYTES]), raw[HEADER_BYTES:] if body is None else body
    if codec is not None:
        head[22] = head[22] & ~7 | codec
    struct.pack_into(">i", head, 8, HEADER_BYTES - 12 + len(data))
    struct.pack_into(">I", head, 17, calc_crc32c(bytes(head[21:]) + data))
    return bytes(head) + data


async def publish(clients, topic, raw):
    """Send *raw* as it is, as a client of one's own making would; returns the broker's error code."""
    writer = await clients.producer()
    client = writer.client
    await client.force_metadata_update()
    await client._maybe_wait_metadata()
    node = client.cluster.leader_for_partition(TopicPartition(topic, 0))
    answer = await client.send(
        node, ProduceRequest(transactional_id=None, required_acks=-1, timeout=5_000, topics=[(topic, [(0, raw)])])
    )
    return answer.topics[0][1][0][1]


async def read(clients, topic, last):
    """Every record up to the one whose value is *last*."""
    reader, found = await clients.reader(topic), []
    while not found or found[-1].value != last:
        for records in (await reader.getmany(timeout_ms=100)).values():
            found += records
    return found


def not_utf8(raw):
    return resealed(raw, body=raw[HEADER_BYTES:].replace(b"name", b"na\xffe"))


HOSTILE = {
    "a header name that is no UTF-8": lambda: not_utf8(batch(b"bad")),
    "a codec that nobody knows": lambda: resealed(batch(b"bad"), codec=5),
    "a body that is no zstd": lambda: resealed(batch(b"bad"), body=b"garbage", codec=4),
    "a body that is no lz4": lambda: resealed(batch(b"bad"), body=b"garbage", codec=3),
    "a body that is no snappy": lambda: resealed(batch(b"bad"), body=b"\xff" * 9, codec=2),
    "a body that is no gzip": lambda: resealed(batch(b"bad"), body=b"garbage", codec=1),
    "a record longer than its batch": lambda: resealed(batch(b"bad"), body=b"\xfe\xff\x01abc"),
    "more headers than bytes": lambda: resealed(batch(b"bad"), body=b"\x14\0\0\0\x02k\x02v\xfe\xff\x7f"),
    "70 MiB of zstd": lambda: batch(bytes(70 << 20), codec=4),
}


@pytest.mark.parametrize("codec", CODECS)
async def test_records_of_every_codec_are_read(clients, codec):
    topic = await clients.topic()
    writer = await clients.producer(compression_type=codec)
    for value in (b"one" * 50, b"two"):
        await writer.send_and_wait(topic, value, key=b"k")
    assert await take(await clients.reader(topic), 2) == [b"one" * 50, b"two"]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_cannot_be_decoded_stops_no_reader(clients, hostile):
    topic = await clients.topic()
    writer = await clients.producer()
    await writer.send_and_wait(topic, b"before", key=b"k")
    code = await publish(clients, topic, HOSTILE[hostile]())
    await writer.send_and_wait(topic, b"after", key=b"k")
    first, *between, last = await read(clients, topic, b"after")
    assert (first.value, last.value) == (b"before", b"after")
    # Apache Kafka refuses most of it.
    assert [type(one) for one in between] == ([Unreadable] if code == 0 else [])


async def test_the_sound_records_of_a_batch_are_read_beside_the_one_that_is_not(clients):
    topic = await clients.topic()
    raw = batch(b"one", b"two", b"three")
    at = raw.index(b"name", raw.index(b"two"))
    assert await publish(clients, topic, resealed(raw[:at] + b"na\xffe" + raw[at + 4 :])) == 0
    found = await read(clients, topic, b"three")
    assert [(one.offset, one.value, type(one) is Unreadable) for one in found] == [
        (0, b"one", False),
        (1, b"two", True),
        (2, b"three", False),
    ]
    assert found[1].headers == (("na\\xffe", b"v"),)
    assert found[1].key == b"k"


async def test_what_was_fetched_of_other_partitions_is_not_lost(clients):
    topic = await clients.topic(partitions=2)
    writer = await clients.producer()
    await publish(clients, topic, not_utf8(batch(b"bad")))
    await writer.send_and_wait(topic, b"good", key=b"k", partition=1)
    reader, found = await clients.reader(topic, 0, 1), []
    while len(found) < 2:
        for records in (await reader.getmany(timeout_ms=100)).values():
            found += [record.value for record in records]
    assert sorted(found) == [b"bad", b"good"]
