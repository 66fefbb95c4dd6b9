"""
What a broker must do for Holdfast, on the embedded one and on Apache Kafka alike.

A difference between the two is a defect of the embedded broker.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CommitFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    OffsetMetadataTooLargeError,
    OffsetOutOfRangeError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import OffsetAndMetadata

from shared.broker.clients import KafkaSettings, admin, consumer, producer

WAIT_SECONDS = 30.0
QUIET_MS = 400
"""How long a reader that must see nothing is given to see something."""


class Clients:
    """Clients of one test, in its namespace; closed at its end."""

    def __init__(self, settings: KafkaSettings, stack: AsyncExitStack) -> None:
        self.settings = settings
        self._stack = stack
        self.admin = admin(settings)

    def name(self, name: str) -> str:
        return self.settings.namespace + name

    async def topic(self, name: str = "t", partitions: int = 1, **config: str) -> str:
        full = self.name(name)
        made = await self.admin.create_topics(
            [NewTopic(full, partitions, 1, topic_configs={k.replace("_", "."): v for k, v in config.items()})]
        )
        assert [code for _, code, *_ in made.topic_errors] == [0]
        await until(lambda: self._partitions(full), partitions)
        return full

    async def _partitions(self, topic: str) -> int:
        described = (await self.admin.describe_topics([topic]))[0]
        return len(described["partitions"]) if described["error_code"] == 0 else 0

    async def producer(self, transactional_id: str | None = None, **options: Any) -> AIOKafkaProducer:
        if transactional_id is not None:
            transactional_id = self.name(transactional_id)
        made = producer(self.settings, transactional_id=transactional_id, **options)
        self._stack.push_async_callback(made.stop)
        await made.start()
        return made

    async def member(self, *topics: str, group: str = "g", **options: Any) -> AIOKafkaConsumer:
        made = consumer(
            self.settings,
            group=self.name(group),
            **{"heartbeat_interval_ms": 100, "session_timeout_ms": 10_000} | options,
        )
        made.subscribe(list(topics))
        self._stack.push_async_callback(made.stop)
        await made.start()
        return made

    async def reader(self, topic: str, *partitions: int, offset: int = 0, **options: Any) -> AIOKafkaConsumer:
        made = consumer(self.settings, group=None, **options)
        self._stack.push_async_callback(made.stop)
        await made.start()
        tps = [TopicPartition(topic, partition) for partition in partitions or (0,)]
        made.assign(tps)
        for tp in tps:
            made.seek(tp, offset)
        return made


@pytest.fixture
async def clients(broker_settings: KafkaSettings) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        made = Clients(broker_settings, stack)
        await made.admin.start()
        stack.push_async_callback(made.admin.close)
        yield made


async def until(look: Callable[[], Any], expected: Any) -> None:
    """Look again and again until what is expected is seen."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        seen = look()
        if asyncio.iscoroutine(seen):
            seen = await seen
        if seen == expected:
            return
        assert time.monotonic() < deadline, f"still {seen!r}, expected {expected!r}"
        await asyncio.sleep(0.02)


async def take(reader: AIOKafkaConsumer, count: int) -> list[bytes]:
    """The values of the next *count* records."""
    values: list[bytes] = []
    deadline = time.monotonic() + WAIT_SECONDS
    while len(values) < count:
        assert time.monotonic() < deadline, f"only {values!r}"
        for records in (await reader.getmany(timeout_ms=100)).values():
            values += [record.value for record in records]
    return values


async def nothing_more(reader: AIOKafkaConsumer) -> bool:
    return not await reader.getmany(timeout_ms=QUIET_MS)


async def sharing(members: Iterable[AIOKafkaConsumer], partitions: int) -> None:
    """Wait until the members share all partitions, each of them having some."""
    members = list(members)

    def look() -> bool:
        owned = [member.assignment() for member in members]
        return all(owned) and len(set().union(*owned)) == sum(map(len, owned)) == partitions

    await until(look, expected=True)


# -- records


async def test_records_come_back_in_order_with_key_headers_timestamp(clients):
    topic = await clients.topic()
    sender = await clients.producer()
    for i in range(50):
        await sender.send(topic, b"v%d" % i, key=b"k", headers=[("h", b"%d" % i)], timestamp_ms=1_000 + i)
    await sender.flush()
    reader = await clients.reader(topic)
    records: list[Any] = []
    while len(records) < 50:
        for batch in (await reader.getmany(timeout_ms=100)).values():
            records += batch
    assert [r.offset for r in records] == list(range(50))
    assert [(r.value, r.key, r.headers, r.timestamp) for r in records] == [
        (b"v%d" % i, b"k", (("h", b"%d" % i),), 1_000 + i) for i in range(50)
    ]


