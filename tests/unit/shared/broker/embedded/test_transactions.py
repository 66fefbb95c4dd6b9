"""The transaction coordinator over real partition logs."""

import itertools

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.broker.embedded import batches
from shared.broker.embedded.codes import Code
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.log import PartitionLog
from shared.broker.embedded.topics import TopicConfig
from shared.broker.embedded.transactions import EPOCH_MAX, Transactions

PARTITIONS = 2


class World:
    """A coordinator, a topic of two partitions, and the offsets that were committed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limits = Limits(compaction_bytes_min=1 << 30)
        self.logs = [PartitionLog("t", i, TopicConfig(), self.limits) for i in range(PARTITIONS)]
        self.committed: dict[str, dict] = {}
        self.coordinator = Transactions(
            limits=self.limits,
            partition=lambda topic, i: self.logs[i] if topic == "t" and 0 <= i < PARTITIONS else None,
            commit_offsets=lambda group, offsets: self.committed.setdefault(group, {}).update(offsets),
            now=lambda: self.now,
            wall_ms=lambda: 0,
        )

    def write(self, key, producer_id, epoch, sequence, partition=0):
        """As the broker does: verify with the coordinator, then append."""
        code = self.coordinator.may_write(producer_id, epoch, "t", partition)
        if code is not Code.NONE:
            return code
        builder = DefaultRecordBatchBuilder(2, 0, 1, producer_id, epoch, sequence, 1 << 16)
        builder.append(0, 0, key, b"", [])
        return self.logs[partition].append(bytes(builder.build())).code


def committed_keys(log, chunk_bytes=1 << 20):
    """What a read_committed consumer sees: the algorithm of Kafka's and aiokafka's fetchers."""
    offset, keys, limit = log.start_offset, [], log.last_stable_offset
    while True:
        data, following = log.read(offset, chunk_bytes, below=limit, at_least_one=True)
        if not data:
            return keys
        waiting = sorted(log.aborted_between(offset, following), key=lambda a: a.first_offset)
        skipping = set()
        while data:
            header = batches.read_header(data)
            while waiting and waiting[0].first_offset <= header.base_offset:
                skipping.add(waiting.pop(0).producer_id)
            if header.control:
                skipping.discard(header.producer_id)
            elif not (header.transactional and header.producer_id in skipping):
                keys += [record.key for record in batches.records(data[: header.size_bytes])]
            data = data[header.size_bytes :]
        offset = following


def test_a_plain_producer_gets_an_id_of_its_own():
    coordinator = World().coordinator
    first, second = coordinator.initialise(None, 0), coordinator.initialise(None, 0)
    assert first.code is second.code is Code.NONE
    assert first.producer_id != second.producer_id


@pytest.mark.parametrize(
    ("transactional_id", "timeout", "code"),
    [
        ("", 1, Code.INVALID_REQUEST),
        ("x", 0, Code.INVALID_TRANSACTION_TIMEOUT),
        ("x", 901, Code.INVALID_TRANSACTION_TIMEOUT),
    ],
)
def test_a_bad_initialisation_is_refused(transactional_id, timeout, code):
    assert World().coordinator.initialise(transactional_id, timeout).code is code


def test_taking_an_id_over_raises_the_epoch_and_aborts_what_is_open():
    world = World()
    _, pid, epoch = world.coordinator.initialise("x", 10)
    world.coordinator.add_partitions("x", pid, epoch, [("t", 0)])
    assert world.write(b"left", pid, epoch, 0) is Code.NONE
    assert world.coordinator.initialise("x", 10) == (Code.NONE, pid, epoch + 1)
    assert world.coordinator.end("x", pid, epoch, commit=True) is Code.INVALID_PRODUCER_EPOCH
    assert world.write(b"zombie", pid, epoch, 1) is Code.INVALID_PRODUCER_EPOCH
    assert committed_keys(world.logs[0]) == []
    assert world.logs[0].last_stable_offset == world.logs[0].end_offset == 2


def test_an_exhausted_epoch_gives_a_new_producer_id():
    world = World()
    _, pid, _ = world.coordinator.initialise("x", 10)
    world.coordinator._by_id["x"].epoch = EPOCH_MAX
    world.coordinator.add_partitions("x", pid, EPOCH_MAX, [("t", 0)])
    again = world.coordinator.initialise("x", 10)
    assert (again.code, again.epoch) == (Code.NONE, 0)
    assert again.producer_id != pid
    assert world.coordinator.may_write(pid, EPOCH_MAX, "t", 0) is Code.INVALID_PRODUCER_ID_MAPPING


def test_one_unknown_partition_refuses_all():
    world = World()
    _, pid, epoch = world.coordinator.initialise("x", 10)
    assert world.coordinator.add_partitions("x", pid, epoch, [("t", 0), ("gone", 0)]) == {
        ("t", 0): Code.OPERATION_NOT_ATTEMPTED,
        ("gone", 0): Code.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert world.write(b"k", pid, epoch, 0) is Code.INVALID_TXN_STATE


def test_ending_twice_alike_succeeds_and_otherwise_does_not():
    world = World()
    _, pid, epoch = world.coordinator.initialise("x", 10)
    assert world.coordinator.end("x", pid, epoch, commit=True) is Code.INVALID_TXN_STATE
    world.coordinator.add_partitions("x", pid, epoch, [("t", 0)])
    assert world.coordinator.end("x", pid, epoch, commit=True) is Code.NONE
    assert world.coordinator.end("x", pid, epoch, commit=True) is Code.NONE
    assert world.coordinator.end("x", pid, epoch, commit=False) is Code.INVALID_TXN_STATE
    assert world.logs[0].end_offset == 1


def test_offsets_are_applied_at_the_commit_and_forgotten_at_an_abort():
    world = World()
    c = world.coordinator
    _, pid, epoch = c.initialise("x", 10)
    tp = ("t", 0)
    assert c.hold_offsets("x", pid, epoch, "g", {tp: (1, None)}) == {tp: Code.INVALID_TXN_STATE}
    assert c.add_offsets("x", pid, epoch, "g") is Code.NONE
    assert c.hold_offsets("x", pid, epoch, "g", {tp: (1, None), ("gone", 0): (1, "")}) == {
        tp: Code.NONE,
        ("gone", 0): Code.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert c.hold_offsets("x", pid, epoch, "g", {tp: (1, "m" * 4_097)}) == {tp: Code.OFFSET_METADATA_TOO_LARGE}
    assert world.committed == {}
    assert c.end("x", pid, epoch, commit=True) is Code.NONE
    assert world.committed == {"g": {tp: (1, "")}}
    c.add_offsets("x", pid, epoch, "g")
    c.hold_offsets("x", pid, epoch, "g", {tp: (2, "")})
    assert c.end("x", pid, epoch, commit=False) is Code.NONE
    assert world.committed == {"g": {tp: (1, "")}}


def test_a_transaction_is_aborted_after_its_timeout_and_not_before():
    world = World()
    _, pid, epoch = world.coordinator.initialise("x", 10)
    world.now = 100.0
    world.coordinator.add_partitions("x", pid, epoch, [("t", 0)])
    world.now = 110.0
    assert world.coordinator.abort_expired() == []
    world.now = 110.1
    assert world.coordinator.abort_expired() == ["x"]
    assert world.coordinator.open_ids == []
    assert world.coordinator.end("x", pid, epoch, commit=True) is Code.INVALID_PRODUCER_EPOCH


class Interleavings(RuleBasedStateMachine):
    """
    Three transactional ids, each with owners old and new, and a plain producer write to two partitions in any order.

    A read_committed reader must see exactly the decided-as-committed records below the first undecided one, in the
    order in which they were written.
    """

    IDS = ("a", "b", "c")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.keys = (b"%d" % i for i in itertools.count())
        self.owners: list[dict] = []
        self.written: list[list[tuple[bytes, dict | None]]] = [[] for _ in range(PARTITIONS)]
        self.plain = {"pid": self.world.coordinator.initialise(None, 0).producer_id, "next": [0] * PARTITIONS}

    @rule(transactional_id=st.sampled_from(IDS))
    def take_over(self, transactional_id):
        identity = self.world.coordinator.initialise(transactional_id, 10)
        assert identity.code is Code.NONE
        for owner in self.owners:
            if owner["id"] == transactional_id:
                self._lose(owner)
        self.owners.append(
            {
                "id": transactional_id,
                "pid": identity.producer_id,
                "epoch": identity.epoch,
                "fenced": False,
                "open": None,
                "next": [0] * PARTITIONS,
            }
        )

    def _lose(self, owner):
        owner["fenced"] = True
        if owner["open"] is not None:
            owner["open"]["outcome"] = "aborted"
            owner["open"] = None

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), partition=st.integers(0, PARTITIONS - 1))
    def write(self, data, partition):
        owner = data.draw(st.sampled_from(self.owners))
        key = next(self.keys)
        added = self.world.coordinator.add_partitions(owner["id"], owner["pid"], owner["epoch"], [("t", partition)])
        code = self.world.write(key, owner["pid"], owner["epoch"], owner["next"][partition], partition)
        if owner["fenced"]:
            assert set(added.values()) == {Code.INVALID_PRODUCER_EPOCH}
            assert code is Code.INVALID_PRODUCER_EPOCH
            return
        assert code is Code.NONE
        owner["next"][partition] += 1
        owner["open"] = owner["open"] or {"outcome": "open"}
        self.written[partition].append((key, owner["open"]))

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), commit=st.booleans())
    def end(self, data, commit):
        owner = data.draw(st.sampled_from(self.owners))
        code = self.world.coordinator.end(owner["id"], owner["pid"], owner["epoch"], commit=commit)
        if owner["fenced"]:
            assert code is Code.INVALID_PRODUCER_EPOCH
        elif owner["open"] is not None:
            assert code is Code.NONE
            owner["open"]["outcome"] = "committed" if commit else "aborted"
            owner["open"] = None

    @rule(partition=st.integers(0, PARTITIONS - 1))
    def write_plainly(self, partition):
        key = next(self.keys)
        builder = DefaultRecordBatchBuilder(2, 0, 0, self.plain["pid"], 0, self.plain["next"][partition], 1 << 16)
        builder.append(0, 0, key, b"", [])
        raw = bytes(builder.build())
        log = self.world.logs[partition]
        first = log.append(raw)
        assert first.code is Code.NONE
        assert log.append(raw) == first
        self.plain["next"][partition] += 1
        self.written[partition].append((key, None))

    @rule()
    def time_passes(self):
        self.world.now += 11
        expired = self.world.coordinator.abort_expired()
        for owner in self.owners:
            if owner["open"] is not None:
                assert owner["id"] in expired
                self._lose(owner)

    @rule(chunk_bytes=st.integers(1, 400))
    def readers_of_any_fetch_size_see_the_same(self, chunk_bytes):
        for log in self.world.logs:
            assert committed_keys(log, chunk_bytes) == committed_keys(log)

    @invariant()
    def committed_data_is_whole_and_in_order(self):
        for partition, log in enumerate(self.world.logs):
            visible = []
            for key, transaction in self.written[partition]:
                if transaction is not None and transaction["outcome"] == "open":
                    break
                if transaction is None or transaction["outcome"] == "committed":
                    visible.append(key)
            assert committed_keys(log) == visible


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
