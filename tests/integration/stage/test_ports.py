"""
What the runtimes rely on, held to every broker alike: in memory, the embedded one, and Apache Kafka.
"""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import psutil
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from shared.broker.clients import KafkaSettings, admin
from shared.broker.embedded import Delay, Rule
from shared.broker.embedded.wire import Api
from shared.errors import Fatal, Invalid, Retryable
from shared.stage import kafka_group
from shared.stage.base import Output
from shared.stage.errors import OwnershipLost
from shared.stage.kafka import KafkaBroker
from shared.stage.memory import MemoryBroker
from shared.stage.ports import Committed, Gap, Position

PARTITIONS = 4
TOPICS = ("in", "watched", "out", "state")


class Member:
    """A listener that notes what it is told, and reads its tasks from what is committed."""

    def __init__(self):
        self.group = None
        self.tasks = frozenset()
        self.told = []
        self.gaps = []
        self.changed = asyncio.Event()

    async def revoked(self, tasks):
        self.told.append(("revoked", tasks))

    async def assigned(self, tasks):
        positions = [Position(topic, task) for topic in ("in", "watched") for task in tasks]
        committed = await self.group.committed(positions)
        missing = [position for position in positions if position not in committed]
        beginning = await self.group.beginning(missing) if missing else {}
        for position in positions:
            self.group.seek(position, committed[position].offset if position in committed else beginning[position])
        self.group.resume(positions)
        self.tasks = tasks
        self.told.append(("assigned", tasks))
        self.changed.set()

    def missed(self, gap):
        self.gaps.append(gap)

    async def owns(self, count):
        """Wait until it owns so many tasks; a member that fetches takes part in rebalances."""
        async with asyncio.timeout(60):
            while len(self.tasks) != count or self.told[-1][0] != "assigned":
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture(params=["memory", "embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def settings(request):
    """How to reach the broker; None where it is in memory."""
    return None if request.param == "memory" else request.getfixturevalue(f"{request.param}_settings")


@pytest.fixture
async def connect(settings):
    """Opens a process's connection to a broker that has the topics."""
    if settings is None:
        return MemoryBroker(dict.fromkeys(TOPICS, PARTITIONS)).connect
    administration = admin(settings)
    await administration.start()
    topics = [NewTopic(f"{settings.namespace}{topic}", PARTITIONS, 1) for topic in TOPICS]
    await administration.create_topics(topics)
    async with asyncio.timeout(30):
        # Apache Kafka answers before its metadata tells of a new topic.
        while {topic.name for topic in topics} - set(await administration.list_topics()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await administration.close()
    return lambda: KafkaBroker(settings)


@pytest.fixture
def name():
    return f"group-{uuid4().hex[:8]}"


@asynccontextmanager
async def joined(broker, name):
    """A member of the group, with its listener."""
    member = Member()
    member.group = broker.group(name, ("in", "watched"))
    await member.group.start(member)
    try:
        yield member
    finally:
        await member.group.stop()


@asynccontextmanager
async def producing(broker):
    producer = broker.producer()
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def read(member, count):
    """*count* records, or what there is after a while."""
    records = []
    async with asyncio.timeout(30):
        while len(records) < count:
            records += await member.group.fetch(records_max=100, wait_seconds=0.2)
    return records


def outputs(*values, topic="in"):
    return [Output(topic, b"k", value, (("h", value),)) for value in values]


async def test_records_arrive_whole_and_in_order(connect, name):
    broker = connect()
    async with producing(broker) as producer, joined(broker, name) as member:
        await producer.send([*outputs(b"1", b"2"), Output("in", b"k", None), Output("in", None, b"4")], 3)
        records = await read(member, 4)
        assert [(r.topic, r.partition, r.offset, r.key, r.value) for r in records] == [
            ("in", 3, 0, b"k", b"1"),
            ("in", 3, 1, b"k", b"2"),
            ("in", 3, 2, b"k", None),
            ("in", 3, 3, None, b"4"),
        ]
        assert records[0].headers == (("h", b"1"),)
        assert records[0].timestamp_ms > 1_600_000_000_000


async def test_a_task_is_the_same_partition_of_every_topic_and_has_one_owner(connect, name):
    async with joined(connect(), name) as one, joined(connect(), name) as other:
        await asyncio.gather(one.owns(2), other.owns(2))
        assert one.tasks | other.tasks == set(range(PARTITIONS))
        broker = connect()
        async with producing(broker) as producer:
            for task in range(PARTITIONS):
                await producer.send([*outputs(b"a"), *outputs(b"b", topic="watched")], task)
        for member in (one, other):
            records = await read(member, 4)
            assert {(r.topic, r.partition) for r in records} == {
                (t, p) for t in ("in", "watched") for p in member.tasks
            }


async def test_a_member_keeps_its_tasks_when_others_come_and_go(connect, name):
    async with joined(connect(), name) as one:
        await one.owns(PARTITIONS)
        async with joined(connect(), name) as other:
            await asyncio.gather(one.owns(2), other.owns(2))
            kept = one.tasks
        await one.owns(PARTITIONS)
        assert kept < one.tasks
        assert [what for what, _ in one.told] == ["assigned", "revoked", "assigned", "revoked", "assigned"]


async def test_progress_is_committed_with_its_metadata_and_read_back(connect, name):
    async with joined(connect(), name) as member:
        await member.owns(PARTITIONS)
        progress = {Position("in", 0): Committed(3, "x" * 4_000), Position("watched", 1): Committed(0, "")}
        await member.group.commit(progress)
        asked = [Position(topic, task) for topic in ("in", "watched") for task in range(PARTITIONS)]
        assert await member.group.committed(asked) == progress


async def test_progress_can_be_committed_while_ownership_is_in_doubt(connect, name):
    class Late(Member):
        async def revoked(self, tasks):
            await self.group.commit({Position("in", min(tasks)): Committed(7, "late")})
            await super().revoked(tasks)

    member = Late()
    member.group = connect().group(name, ("in", "watched"))
    await member.group.start(member)
    try:
        await member.owns(PARTITIONS)
        async with joined(connect(), name) as other:
            await asyncio.gather(member.owns(2), other.owns(2))
            assert await other.group.committed([Position("in", 0)]) == {Position("in", 0): Committed(7, "late")}
    finally:
        await member.group.stop()


async def test_nothing_is_committed_for_a_task_that_is_not_owned(connect, name):
    async with joined(connect(), name) as one, joined(connect(), name) as other:
        await asyncio.gather(one.owns(2), other.owns(2))
        with pytest.raises(OwnershipLost):
            await one.group.commit({Position("in", min(other.tasks)): Committed(1)})


async def test_paused_positions_are_not_read_and_lose_nothing(connect, name):
    broker = connect()
    async with producing(broker) as producer, joined(broker, name) as member:
        await member.owns(PARTITIONS)
        member.group.pause([Position("in", 0)])
        await producer.send(outputs(b"held"), 0)
        await producer.send(outputs(b"free"), 1)
        assert [record.value for record in await read(member, 1)] == [b"free"]
        assert await member.group.fetch(records_max=10, wait_seconds=0.3) in ([], ())
        member.group.resume([Position("in", 0)])
        assert [record.value for record in await read(member, 1)] == [b"held"]


async def test_a_position_is_read_from_where_it_was_sought(connect, name):
    broker = connect()
    async with producing(broker) as producer, joined(broker, name) as member:
        await producer.send(outputs(b"0", b"1", b"2"), 0)
        await read(member, 3)
        member.group.seek(Position("in", 0), 1)
        assert [record.value for record in await read(member, 2)] == [b"1", b"2"]
        assert await member.group.beginning([Position("in", 0)]) == {Position("in", 0): 0}


async def test_positions_that_are_not_owned_can_be_paused_without_harm(connect, name):
    async with joined(connect(), name) as member:
        await member.owns(PARTITIONS)
        member.group.pause([Position("in", 99)])
        member.group.resume([Position("in", 99)])


async def test_a_partition_that_an_output_topic_lacks_is_fatal(connect, settings):
    if settings is None:
        pytest.skip("logs in memory have no fixed number")
    async with producing(connect()) as producer:
        with pytest.raises(Fatal, match="partition 99"):
            await producer.send(outputs(b"1"), 99)


async def test_a_group_over_a_missing_topic_says_so_and_may_be_tried_again(connect, name, settings):
    if settings is None:
        pytest.skip("topics in memory are not declared")
    group = connect().group(name, ("in", "nowhere"))
    with pytest.raises(Retryable, match="nowhere"):
        await group.start(Member())


async def test_a_record_beyond_every_limit_is_refused_and_the_producer_lives(connect, settings):
    if settings is None:
        pytest.skip("logs in memory have no limit")
    async with producing(connect()) as producer:
        for size in (1_500_000, 5_000_000):
            with pytest.raises(Invalid, match="Large"):
                await producer.send([Output("out", b"k", b"x" * size)], 0)
            await asyncio.wait_for(producer.send(outputs(b"small", topic="out"), 0), 30)


async def test_a_transaction_writes_outputs_and_progress_together(connect, name):
    broker = connect()
    async with joined(broker, name) as member:
        await member.owns(PARTITIONS)
        producer = broker.transactional_producer(f"{name}.2", group=name)
        await producer.start()
        await producer.transact(outputs(b"a", b"b", topic="out"), 2, {Position("in", 2): Committed(5, "m")})
        await producer.transact([], 2, {Position("in", 2): Committed(6, "n")})
        await producer.stop()
        assert await member.group.committed([Position("in", 2)]) == {Position("in", 2): Committed(6, "n")}
        assert [value async for _, value, _ in broker.changelog().read("out", 2)] == [b"a", b"b"]


async def test_the_former_owner_is_fenced_and_writes_nothing_more(connect, name):
    broker = connect()
    async with joined(broker, name) as member:
        await member.owns(PARTITIONS)
        old, new = (broker.transactional_producer(f"{name}.0", group=name) for _ in range(2))
        await old.start()
        await old.transact(outputs(b"old", topic="out"), 0, {Position("in", 0): Committed(1)})
        await new.start()
        with pytest.raises(OwnershipLost):
            await old.transact(outputs(b"zombie", topic="out"), 0, {Position("in", 0): Committed(9)})
        with pytest.raises(OwnershipLost):
            await old.transact(outputs(b"zombie", topic="out"), 0, {})
        await new.transact(outputs(b"new", topic="out"), 0, {Position("in", 0): Committed(2)})
        await old.stop()
        await new.stop()
        assert await member.group.committed([Position("in", 0)]) == {Position("in", 0): Committed(2)}
        assert [value async for _, value, _ in broker.changelog().read("out", 0)] == [b"old", b"new"]


async def test_a_client_whose_owner_is_cancelled_while_it_closes_keeps_no_connection(connect, name, settings):
    if settings is None:
        pytest.skip("there is no connection in memory")
    broker = connect()
    before = connections(settings)
    for turns_of_the_loop in range(1, 6):
        async with joined(broker, name) as member:
            await member.owns(PARTITIONS)
            producers = broker.producer(), broker.transactional_producer(f"{name}.0", group=name)
            for producer in producers:
                await producer.start()
            stopping = [asyncio.create_task(client.stop()) for client in (*producers, member.group)]
            for _ in range(turns_of_the_loop):
                await asyncio.sleep(0)
            for task in stopping:
                task.cancel()
            await asyncio.wait(stopping)
    assert connections(settings) == before


@pytest.mark.parametrize("settings", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
async def test_a_static_member_that_reads_more_topics_than_before_is_given_them(connect, name, settings):
    """A process of a newer release comes back under its name; the broker remembers what the older one read."""
    connect()
    static = KafkaBroker(KafkaSettings(**settings.model_dump() | {"group_instance_id": "one"}))

    await given_to(static.group(name, ("in",)))
    with pytest.raises(OwnershipLost, match="read other topics"):
        await given_to(static.group(name, ("in", "watched")))

    assert await given_to(static.group(name, ("in", "watched"))) == {"in", "watched"}


class Told:
    """A listener that reads nothing."""

    def __init__(self):
        self.tasks = frozenset()

    async def revoked(self, tasks):
        pass

    async def assigned(self, tasks):
        self.tasks = tasks


async def given_to(group):
    """The topics that a member is given once it has joined; it goes again."""
    told = Told()
    await group.start(told)
    try:
        async with asyncio.timeout(60):
            while not told.tasks:
                await group.fetch(records_max=10, wait_seconds=0.1)
        return {group._plain[partition.topic] for partition in group._consumer.assignment()}
    finally:
        await group.stop()


@pytest.mark.parametrize("settings", ["embedded"], indirect=True)  # it can be told not to answer
@pytest.mark.parametrize("unanswered", [Api.OFFSET_COMMIT, Api.HEARTBEAT, Api.FETCH])
async def test_a_member_that_gets_no_answer_while_it_leaves_keeps_no_connection(
    unanswered, connect, name, settings, embedded_broker, monkeypatch
):
    """A broker that stands still, or a machine that is busy, answers later than a member waits for."""
    monkeypatch.setattr(kafka_group, "STOP_SECONDS", 0.2)
    broker = connect()
    before = connections(settings)
    async with joined(broker, name) as member:
        await member.owns(PARTITIONS)
        for api in (Api.LEAVE_GROUP, unanswered):
            embedded_broker.faults.add(Rule(Delay(600.0), api=api))
    assert connections(settings) == before


def connections(settings):
    """How many connections to the broker this process has opened, and not closed."""
    port = int(settings.bootstrap_servers.rpartition(":")[2])
    opened = psutil.Process().net_connections("tcp4")
    return sum(bool(it.raddr) and it.raddr.port == port and it.status != psutil.CONN_TIME_WAIT for it in opened)


async def test_a_transaction_with_an_output_too_large_leaves_no_trace(connect, name, settings):
    if settings is None:
        pytest.skip("logs in memory have no limit")
    broker = connect()
    producer = broker.transactional_producer(f"{name}.1", group=name)
    await producer.start()
    large = Output("out", b"k", b"x" * 5_000_000)
    with pytest.raises(Invalid):
        await producer.transact([*outputs(b"small", topic="out"), large], 1, {})
    await producer.stop()
    assert [value async for _, value, _ in broker.changelog().read("out", 1)] == []


async def test_a_changelog_is_read_from_its_beginning_to_its_end_whatever_it_holds(connect):
    broker = connect()
    assert [entry async for entry in broker.changelog().read("state", 0)] == []
    async with producing(broker) as producer:
        await producer.send([Output("state", b"a", b"1", (("h", b"x"),)), Output("state", b"b", None)], 0)
    assert [entry async for entry in broker.changelog().read("state", 0)] == [
        (b"a", b"1", (("h", b"x"),)),
        (b"b", None, ()),
    ]


@pytest.fixture
def delete_before(settings, connect):
    """Lets a partition's log begin at an offset, as retention does."""

    async def delete(topic, partition, offset):
        if settings is None:
            connect.__self__.delete_records(topic, partition, offset)
            return
        administration = admin(settings)
        await administration.start()
        try:
            place = TopicPartition(f"{settings.namespace}{topic}", partition)
            await administration.delete_records({place: RecordsToDelete(offset)})
        finally:
            await administration.close()

    return delete


async def test_records_deleted_before_a_member_read_them_are_a_gap_that_it_is_told_of(connect, name, delete_before):
    broker = connect()
    async with producing(broker) as producer:
        await producer.send(outputs(b"0", b"1", b"2", b"3"), 0)
        async with joined(broker, name) as member:
            await read(member, 4)
            await member.group.commit({Position("in", 0): Committed(1)})
        await delete_before("in", 0, 3)
        async with joined(broker, name) as member:
            assert [record.offset for record in await read(member, 1)] == [3]
            assert member.gaps == [Gap(Position("in", 0), 1, 3)]


async def test_records_deleted_while_a_member_pauses_are_a_gap_that_it_is_told_of(connect, name, delete_before):
    broker = connect()
    async with producing(broker) as producer, joined(broker, name) as member:
        await producer.send(outputs(b"0"), 0)
        await read(member, 1)
        member.group.pause([Position("in", 0)])
        # A fetch that was under way comes back first, and what it brings is kept while the position is paused.
        for _ in range(5):
            await member.group.fetch(records_max=10, wait_seconds=0.2)
        await producer.send(outputs(b"1", b"2", b"3"), 0)
        await delete_before("in", 0, 3)
        member.group.resume([Position("in", 0)])
        assert [record.offset for record in await read(member, 1)] == [3]
        assert member.gaps == [Gap(Position("in", 0), 1, 3)]


async def test_progress_beyond_a_logs_end_says_that_the_log_begins_anew(connect, name):
    broker = connect()
    async with producing(broker) as producer:
        await producer.send(outputs(b"0", b"1"), 0)
        async with joined(broker, name) as member:
            await member.owns(PARTITIONS)
            await member.group.commit({Position("in", 0): Committed(9)})
        async with joined(broker, name) as member:
            assert [record.offset for record in await read(member, 2)] == [0, 1]
            assert member.gaps == [Gap(Position("in", 0), 9, 0)]


async def test_the_first_reading_of_a_log_that_begins_late_and_its_holes_are_no_gap(connect, name, delete_before):
    broker = connect()
    async with producing(broker) as producer:
        await producer.send(outputs(b"0", b"1"), 0)
        await delete_before("in", 0, 1)
        transactional = broker.transactional_producer(f"{name}.0", group=name)
        await transactional.start()
        await transactional.transact(outputs(b"2"), 0, {})
        await transactional.stop()
        await producer.send(outputs(b"last"), 0)
        async with joined(broker, name) as member:
            assert [record.value for record in await read(member, 3)] == [b"1", b"2", b"last"]
            assert member.gaps == []


async def test_a_client_that_stops_asking_the_broker_is_taken_for_dead(connect, name, settings, monkeypatch):
    """A background task of aiokafka that dies is noticed by nobody: fetches come back empty for ever."""
    if settings is None:
        pytest.skip("there is no client in memory")
    monkeypatch.setattr(kafka_group, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(kafka_group, "STALE_CHECK_SECONDS", 0.1)
    async with joined(connect(), name) as member:
        await member.owns(PARTITIONS)
        # Empty partitions are answered all the same.
        loop = asyncio.get_running_loop()
        until = loop.time() + 3
        while loop.time() < until:
            await member.group.fetch(records_max=10, wait_seconds=0.2)
        member.group._consumer._fetcher._fetch_task.cancel()
        with pytest.raises(OwnershipLost, match="no answer to a fetch"):
            await asyncio.wait_for(read(member, 1), 30)


async def test_only_what_is_written_while_a_member_waits_at_the_end_is_fresh(connect, name, settings):
    """By such records stages tell a clock that is ahead from a backlog."""
    if settings is None:
        pytest.skip("a broker in memory tells nothing of it")
    broker = connect()
    async with producing(broker) as producer:
        await producer.send(outputs(b"1", b"2"), 0)
        async with joined(broker, name) as member:
            assert [record.fresh for record in await read(member, 2)] == [False, False]
            loop = asyncio.get_running_loop()
            until = loop.time() + 30
            while not (records := await member.group.fetch(records_max=10, wait_seconds=0.2)) or not records[0].fresh:
                assert loop.time() < until
                await producer.send(outputs(b"3"), 0)