async def test_a_null_value_stays_null(clients):
    topic = await clients.topic()
    sender = await clients.producer()
    await sender.send_and_wait(topic, None, key=b"k")
    reader = await clients.reader(topic)
    assert (await take(reader, 1)) == [None]


@pytest.mark.parametrize("codec", ["gzip"])
async def test_compressed_batches_are_kept_as_they_are(clients, codec):
    topic = await clients.topic()
    sender = await clients.producer(compression_type=codec)
    await sender.send_and_wait(topic, b"x" * 10_000)
    assert await take(await clients.reader(topic), 1) == [b"x" * 10_000]


async def test_a_waiting_reader_is_answered_when_a_record_arrives(clients):
    topic = await clients.topic()
    reader = await clients.reader(topic, fetch_max_wait_ms=10_000)
    waiting = asyncio.ensure_future(reader.getone())
    sender = await clients.producer()
    await sender.send_and_wait(topic, b"v")
    async with asyncio.timeout(5):
        assert (await waiting).value == b"v"


async def test_a_batch_over_the_limit_is_refused_and_the_producer_goes_on(clients):
    topic = await clients.topic(max_message_bytes="2000")
    sender = await clients.producer()
    with pytest.raises(MessageSizeTooLargeError):
        await sender.send_and_wait(topic, b"x" * 3_000)
    assert (await (await clients.producer()).send_and_wait(topic, b"small")).offset == 0


async def test_a_record_over_one_mebibyte_is_refused_by_default(clients):
    topic = await clients.topic()
    sender = await clients.producer(max_request_size=4_000_000, max_batch_size=4_000_000)
    with pytest.raises(MessageSizeTooLargeError):
        await sender.send_and_wait(topic, b"x" * 1_100_000)


async def test_reading_behind_the_end_is_out_of_range_without_a_reset_policy(clients):
    topic = await clients.topic()
    await (await clients.producer()).send_and_wait(topic, b"v")
    reader = await clients.reader(topic, offset=100, auto_offset_reset="none")
    with pytest.raises(OffsetOutOfRangeError):
        await reader.getone()


async def test_reading_behind_the_end_resets_to_the_earliest(clients):
    topic = await clients.topic()
    await (await clients.producer()).send_and_wait(topic, b"v")
    reader = await clients.reader(topic, offset=100)
    assert await take(reader, 1) == [b"v"]


async def test_deleted_records_move_the_beginning(clients):
    topic = await clients.topic()
    sender = await clients.producer()
    for i in range(5):
        await sender.send_and_wait(topic, b"%d" % i)
    tp = TopicPartition(topic, 0)
    assert await clients.admin.delete_records({tp: RecordsToDelete(3)}) == {tp: 3}
    reader = await clients.reader(topic)
    assert await reader.beginning_offsets([tp]) == {tp: 3}
    assert await take(reader, 2) == [b"3", b"4"]


async def test_offsets_are_found_by_time(clients):
    topic = await clients.topic()
    sender = await clients.producer()
    for at in (1_000, 2_000, 3_000):
        await sender.send_and_wait(topic, b"v", timestamp_ms=at)
    batch = sender.create_batch()
    for at in (4_000, 5_000):
        batch.append(key=None, value=b"v", timestamp=at)
    batch.close()
    await (await sender.send_batch(batch, topic, partition=0))
    tp = TopicPartition(topic, 0)
    reader = await clients.reader(topic)

    async def found(at: int) -> tuple[int, int] | None:
        hit = (await reader.offsets_for_times({tp: at}))[tp]
        return None if hit is None else (hit.offset, hit.timestamp)

    assert await found(0) == (0, 1_000)
    assert await found(1_001) == (1, 2_000)
    assert await found(4_500) == (4, 5_000)
    assert await found(5_001) is None


# -- topics


async def test_a_topic_is_created_once_with_its_partitions(clients):
    topic = await clients.topic(partitions=5)
    again = await clients.admin.create_topics([NewTopic(topic, 5, 1)])
    assert [code for _, code, *_ in again.topic_errors] == [36]
    assert topic in await clients.admin.list_topics()


