"""The error codes that both brokers answer to requests that no well-behaved client sends."""

import asyncio
from itertools import count

import pytest
from aiokafka.admin import NewTopic
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import DeleteGroupsRequest, DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from shared.broker.clients import admin
from shared.broker.embedded import Code

COORDINATOR_LOADS = {Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE, Code.NOT_COORDINATOR}
CONCURRENT = {Code.CONCURRENT_TRANSACTIONS}


class Wire:
    """One bare connection, and a topic of one partition."""

    def __init__(self, settings, connection, topic):
        self.namespace = settings.namespace
        self.topic = topic
        self.group = f"{settings.namespace}g"
        self.transactional_id = f"{settings.namespace}x"
        self.send = connection.send

    async def settled(self, request, code_of):
        """The code of an answer, once the coordinator is there and no marker is under way."""
        for _ in range(600):
            code = code_of(await self.send(request))
            if code not in COORDINATOR_LOADS | CONCURRENT:
                return code
            await asyncio.sleep(0.05)
        raise AssertionError("the coordinator did not come")

    async def producer(self, transactional_id=None, timeout_ms=10_000):
        """(producer id, epoch)"""
        request = InitProducerIdRequest(transactional_id, timeout_ms)
        assert await self.settled(request, lambda answer: answer.error_code) == 0
        answer = await self.send(request)
        return answer.producer_id, answer.producer_epoch

    async def produce(self, *batches, acks=-1, topic=None, transactional_id=None):
        """(code, offset)"""
        request = ProduceRequest(transactional_id, acks, 5_000, [(topic or self.topic, [(0, b"".join(batches))])])
        [(_, [(_, code, offset, *_)])] = (await self.send(request)).topics
        return code, offset


def batch(*values, producer_id=-1, epoch=-1, sequence=-1, transactional=False):
    builder = DefaultRecordBatchBuilder(2, 0, 1 if transactional else 0, producer_id, epoch, sequence, 1 << 22)
    for i, value in enumerate(values):
        builder.append(i, 1_000, b"k", value, [])
    return bytes(builder.build())


@pytest.fixture
async def wire(broker_settings):
    client = admin(broker_settings)
    await client.start()
    topic = f"{broker_settings.namespace}t"
    await client.create_topics([NewTopic(topic, 1, 1)])
    host, port = broker_settings.bootstrap_servers.split(":")
    connection = await create_conn(host, int(port), request_timeout_ms=20_000)
    made = Wire(broker_settings, connection, topic)
    for key, kind in ((made.group, 0), (made.transactional_id, 1)):
        assert await made.settled(FindCoordinatorRequest(key, kind), lambda answer: answer.error_code) == 0
    for _ in range(200):
        if (await made.produce(batch(b"first")))[0] == 0:
            break
        await asyncio.sleep(0.05)
    yield made
    connection.close()
    await client.close()


# -- produce


async def test_a_batch_sent_again_is_answered_with_its_first_offset(wire):
    pid, epoch = await wire.producer()
    batches = [batch(b"a", b"b", producer_id=pid, epoch=epoch, sequence=2 * i) for i in range(6)]
    assert [await wire.produce(one) for one in batches] == [(0, 1 + 2 * i) for i in range(6)]
    assert [await wire.produce(one) for one in batches[1:]] == [(0, 3 + 2 * i) for i in range(5)]


async def test_a_gap_in_the_sequence_and_an_old_epoch_are_refused(wire):
    pid, epoch = await wire.producer()
    assert (await wire.produce(batch(b"a", producer_id=pid, epoch=epoch + 1, sequence=0)))[0] == 0
    gap = batch(b"c", producer_id=pid, epoch=epoch + 1, sequence=2)
    assert (await wire.produce(gap))[0] == Code.OUT_OF_ORDER_SEQUENCE_NUMBER
    old = batch(b"c", producer_id=pid, epoch=epoch, sequence=1)
    assert (await wire.produce(old))[0] == Code.INVALID_PRODUCER_EPOCH


async def test_damaged_and_doubled_batches_are_refused(wire):
    sound = batch(b"a")
    assert (await wire.produce(sound[:-1] + b"\x7f"))[0] == Code.CORRUPT_MESSAGE
    assert (await wire.produce(sound, sound))[0] == Code.INVALID_RECORD
    assert (await wire.produce(sound, acks=2))[0] == Code.INVALID_REQUIRED_ACKS
    assert (await wire.produce(batch(b"x" * 1_100_000)))[0] == Code.MESSAGE_TOO_LARGE
    assert (await wire.produce(sound, topic=f"{wire.namespace}never"))[0] == Code.UNKNOWN_TOPIC_OR_PARTITION


async def test_a_transactional_batch_outside_a_transaction_is_refused(wire):
    pid, epoch = await wire.producer(wire.transactional_id)
    raw = batch(b"a", producer_id=pid, epoch=epoch, sequence=0, transactional=True)
    code, _ = await wire.produce(raw, transactional_id=wire.transactional_id)
    assert code == Code.INVALID_TXN_STATE


