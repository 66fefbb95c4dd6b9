"""The embedded broker as a server: its life, its connections, its process, other client libraries."""

import asyncio
import os
import shutil
import signal
import struct
import subprocess
import sys

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.protocol.fetch import FetchRequest_v4

from shared.broker.clients import KafkaSettings, admin, consumer, producer
from shared.broker.embedded import EmbeddedBroker, Limits
from shared.errors import Fatal


async def connect(broker):
    host, port = broker.bootstrap_servers.split(":")
    return await asyncio.open_connection(host, int(port))


def frame(key, version, correlation_id, body=b"", client=b"test"):
    header = struct.pack(">hhih", key, version, correlation_id, len(client)) + client
    return struct.pack(">i", len(header + body)) + header + body


async def answer(reader):
    length = int.from_bytes(await reader.readexactly(4), "big")
    return await reader.readexactly(length)


async def test_a_taken_port_is_a_clear_error():
    async with EmbeddedBroker() as broker:
        port = int(broker.bootstrap_servers.split(":")[1])
        with pytest.raises(Fatal, match=f"127.0.0.1:{port}.*choose another port"):
            await EmbeddedBroker(port=port).start()


async def test_its_address_is_known_only_while_it_runs():
    broker = EmbeddedBroker()
    with pytest.raises(RuntimeError, match="not started"):
        _ = broker.bootstrap_servers
    async with broker:
        assert broker.bootstrap_servers.startswith("127.0.0.1:")
    await broker.stop()


async def test_stopping_closes_its_connections():
    async with EmbeddedBroker() as broker:
        reader, writer = await connect(broker)
        writer.write(frame(18, 0, 1))
        await answer(reader)
    assert await reader.read() == b""
    writer.close()


async def test_stopping_does_not_wait_for_a_client_that_does_not_read(monkeypatch):
    monkeypatch.setattr("shared.broker.embedded.broker.CLOSE_SECONDS", 0.1)
    async with EmbeddedBroker() as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        client, sender = admin(settings), producer(settings)
        await client.start()
        await client.create_topics([NewTopic("t", 1, 1)])
        await client.close()
        await sender.start()
        for _ in range(40):
            await sender.send_and_wait("t", b"x" * 1_000_000)
        await sender.stop()
        reader, writer = await connect(broker)
        reader._limit = 1  # the client's side stops reading after the first bytes
        fetch = FetchRequest_v4(-1, 0, 1, 50_000_000, 0, [("t", [(0, 0, 50_000_000)])])
        writer.write(frame(1, 4, 1, fetch.encode()))
        await reader.readexactly(1)
    assert broker._connections == set()
    writer.close()


async def test_a_newer_apiversions_request_is_told_what_is_spoken(embedded_broker):
    reader, writer = await connect(embedded_broker)
    writer.write(frame(18, 3, 7, b"\0\x05kcat\x021\0"))
    correlation, code, count = struct.unpack_from(">ihi", await answer(reader))
    assert (correlation, code) == (7, 35)
    assert count > 20
    writer.write(frame(18, 0, 8))
    assert struct.unpack_from(">ih", await answer(reader)) == (8, 0)
    writer.close()


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">i", -5),
        struct.pack(">i", 200_000_000),
        frame(3, 99, 1),
        frame(4, 0, 1),
        frame(3, 5, 1, b"\0\0"),
    ],
)
async def test_what_is_no_request_closes_its_connection_and_no_other(embedded_broker, junk):
    reader, writer = await connect(embedded_broker)
    other_reader, other = await connect(embedded_broker)
    writer.write(junk)
    assert await reader.read() == b""
    other.write(frame(18, 0, 1))
    await answer(other_reader)
    writer.close()
    other.close()


async def test_requests_of_one_connection_are_answered_in_order_though_sent_at_once(embedded_broker):
    reader, writer = await connect(embedded_broker)
    writer.write(b"".join(frame(18, 0, i) for i in range(50)))
    assert [struct.unpack_from(">i", await answer(reader))[0] for _ in range(50)] == list(range(50))
    writer.close()