async def test_bad_topics_are_refused(clients):
    made = await clients.admin.create_topics(
        [
            NewTopic(clients.name("no/slash"), 1, 1),
            NewTopic(clients.name("none"), 0, 1),
            NewTopic(clients.name("many"), 1, 3),
            NewTopic(clients.name("odd"), 1, 1, topic_configs={"no.such.config": "1"}),
        ]
    )
    assert [code for _, code, *_ in made.topic_errors] == [17, 37, 38, 40]


async def test_a_deleted_topic_is_gone_and_can_be_made_anew(clients):
    topic = await clients.topic()
    await (await clients.producer()).send_and_wait(topic, b"old")
    deleted = await clients.admin.delete_topics([topic])
    assert [code for _, code in deleted.topic_error_codes] == [0]
    await until(lambda: _listed(clients, topic), expected=False)
    await clients.topic()
    await (await clients.producer()).send_and_wait(topic, b"new")
    assert await take(await clients.reader(topic), 1) == [b"new"]
    missing = await clients.admin.delete_topics([clients.name("never")])
    assert [code for _, code in missing.topic_error_codes] == [3]


async def _listed(clients: Clients, topic: str) -> bool:
    return topic in await clients.admin.list_topics()


async def test_a_topic_may_grow(clients):
    topic = await clients.topic(partitions=1)
    await clients.admin.create_partitions({topic: NewPartitions(3)})
    await until(lambda: clients._partitions(topic), 3)


async def test_topic_settings_are_kept(clients):
    topic = await clients.topic(cleanup_policy="compact")
    described = await clients.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(code, _, _, name, entries)] = described[0].resources
    assert (code, name) == (0, topic)
    assert {entry[0]: entry[1] for entry in entries}["cleanup.policy"] == "compact"


async def test_a_topic_is_not_made_by_its_mention(clients):
    sender = await clients.producer(request_timeout_ms=1_500)
    with pytest.raises(KafkaError):
        await sender.send_and_wait(clients.name("never"), b"v")
    assert clients.name("never") not in await clients.admin.list_topics()


async def test_a_compacted_topic_refuses_a_record_without_a_key(clients):
    topic = await clients.topic(cleanup_policy="compact")
    sender = await clients.producer()
    with pytest.raises(KafkaError):
        await sender.send_and_wait(topic, b"v")


# -- groups


@pytest.mark.parametrize("size", [2, 3])
async def test_members_share_the_partitions_and_hand_them_over(clients, size):
    topic = await clients.topic(partitions=6)
    members = [await clients.member(topic) for _ in range(size)]
    await sharing(members, 6)
    await members[0].stop()
    await sharing(members[1:], 6)


async def test_members_with_two_topics_see_every_record_once(clients):
    topics = [await clients.topic(name, partitions=3) for name in ("a", "b")]
    members = [await clients.member(*topics) for _ in range(2)]
    await sharing(members, 6)
    sender = await clients.producer()
    for i in range(30):
        await sender.send(topics[i % 2], b"%d" % i, partition=i % 3)
    await sender.flush()
    seen: list[bytes] = []

    async def collect() -> int:
        for member in members:
            for records in (await member.getmany(timeout_ms=50)).values():
                seen.extend(record.value for record in records)
        return len(seen)

    await until(collect, 30)
    assert sorted(seen, key=int) == [b"%d" % i for i in range(30)]


async def test_a_silent_member_is_given_up_after_its_session(clients):
    topic = await clients.topic(partitions=4)
    silent = await clients.member(topic, session_timeout_ms=1_000)
    await until(lambda: len(silent.assignment()), 4)
    silent._coordinator._coordination_task.cancel()
    heartbeat = silent._coordinator._heartbeat_task
    if heartbeat is not None:
        heartbeat.cancel()
    other = await clients.member(topic, session_timeout_ms=1_000)
    await until(lambda: len(other.assignment()), 4)
    with pytest.raises(CommitFailedError):
        await silent.commit({TopicPartition(topic, 0): 1})


async def test_a_static_member_comes_back_without_a_rebalance(clients):
    topic = await clients.topic(partitions=4)
    first = await clients.member(topic, group_instance_id="one")
    second = await clients.member(topic, group_instance_id="two")
    await sharing([first, second], 4)
    before, generation = first.assignment(), second._coordinator.generation
    await first.stop()
    again = await clients.member(topic, group_instance_id="one")
    await sharing([again, second], 4)
    assert again.assignment() == before
    assert second._coordinator.generation == generation