# -- fetch, offsets


async def fetch(wire, offset, *, topic=None, max_wait=0, min_bytes=1, max_bytes=1 << 20, partition_bytes=1 << 20):
    request = FetchRequest(max_wait, min_bytes, max_bytes, 0, [(topic or wire.topic, [(0, offset, partition_bytes)])])
    [(_, [(_, code, *_, records)])] = (await wire.send(request)).topics
    return code, len(records or b"")


async def test_a_fetch_outside_the_log_is_told_so(wire):
    assert await fetch(wire, 2) == (Code.OFFSET_OUT_OF_RANGE, 0)
    assert await fetch(wire, -1) == (Code.OFFSET_OUT_OF_RANGE, 0)
    assert (await fetch(wire, 1)) == (0, 0)
    assert (await fetch(wire, 0, topic=f"{wire.namespace}never"))[0] == Code.UNKNOWN_TOPIC_OR_PARTITION


async def test_a_fetch_returns_a_first_batch_that_is_over_its_limits(wire):
    code, size = await fetch(wire, 0, max_bytes=1, partition_bytes=1)
    assert code == 0
    assert size == len(batch(b"first"))


async def test_offsets_of_an_unknown_topic_are_refused(wire):
    request = OffsetRequest(-1, 0, [(f"{wire.namespace}never", [(0, -1)])])
    [(_, [(_, code, *_)])] = (await wire.send(request)).topics
    assert code == Code.UNKNOWN_TOPIC_OR_PARTITION


# -- groups


def join(wire, group=None, member_id="", session_ms=6_000, instance_id=None):
    return JoinGroupRequest(
        wire.group if group is None else group,
        session_ms,
        6_000,
        member_id,
        instance_id,
        "consumer",
        [("range", b"\0\0\0\0\0\0\0\0\0\0")],
    )


async def member(wire, instance_id=None):
    """(member id, generation) of the only member of the group."""
    answer = await wire.send(join(wire, instance_id=instance_id))
    if answer.error_code == Code.MEMBER_ID_REQUIRED:
        answer = await wire.send(join(wire, member_id=answer.member_id))
    assert answer.error_code == 0
    synced = await wire.send(
        SyncGroupRequest(wire.group, answer.generation_id, answer.member_id, instance_id, [(answer.member_id, b"all")])
    )
    assert (synced.error_code, synced.member_assignment) == (0, b"all")
    return answer.member_id, answer.generation_id


def commit(wire, generation, member_id, offset=1):
    return OffsetCommitRequest(wire.group, generation, member_id, -1, [(wire.topic, [(0, offset, "")])])


def commit_code(answer):
    return answer.topics[0][1][0][1]


async def test_bad_joins_are_refused(wire):
    code = await wire.settled(join(wire, member_id="stranger"), lambda answer: answer.error_code)
    assert code == Code.UNKNOWN_MEMBER_ID
    assert (await wire.send(join(wire, session_ms=10))).error_code == Code.INVALID_SESSION_TIMEOUT
    assert (await wire.send(join(wire, group=""))).error_code == Code.INVALID_GROUP_ID


async def test_strangers_are_told_apart_from_members_of_the_past(wire):
    await wire.settled(join(wire, member_id="stranger"), lambda answer: answer.error_code)
    member_id, generation = await member(wire)

    async def codes(of, at):
        return [
            (await wire.send(HeartbeatRequest(wire.group, at, of))).error_code,
            (await wire.send(SyncGroupRequest(wire.group, at, of, None, []))).error_code,
            commit_code(await wire.send(commit(wire, at, of))),
        ]

    assert await codes(member_id, generation) == [0, 0, 0]
    assert await codes(member_id, generation + 1) == [Code.ILLEGAL_GENERATION] * 3
    assert await codes("stranger", generation) == [Code.UNKNOWN_MEMBER_ID] * 3
    assert commit_code(await wire.send(commit(wire, -1, ""))) == Code.UNKNOWN_MEMBER_ID
    assert (await wire.send(LeaveGroupRequest(wire.group, "stranger"))).error_code == Code.UNKNOWN_MEMBER_ID
    assert (await wire.send(LeaveGroupRequest(wire.group, member_id))).error_code == 0
    assert await codes(member_id, generation) == [Code.UNKNOWN_MEMBER_ID] * 3
    assert commit_code(await wire.send(commit(wire, -1, ""))) == 0


async def test_a_commit_of_a_generation_that_never_was_is_refused(wire):
    code = await wire.settled(commit(wire, 5, "stranger"), commit_code)
    assert code == Code.ILLEGAL_GENERATION