async def test_a_request_in_pieces_is_put_together(embedded_broker):
    reader, writer = await connect(embedded_broker)
    for byte in frame(18, 0, 3):
        writer.write(bytes([byte]))
        await writer.drain()
    assert struct.unpack_from(">i", await answer(reader)) == (3,)
    writer.close()


async def test_topics_appear_by_mention_where_that_is_allowed():
    async with EmbeddedBroker(auto_create_topics=True, partitions=2) as broker:
        sender = producer(KafkaSettings(bootstrap_servers=broker.bootstrap_servers))
        await sender.start()
        await sender.send_and_wait("fresh", b"v")
        assert await sender.partitions_for("fresh") == {0, 1}
        await sender.stop()


async def test_memory_stays_bounded_under_load_that_nobody_reads():
    limits = Limits(retention_bytes=200_000)
    async with EmbeddedBroker(limits=limits) as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        client, sender = admin(settings), producer(settings)
        await client.start()
        await client.create_topics([NewTopic("t", 2, 1)])
        await client.close()
        await sender.start()
        for _ in range(40):
            await asyncio.gather(*[await sender.send("t", b"x" * 1_000) for _ in range(40)])
        await sender.stop()
        assert broker.size_bytes <= 2 * 200_000


async def test_a_changelog_stays_small_and_is_restored_whole_by_a_committed_reader():
    """Transactions over a compacted topic, aborts among them: a reader finds the last committed value of every key."""
    async with EmbeddedBroker(limits=Limits(compaction_bytes_min=4_000)) as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        client, sender = admin(settings), producer(settings, transactional_id="x")
        await client.start()
        await client.create_topics([NewTopic("state", 1, 1, topic_configs={"cleanup.policy": "compact"})])
        await client.close()
        await sender.start()
        expected = {}
        for i in range(300):
            await sender.begin_transaction()
            key = b"k%d" % (i % 10)
            await sender.send_and_wait("state", b"%d" % i, key=key)
            if i % 3:
                expected[key] = b"%d" % i
                await sender.commit_transaction()
            else:
                await sender.abort_transaction()
        await sender.stop()
        assert broker.size_bytes < 12_000
        reader, tp = consumer(settings, group=None), TopicPartition("state", 0)
        await reader.start()
        reader.assign([tp])
        end, state = (await reader.end_offsets([tp]))[tp], {}
        while await reader.position(tp) < end:
            for records in (await reader.getmany(timeout_ms=100)).values():
                state |= {record.key: record.value for record in records}
        await reader.stop()
        assert state == expected


def test_as_a_process_it_says_where_it_listens_and_ends_on_sigterm():
    command = [sys.executable, "-m", "shared.broker.embedded", "--port", "0", "--partitions", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")
async def test_kcat_produces_and_consumes(embedded_broker, embedded_settings):
    """Another client library (librdkafka) negotiates versions, checks batches and joins groups in its own way."""
    client = admin(embedded_settings)
    await client.start()
    await client.create_topics([NewTopic("t", 2, 1)])
    await client.close()

    async def kcat(*arguments, stdin=b""):
        process = await asyncio.create_subprocess_exec(
            "kcat",
            "-b",
            embedded_broker.bootstrap_servers,
            *arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, errors = await process.communicate(stdin)
        assert process.returncode == 0, errors
        return out

    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        await kcat("-P", "-t", "t", "-p", "1", "-k", "key", "-H", "a=b", "-z", codec, stdin=codec.encode())
    read = await kcat("-C", "-t", "t", "-e", "-o", "beginning", "-f", "%p %o %k %s %h\n")
    assert read.splitlines() == [
        b"1 %d key %s a=b" % (i, codec) for i, codec in enumerate([b"none", b"gzip", b"snappy", b"lz4", b"zstd"])
    ]
    grouped = await kcat("-G", "kcats", "-e", "-X", "auto.offset.reset=earliest", "t")
    assert grouped.splitlines() == [b"none", b"gzip", b"snappy", b"lz4", b"zstd"]