async def test_the_former_incarnation_of_a_static_member_is_fenced(clients):
    topic = await clients.topic(partitions=2)
    old = await clients.member(topic, group_instance_id="one")
    await until(lambda: len(old.assignment()), 2)
    old._coordinator._coordination_task.cancel()
    new = await clients.member(topic, group_instance_id="one")
    await until(lambda: len(new.assignment()), 2)
    with pytest.raises(CommitFailedError):
        await old.commit({TopicPartition(topic, 0): 1})
    await new.commit({TopicPartition(topic, 0): 1})


async def test_a_commit_of_a_past_generation_is_refused(clients):
    topic = await clients.topic(partitions=2)
    # Short sessions: the member that is made to err rejoins under another id, and what it was has to expire.
    first = await clients.member(topic, session_timeout_ms=1_000)
    await until(lambda: len(first.assignment()), 2)
    second = await clients.member(topic, session_timeout_ms=1_000)
    await sharing([first, second], 2)
    first._coordinator.generation -= 1
    with pytest.raises(CommitFailedError):
        await first.commit(dict.fromkeys(first.assignment(), 1))


async def test_offsets_and_their_metadata_come_back(clients):
    topic = await clients.topic(partitions=2)
    member = await clients.member(topic)
    await until(lambda: len(member.assignment()), 2)
    tp = TopicPartition(topic, 1)
    text = "é" * 4_096
    await member.commit({tp: OffsetAndMetadata(7, text)})
    assert await member.committed(tp) == 7
    found = await clients.admin.list_consumer_group_offsets(clients.name("g"))
    assert found == {tp: OffsetAndMetadata(7, text)}
    assert await member.committed(TopicPartition(topic, 0)) is None


async def test_metadata_over_its_limit_is_refused(clients):
    topic = await clients.topic()
    member = await clients.member(topic)
    await until(lambda: len(member.assignment()), 1)
    with pytest.raises(OffsetMetadataTooLargeError):
        await member.commit({TopicPartition(topic, 0): OffsetAndMetadata(7, "x" * 4_097)})


async def test_a_commit_for_an_unknown_topic_is_refused(clients):
    topic = await clients.topic()
    member = await clients.member(topic)
    await until(lambda: len(member.assignment()), 1)
    with pytest.raises(UnknownTopicOrPartitionError):
        await member._coordinator._do_commit_offsets(
            member._subscription.subscription.assignment,
            {TopicPartition(clients.name("never"), 0): OffsetAndMetadata(1, "")},
        )


async def test_a_restarted_group_goes_on_at_its_offsets(clients):
    topic = await clients.topic()
    sender = await clients.producer()
    for i in range(4):
        await sender.send_and_wait(topic, b"%d" % i)
    first = await clients.member(topic)
    await take(first, 4)
    await first.commit({TopicPartition(topic, 0): 2})
    await first.stop()
    assert await take(await clients.member(topic), 2) == [b"2", b"3"]


async def test_groups_are_listed_and_described(clients):
    topic = await clients.topic()
    member = await clients.member(topic)
    await until(lambda: len(member.assignment()), 1)
    group = clients.name("g")
    assert (group, "consumer") in await clients.admin.list_consumer_groups()
    [response] = await clients.admin.describe_consumer_groups([group])
    [(code, name, state, kind, protocol, members, *_)] = response.groups
    assert (code, name, state, kind, protocol, len(members)) == (0, group, "Stable", "consumer", "roundrobin", 1)


# -- transactions


async def test_committed_records_are_seen_and_aborted_ones_never(clients):
    topic = await clients.topic()
    sender = await clients.producer("tx")
    async with sender.transaction():
        await sender.send(topic, b"kept 1")
    await sender.begin_transaction()
    await sender.send_and_wait(topic, b"aborted")
    await sender.abort_transaction()
    async with sender.transaction():
        await sender.send(topic, b"kept 2")
    assert await take(await clients.reader(topic), 2) == [b"kept 1", b"kept 2"]
    uncommitted = await clients.reader(topic, isolation_level="read_uncommitted")
    assert await take(uncommitted, 3) == [b"kept 1", b"aborted", b"kept 2"]


