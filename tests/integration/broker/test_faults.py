"""What clients live through when the embedded broker is told to misbehave."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import CommitFailedError, KafkaError, ProducerFenced

from shared.broker.clients import admin, consumer, producer
from shared.broker.embedded import Act, Api, Code, Delay, Drop, Refuse

TOPIC = "t"


@asynccontextmanager
async def started(client):
    await client.start()
    try:
        yield client
    finally:
        await (client.close() if hasattr(client, "create_topics") else client.stop())


async def until(look):
    async with asyncio.timeout(20):
        while not look():  # noqa: ASYNC110 - what is waited for happens inside the client library
            await asyncio.sleep(0.01)


@pytest.fixture
async def topic(embedded_settings):
    async with started(admin(embedded_settings)) as client:
        await client.create_topics([NewTopic(TOPIC, 1, 1)])
    return TOPIC


async def values(settings, count):
    async with started(consumer(settings, group=None)) as reader:
        reader.assign([TopicPartition(TOPIC, 0)])
        seen = [(await reader.getone()).value for _ in range(count)]
        assert await reader.end_offsets([TopicPartition(TOPIC, 0)]) == {TopicPartition(TOPIC, 0): count}
        return seen


async def test_a_lost_answer_makes_the_producer_repeat_and_the_record_is_stored_once(
    embedded_broker, embedded_settings, topic
):
    rule = embedded_broker.faults.once(Drop.AFTER, api=Api.PRODUCE)
    async with started(producer(embedded_settings)) as sender:
        await sender.send_and_wait(topic, b"1")
        await sender.send_and_wait(topic, b"2")
    assert rule.hits == 1
    assert await values(embedded_settings, 2) == [b"1", b"2"]


async def test_a_lost_request_is_sent_again(embedded_broker, embedded_settings, topic):
    embedded_broker.faults.once(Drop.BEFORE, api=Api.PRODUCE)
    async with started(producer(embedded_settings)) as sender:
        await sender.send_and_wait(topic, b"1")
    assert await values(embedded_settings, 1) == [b"1"]


async def test_a_passing_error_is_retried_and_a_final_one_raised(embedded_broker, embedded_settings, topic):
    embedded_broker.faults.once(Refuse(Code.NOT_LEADER_OR_FOLLOWER), api=Api.PRODUCE, topic=topic)
    async with started(producer(embedded_settings)) as sender:
        await sender.send_and_wait(topic, b"1")
        embedded_broker.faults.once(Refuse(Code.INVALID_RECORD), api=Api.PRODUCE)
        with pytest.raises(KafkaError):
            await sender.send_and_wait(topic, b"2")


async def test_a_delayed_answer_delays_only_its_connection(embedded_broker, embedded_settings, topic):
    embedded_broker.faults.once(Delay(0.3), api=Api.PRODUCE)
    async with started(producer(embedded_settings)) as slow, started(producer(embedded_settings)) as quick:
        late = await slow.send(topic, b"late")
        await until(lambda: embedded_broker.faults.injected)
        assert (await quick.send_and_wait(topic, b"first")).offset == 0
        assert (await late).offset == 1


async def test_a_fenced_producer_learns_it(embedded_broker, embedded_settings, topic):
    async with started(producer(embedded_settings, transactional_id="x")) as sender:
        embedded_broker.faults.once(Act.FENCE_PRODUCER, api=Api.END_TXN, transactional_id="x")
        await sender.begin_transaction()
        await sender.send_and_wait(topic, b"lost")
        with pytest.raises(ProducerFenced):
            await sender.commit_transaction()
    assert embedded_broker._transactions.open_ids == []


async def test_an_expired_member_cannot_commit(embedded_broker, embedded_settings, topic):
    async with started(consumer(embedded_settings, group="g")) as member:
        member.subscribe([topic])
        await until(member.assignment)
        embedded_broker.faults.once(Act.EXPIRE_MEMBER, api=Api.OFFSET_COMMIT, group="g")
        with pytest.raises(CommitFailedError):
            await member.commit({TopicPartition(topic, 0): 1})


async def test_a_forced_rebalance_raises_the_generation(embedded_broker, embedded_settings, topic):
    async with started(consumer(embedded_settings, group="g", heartbeat_interval_ms=50)) as member:
        member.subscribe([topic])
        await until(member.assignment)
        before = member._coordinator.generation
        assert embedded_broker.rebalance("g")
        await until(lambda: member._coordinator.generation > before and member.assignment())
        assert member._coordinator.generation == before + 1


async def test_clients_outlive_the_loss_of_all_connections(embedded_broker, embedded_settings, topic):
    async with started(producer(embedded_settings)) as sender:
        await sender.send_and_wait(topic, b"1")
        assert embedded_broker.drop_connections() >= 1
        await sender.send_and_wait(topic, b"2")
    assert await values(embedded_settings, 2) == [b"1", b"2"]


async def test_what_names_nobody_fences_and_expires_nobody(embedded_broker):
    assert not embedded_broker.fence("nobody")
    assert not embedded_broker.expire_member("nobody")
    assert not embedded_broker.rebalance("nobody")
