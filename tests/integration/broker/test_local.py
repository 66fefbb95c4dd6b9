"""The life of a local Apache Kafka."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from shared.broker.clients import KafkaSettings, admin, consumer, producer
from shared.broker.local import LocalKafka, free_port_base
from shared.errors import Fatal

pytestmark = pytest.mark.kafka


async def write(settings):
    client, sender = admin(settings), producer(settings)
    await client.start()
    await client.create_topics([NewTopic("t", 1, 1)])
    await client.close()
    await sender.start()
    await sender.send_and_wait("t", b"kept")
    await sender.stop()


async def read(settings):
    reader = consumer(settings, group=None)
    await reader.start()
    reader.assign([TopicPartition("t", 0)])
    record = await reader.getone()
    await reader.stop()
    return record.value


def test_a_node_lives_through_kill_pause_and_another_process(tmp_path):
    kafka = LocalKafka(data=tmp_path / "data", port_base=free_port_base())
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    try:
        kafka.up()
        kafka.up()
        assert [(s.node, s.state, s.answers) for s in kafka.status()] == [(1, "running", True)]
        asyncio.run(write(settings))
        kafka.kill(1)
        assert [(s.state, s.pid, s.answers) for s in kafka.status()] == [("stopped", None, False)]
        kafka.start(1)
        assert asyncio.run(read(settings)) == b"kept"
        kafka.pause(1)
        assert [(s.state, s.answers) for s in kafka.status()] == [("paused", False)]
        kafka.resume(1)
        with pytest.raises(Fatal, match="no node 2"):
            kafka.kill(2)
        elsewhere = LocalKafka.found(tmp_path / "data")
        assert elsewhere is not None
        assert elsewhere.bootstrap_servers == kafka.bootstrap_servers
        assert [s.state for s in elsewhere.status()] == ["running"]
        elsewhere.down()
        assert [s.state for s in kafka.status()] == ["stopped"]
        kafka.up()
        assert asyncio.run(read(settings)) == b"kept"
    finally:
        kafka.down(wipe=True)
    assert not (tmp_path / "data").exists()