async def test_an_open_transaction_holds_readers_of_committed_data_back(clients):
    topic = await clients.topic()
    transactional, plain = await clients.producer("tx"), await clients.producer()
    tp = TopicPartition(topic, 0)
    await plain.send_and_wait(topic, b"before")
    await transactional.begin_transaction()
    await transactional.send_and_wait(topic, b"open")
    await plain.send_and_wait(topic, b"after")
    reader = await clients.reader(topic)
    assert await take(reader, 1) == [b"before"]
    assert await nothing_more(reader)
    assert await reader.end_offsets([tp]) == {tp: 1}
    uncommitted = await clients.reader(topic, isolation_level="read_uncommitted")
    assert await take(uncommitted, 3) == [b"before", b"open", b"after"]
    assert await uncommitted.end_offsets([tp]) == {tp: 3}
    await transactional.commit_transaction()
    assert await take(reader, 2) == [b"open", b"after"]


async def test_overlapping_transactions_are_decided_each_on_its_own(clients):
    topic = await clients.topic()
    kept, aborted = await clients.producer("kept"), await clients.producer("aborted")
    await aborted.begin_transaction()
    await kept.begin_transaction()
    for i in range(3):
        await aborted.send_and_wait(topic, b"no %d" % i)
        await kept.send_and_wait(topic, b"yes %d" % i)
    await kept.commit_transaction()
    await aborted.abort_transaction()
    async with kept.transaction():
        await kept.send(topic, b"yes 3")
    assert await take(await clients.reader(topic), 4) == [b"yes %d" % i for i in range(4)]


async def test_a_transaction_spans_partitions(clients):
    topic = await clients.topic(partitions=3)
    sender = await clients.producer("tx")
    reader = await clients.reader(topic, 0, 1, 2)
    async with sender.transaction():
        for partition in range(3):
            await sender.send_and_wait(topic, b"%d" % partition, partition=partition)
        assert await nothing_more(reader)
    assert sorted(await take(reader, 3)) == [b"0", b"1", b"2"]


async def test_a_new_owner_fences_the_former_and_aborts_what_it_left(clients):
    topic = await clients.topic()
    zombie = await clients.producer("tx")
    await zombie.begin_transaction()
    await zombie.send_and_wait(topic, b"left open")
    owner = await clients.producer("tx")
    with pytest.raises((ProducerFenced, KafkaError)):
        await zombie.commit_transaction()
    async with owner.transaction():
        await owner.send(topic, b"owner")
    assert await take(await clients.reader(topic), 1) == [b"owner"]


async def test_a_fenced_producer_can_write_no_more(clients):
    topic = await clients.topic()
    zombie = await clients.producer("tx")
    async with zombie.transaction():
        await zombie.send(topic, b"mine")
    await clients.producer("tx")
    await zombie.begin_transaction()
    with pytest.raises((ProducerFenced, KafkaError)):
        await zombie.send_and_wait(topic, b"zombie")
    reader = await clients.reader(topic, isolation_level="read_uncommitted")
    assert await take(reader, 1) == [b"mine"]
    assert await nothing_more(reader)


async def test_offsets_of_a_transaction_show_only_after_its_commit(clients):
    topic = await clients.topic("in")
    out = await clients.topic("out")
    sender, group, tp = await clients.producer("tx"), clients.name("g"), TopicPartition(topic, 0)

    async def committed() -> OffsetAndMetadata | None:
        return (await clients.admin.list_consumer_group_offsets(group)).get(tp)

    await sender.begin_transaction()
    await sender.send_and_wait(out, b"v")
    await sender.send_offsets_to_transaction({tp: OffsetAndMetadata(5, "meta")}, group)
    assert await committed() is None
    await sender.commit_transaction()
    await until(committed, OffsetAndMetadata(5, "meta"))
    await sender.begin_transaction()
    await sender.send_offsets_to_transaction({tp: OffsetAndMetadata(9, "")}, group)
    await sender.abort_transaction()
    await asyncio.sleep(QUIET_MS / 1000)
    assert await committed() == OffsetAndMetadata(5, "meta")


async def test_a_transaction_over_its_timeout_is_aborted_and_its_owner_fenced(clients):
    topic = await clients.topic()
    slow = await clients.producer("tx", transaction_timeout_ms=1_000)
    await slow.begin_transaction()
    await slow.send_and_wait(topic, b"too late")
    await (await clients.producer()).send_and_wait(topic, b"after")
    # Apache Kafka looks for such transactions every 10 s.
    assert await take(await clients.reader(topic), 1) == [b"after"]
    with pytest.raises(KafkaError):
        await slow.commit_transaction()