async def test_the_former_incarnation_of_a_static_member_is_fenced_by_name(wire):
    await wire.settled(join(wire, member_id="stranger"), lambda answer: answer.error_code)
    old, generation = await member(wire, instance_id="one")
    joined = await wire.send(join(wire, instance_id="one"))
    assert (joined.error_code, joined.generation_id, joined.leader_id) == (0, generation, old)
    assert joined.member_id != old
    synced = await wire.send(SyncGroupRequest(wire.group, generation, joined.member_id, "one", []))
    assert (synced.error_code, synced.member_assignment) == (0, b"all")
    fenced = await wire.send(SyncGroupRequest(wire.group, generation, old, "one", []))
    assert fenced.error_code == Code.FENCED_INSTANCE_ID
    assert (await wire.send(join(wire, member_id=old, instance_id="one"))).error_code == Code.FENCED_INSTANCE_ID
    assert (await wire.send(HeartbeatRequest(wire.group, generation, old))).error_code == Code.UNKNOWN_MEMBER_ID


async def test_groups_that_are_not_there(wire):
    def deleted(answer):
        return answer.results[0][1]

    assert await wire.settled(DeleteGroupsRequest([wire.group]), deleted) == Code.GROUP_ID_NOT_FOUND
    [(code, name, state, *_)] = (await wire.send(DescribeGroupsRequest([wire.group]))).groups
    assert (name, state) == (wire.group, "Dead")
    assert code in {0, Code.GROUP_ID_NOT_FOUND}
    answer = await wire.send(OffsetFetchRequest(wire.group, [(wire.topic, [0])]))
    assert answer.topics == [(wire.topic, [(0, -1, "", 0)])]
    assert answer.error_code == 0


async def test_only_an_empty_group_is_deleted(wire):
    await wire.settled(join(wire, member_id="stranger"), lambda answer: answer.error_code)
    member_id, generation = await member(wire)
    await wire.send(commit(wire, generation, member_id, 7))
    assert (await wire.send(DeleteGroupsRequest([wire.group]))).results[0][1] == Code.NON_EMPTY_GROUP
    await wire.send(LeaveGroupRequest(wire.group, member_id))
    assert (await wire.send(DeleteGroupsRequest([wire.group]))).results[0][1] == 0
    assert (await wire.send(OffsetFetchRequest(wire.group, None))).topics == []


# -- transactions


async def test_bad_producer_initialisations_are_refused(wire):
    def code(answer):
        return answer.error_code

    assert await wire.settled(InitProducerIdRequest("", 10_000), code) == Code.INVALID_REQUEST
    too_long = InitProducerIdRequest(wire.transactional_id, 10_000_000)
    assert await wire.settled(too_long, code) == Code.INVALID_TRANSACTION_TIMEOUT


async def test_transactional_requests_of_strangers_and_of_former_owners_are_refused(wire):
    x, topics = wire.transactional_id, [(wire.topic, [0])]
    offsets = [(wire.topic, [(0, 1, "")])]

    async def codes(pid, epoch):
        return [
            await wire.settled(AddPartitionsToTxnRequest(x, pid, epoch, topics), lambda a: a.errors[0][1][0][1]),
            await wire.settled(AddOffsetsToTxnRequest(x, pid, epoch, wire.group), lambda a: a.error_code),
            await wire.settled(EndTxnRequest(x, pid, epoch, transaction_result=True), lambda a: a.error_code),
        ]

    assert set(await codes(1, 0)) == {Code.INVALID_PRODUCER_ID_MAPPING}
    pid, epoch = await wire.producer(x)
    assert await codes(pid, epoch) == [0, 0, 0]
    numbers = count(epoch + 1)
    again = await wire.producer(x)
    assert again[0] == pid
    assert again[1] >= next(numbers)
    assert await codes(pid, epoch) == [Code.INVALID_PRODUCER_EPOCH] * 3
    late = TxnOffsetCommitRequest(x, wire.group, pid, epoch, offsets)
    assert (await wire.settled(late, lambda a: a.errors[0][1][0][1])) != 0


async def test_ending_no_transaction_is_refused_and_ending_one_twice_is_not(wire):
    x = wire.transactional_id
    pid, epoch = await wire.producer(x)
    end = EndTxnRequest(x, pid, epoch, transaction_result=True)
    assert await wire.settled(end, lambda a: a.error_code) == Code.INVALID_TXN_STATE
    begin = AddPartitionsToTxnRequest(x, pid, epoch, [(wire.topic, [0])])
    assert await wire.settled(begin, lambda a: a.errors[0][1][0][1]) == 0
    assert await wire.settled(end, lambda a: a.error_code) == 0
    assert await wire.settled(end, lambda a: a.error_code) == 0
    abort = EndTxnRequest(x, pid, epoch, transaction_result=False)
    assert await wire.settled(abort, lambda a: a.error_code) == Code.INVALID_TXN_STATE


async def test_one_unknown_partition_refuses_all_that_are_added(wire):
    pid, epoch = await wire.producer(wire.transactional_id)
    request = AddPartitionsToTxnRequest(
        wire.transactional_id, pid, epoch, [(wire.topic, [0]), (f"{wire.namespace}never", [0])]
    )
    answer = await wire.send(request)
    assert {topic: partitions[0][1] for topic, partitions in answer.errors} == {
        wire.topic: Code.OPERATION_NOT_ATTEMPTED,
        f"{wire.namespace}never": Code.UNKNOWN_TOPIC_OR_PARTITION,
    }
