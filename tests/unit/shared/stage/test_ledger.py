"""The ledger stage, event by event; that nothing is lost or doubled whatever happens is test_ledger_simulation's."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import structlog
from structlog.testing import capture_logs

from shared.errors import Invalid, Retryable
from shared.stage.base import Output, Transition
from shared.stage.errors import OwnershipLost
from shared.stage.ledger import BEAT, LedgerStage
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.memory import MemoryBroker, MemoryTransactionalProducer
from shared.stage.ports import Position
from shared.stage.settings import StageSettings
from shared.telemetry.health import Health

PARTITIONS = {"in": 2, "other": 2, "state": 2, "out": 2, "dead.letters": 2}


class Counter:
    """Counts a key's inputs. A value of digits is the key's due time; one in `errors` raises that."""

    def __init__(self):
        self.errors = {}

    def decode(self, data):
        return tuple(json.loads(data))

    def encode(self, state):
        return json.dumps(state).encode()

    def apply(self, state, record, now_ms):  # noqa: ARG002
        if record.value in self.errors:
            raise self.errors[record.value]
        if record.value == b"look":
            return Transition(state, state[1] if state else None)
        due_ms = int(record.value) if record.value.isdigit() else None
        state = ((state[0] if state else 0) + 1, due_ms)
        return Transition(state, due_ms, (Output("out", record.key, f"{record.value.decode()} {state[0]}".encode()),))

    def anew(self, now_ms):  # noqa: ARG002
        return Transition((0, None))

    def forgets(self, record):
        return record.value == b"forget"

    def wake(self, key, state, now_ms):
        if key in self.errors:
            raise self.errors[key]
        return Transition((state[0], None), None, (Output("out", key, f"woken at {now_ms}".encode()),))


class World:
    """A broker and the stages on it, in virtual time."""

    def __init__(self, registry, **latency_seconds):
        self.now = asyncio.get_running_loop().time
        self.broker = MemoryBroker(
            PARTITIONS, clock=self.now, latency=lambda operation: latency_seconds.get(operation, 0.0)
        )
        self.ledger = Counter()
        self.registry = registry
        self.health = Health(clock=self.now)
        self.metrics = LedgerMetrics(registry, "counter")
        self.inputs = ["in"]
        self.releases = None

    def feed(self, *values, partition=0, key=b"k", topic="in"):
        for value in values:
            self.broker.append(Output(topic, key, value), partition)

    def out(self, partition=0):
        return [r.value.decode() for r in self.broker.records("out", partition)]

    def committed(self, partition=0):
        found = self.broker.committed("counter").get(Position("in", partition))
        return found and found.offset

    def stage(self, client=None, **settings):
        return LedgerStage(
            "counter",
            client or self.broker.connect(),
            self.ledger,
            inputs=self.inputs,
            releases=self.releases,
            changelog="state",
            settings=StageSettings(**settings),
            metrics=self.metrics,
            health=self.health,
            clock=self.now,
        )

    @asynccontextmanager
    async def running(self, client=None, **settings):
        stop = asyncio.Event()
        job = asyncio.create_task(self.stage(client, **settings).run(stop))
        await asyncio.sleep(0.1)
        try:
            yield job
        finally:
            stop.set()
            await job

    def value(self, name, **labels):
        return self.registry.get_sample_value(name, {"stage": "counter", **labels})


@pytest.fixture
def transactions(monkeypatch):
    """When each transaction began, and how many records it wrote."""
    seen = []
    transact = MemoryTransactionalProducer.transact

    async def noted(self, outputs, partition, progress):
        begun = asyncio.get_running_loop().time()
        await transact(self, outputs, partition, progress)
        seen.append((begun, asyncio.get_running_loop().time(), len(outputs)))

    monkeypatch.setattr(MemoryTransactionalProducer, "transact", noted)
    return seen


def test_outputs_state_and_offsets_commit(virtual, registry):
    async def main():
        world = World(registry)
        world.feed(b"a", b"b")
        async with world.running():
            world.feed(b"c", partition=1)
            await asyncio.sleep(1)
            assert world.out() == ["a 1", "b 2"]
            assert world.out(1) == ["c 1"]
            assert (world.committed(), world.committed(1)) == (2, 1)
            assert [r.value for r in world.broker.records("state", 0)] == [b"[2, null]"]
            assert world.value("holdfast_ledger_state_keys") == 2
            assert world.value("holdfast_stage_events_total", result="done") == 3
            assert world.health.ready
        assert not world.health.ready

    virtual(main())


def test_what_arrives_during_a_transaction_goes_into_the_next(virtual, registry, transactions):
    async def main():
        world = World(registry, transact=0.5)
        async with world.running():
            world.feed(b"a")
            await asyncio.sleep(0.1)
            for _ in range(20):
                world.feed(b"x")
                await asyncio.sleep(0.01)
            await asyncio.sleep(2)
        assert [size for _, _, size in transactions] == [2, 21], "the outputs and one changelog record each"
        assert len(world.out()) == 21

    virtual(main())


def test_a_transaction_begins_no_sooner_after_another_than_the_pause(virtual, registry, transactions):
    async def main():
        world = World(registry)
        async with world.running(ledger_pause_seconds=0.005):
            for _ in range(100):
                world.feed(b"x")
                await asyncio.sleep(0.001)
            await asyncio.sleep(1)
        gaps = [begun - ended for (_, ended, _), (begun, _, _) in pairwise(transactions)]
        assert min(gaps) >= 0.005 - 1e-9
        assert len(transactions) > 10

    virtual(main())


def test_a_group_is_bounded_and_the_task_held_while_it_is_full(virtual, registry, transactions):
    async def main():
        world = World(registry, transact=1.0)
        client = world.broker.connect()
        world.feed(*[b"x"] * 50)
        async with world.running(client, ledger_group_records_max=4, fetch_records_max=10):
            await asyncio.sleep(0.5)
            assert client.groups[0]._paused == {Position("in", 0)}
            world.feed(b"y", partition=1)
            await asyncio.sleep(2)
            assert world.out(1) == ["y 1"], "another task goes on"
            await asyncio.sleep(60)
            assert client.groups[0]._paused == set()
            assert world.out()[-1] == "x 50"
        assert max(size for _, _, size in transactions) <= 5

    virtual(main())


def test_offsets_alone_are_committed_lazily(virtual, registry, transactions):
    async def main():
        world = World(registry)
        async with world.running(ledger_idle_commit_seconds=1.0):
            world.feed(b"look", b"look")
            await asyncio.sleep(0.5)
            assert transactions == []
            await asyncio.sleep(1)
            assert [size for _, _, size in transactions] == [0]
            assert world.committed() == 2

    virtual(main())


def test_a_timer_fires_at_its_time_and_survives_its_owner(virtual, registry):
    async def main():
        world = World(registry)
        due_ms = int(world.now() * 1_000) + 5_000
        async with world.running():
            world.feed(str(due_ms).encode())
            await asyncio.sleep(1)
            assert [r.headers for r in world.broker.records("state", 0)] == [(("due", str(due_ms).encode()),)]
        async with world.running():
            await asyncio.sleep(5)
            assert world.out()[1:] == [f"woken at {due_ms}"]
            await asyncio.sleep(5)
        assert len(world.out()) == 2
        assert world.value("holdfast_ledger_wakes_total") == 1

    virtual(main())


def test_timers_due_while_nobody_owned_the_task_fire_at_once_and_starve_no_record(virtual, registry):
    async def main():
        world = World(registry)
        due = str(int(world.now() * 1_000) + 500).encode()
        async with world.running():
            for n in range(40):
                world.feed(due, key=f"k{n}".encode())
            await asyncio.sleep(0.2)
        await asyncio.sleep(100)
        world.feed(*[b"x"] * 3, key=b"other")
        async with world.running(ledger_group_records_max=4, ledger_pause_seconds=0.0):
            await asyncio.sleep(1)
        late = world.out()[40:]
        assert sum(told.startswith("woken") for told in late) == 40
        assert max(n for n, told in enumerate(late) if told.startswith("x")) < 20

    virtual(main())


def test_a_clock_that_is_set_forward_wakes_within_a_second(virtual, registry):
    async def main():
        world = World(registry)
        offset = 0.0
        loop_time = world.now
        world.now = lambda: loop_time() + offset
        async with world.running():
            world.feed(str(int(world.now() * 1_000) + 3_600_000).encode())
            await asyncio.sleep(1)
            offset = 3_600.0
            await asyncio.sleep(1.1)
            assert len(world.out()) == 2

    virtual(main())


def test_an_aborted_transaction_is_tried_again_with_the_same_group(virtual, registry):
    async def main():
        world = World(registry)
        async with world.running():
            world.broker.fail("transact", Retryable("not enough replicas"), times=3)
            world.feed(b"a", b"b")
            await asyncio.sleep(10)
            assert world.out() == ["a 1", "b 2"]
            assert world.value("holdfast_rebalances_total", kind="lost") is None, "no task was closed"
            assert world.value("holdfast_stage_retries_total") == 3

    virtual(main())


@pytest.mark.parametrize("after", [False, True], ids=["without effect", "with effect"])
def test_a_transaction_in_doubt_closes_the_task_and_opens_it_from_what_is_committed(virtual, registry, after):
    async def main():
        world = World(registry)
        async with world.running():
            world.broker.fail("transact", OwnershipLost("no answer"), after=after)
            world.feed(b"a", b"b")
            await asyncio.sleep(10)
            world.feed(b"c")
            await asyncio.sleep(1)
            assert world.out() == ["a 1", "b 2", "c 3"]
            assert world.value("holdfast_rebalances_total", kind="lost") == 1

    virtual(main())


def test_invalid_records_go_to_dead_letters_and_the_next_ones_are_applied(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"bad"] = Invalid("bad_json", "no")
        async with world.running():
            world.feed(b"a", b"bad", b"c")
            await asyncio.sleep(1)
            assert world.out() == ["a 1", "c 2"]
            [letter] = world.broker.records("dead.letters", 0)
            assert dict(letter.headers)["x-holdfast-reason"] == b"bad_json"
            assert world.value("holdfast_dlq_records_total", reason="bad_json") == 1
            assert world.value("holdfast_stage_events_total", result="dead_lettered") == 1

    virtual(main())


def test_rejected_records_never_stop_a_stage_and_slow_their_own_topic_alone(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"bad"] = Invalid("bad_json", "no")
        world.inputs = ["in", "other"]
        async with world.running(dead_letters_per_second=2.0, fetch_records_max=5):
            world.feed(*[b"bad"] * 60)
            await asyncio.sleep(5)
            assert 20 <= len(reasons(world)) < 60
            world.feed(b"good", topic="other")
            await asyncio.sleep(0.5)
            assert world.out() == ["good 1"]
            await asyncio.sleep(60)
            assert len(reasons(world)) == 60

    virtual(main())


def test_a_position_that_rests_keeps_no_stage_from_stopping_and_nothing_is_lost(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"bad"] = Invalid("bad_json", "no")
        settings = {"dead_letters_per_second": 0.1, "fetch_records_max": 1}
        async with world.running(**settings):
            world.feed(*[b"bad"] * 5, b"good")
            await asyncio.sleep(1)
            assert len(reasons(world)) < 5
            stopped_at = world.now()
        assert world.now() - stopped_at < 1
        async with world.running(**settings):
            await asyncio.sleep(120)
            assert (len(reasons(world)), world.out()) == (5, ["good 1"])

    virtual(main())


def reasons(world):
    return [dict(letter.headers)["x-holdfast-reason"].decode() for letter in world.broker.records("dead.letters", 0)]


def test_a_key_at_which_the_ledger_fails_costs_its_partition_nothing_and_is_counted(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"poison"] = KeyError("bug")
        async with world.running(restarts_max=0):
            world.feed(b"a", b"poison", b"d")
            world.feed(b"x", b"y", key=b"other")
            await asyncio.sleep(1)
            assert world.out() == ["a 1", "x 1", "y 2"]
            assert reasons(world) == ["quarantined", "quarantined"]
            assert world.committed() == 5
            assert world.value("holdfast_ledger_quarantined") == 1

    virtual(main())


def test_a_quarantine_holds_for_whoever_owns_the_task_next(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"poison"] = KeyError("bug")
        world.feed(b"a", b"poison")
        async with world.running():
            await asyncio.sleep(1)
        world.ledger.errors.clear()
        world.feed(b"b")
        async with world.running():
            await asyncio.sleep(1)
            assert world.out() == ["a 1"]
            assert reasons(world) == ["quarantined", "quarantined"]
            assert world.value("holdfast_ledger_quarantined") == 1

    virtual(main())


def test_a_timer_that_fails_costs_its_key_alone(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"k"] = RecursionError()
        async with world.running(restarts_max=0):
            world.feed(b"1000500")
            world.feed(b"1000500", key=b"other")
            await asyncio.sleep(2)
            assert [told.partition(" at ")[0] for told in world.out()] == ["1000500 1", "1000500 1", "woken"]
            assert world.value("holdfast_ledger_quarantined") == 1

    virtual(main())


def test_a_state_that_cannot_be_written_costs_two_openings_and_its_key_alone(virtual, registry):
    async def main():
        world = World(registry)
        encode = world.ledger.encode

        def sound_below_three(state):
            if state[0] >= 3:
                raise ValueError("no")
            return encode(state)

        world.ledger.encode = sound_below_three
        async with world.running(restarts_max=0):
            world.feed(b"a", b"b", b"c", b"d")
            world.feed(b"x", key=b"other")
            await asyncio.sleep(3)
            assert "x 1" in world.out()
            assert set(reasons(world)) == {"quarantined"}
            assert world.value("holdfast_rebalances_total", kind="lost") == 2
            assert world.value("holdfast_ledger_quarantined") == 1

    virtual(main())


def test_a_state_that_cannot_be_read_at_the_start_costs_its_key_alone_and_stays(virtual, registry):
    async def main():
        world = World(registry)
        world.broker.append(Output("state", b"k", b"[" * 5_000), 0)
        world.broker.append(Output("state", b"due", b"[1, null]", (("due", b"soon"),)), 0)
        world.feed(b"a")
        world.feed(b"b", key=b"due")
        world.feed(b"x", key=b"other")
        async with world.running(restarts_max=0):
            await asyncio.sleep(1)
            assert world.out() == ["x 1"]
            states = {record.key: record.value for record in world.broker.records("state", 0)}
            assert states[b"k"] == b"[" * 5_000
            assert states[b"due"] == b"[1, null]"
            assert world.value("holdfast_ledger_quarantined") == 2

    virtual(main())


def test_any_number_of_records_may_be_held(virtual, registry):
    """A conversation in quarantine that floods is no reason to stop for everybody."""

    async def main():
        world = World(registry)
        world.ledger.errors[b"poison"] = KeyError("bug")
        async with world.running(dead_letters_per_second=0.01):
            world.feed(b"poison", *[b"a"] * 20)
            await asyncio.sleep(1)
            assert len(reasons(world)) == 21

    virtual(main())


def test_a_fault_that_passes_costs_a_task_one_opening(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"b"] = MemoryError()
        apply = world.ledger.apply

        def apply_and_mend(state, record, now_ms):
            try:
                return apply(state, record, now_ms)
            finally:
                if record.value == b"b":
                    world.ledger.errors.clear()

        world.ledger.apply = apply_and_mend
        async with world.running():
            world.feed(b"a", b"b", b"c")
            await asyncio.sleep(5)
            assert world.out() == ["a 1", "b 2", "c 3"]

    virtual(main())


def test_a_stop_commits_what_is_applied_and_leaves(virtual, registry):
    async def main():
        world = World(registry, transact=0.3)
        async with world.running():
            world.feed(b"a")
            await asyncio.sleep(0.05)
            world.feed(b"b", b"look")
            await asyncio.sleep(0.01)
        assert world.out() == ["a 1", "b 2"]
        assert world.committed() == 3
        assert world.broker.coordinator("counter").members == {}

    virtual(main())


def test_a_stop_waits_no_longer_than_its_budget(virtual, registry):
    async def main():
        world = World(registry, transact=1_000.0)
        begun = world.now()
        async with world.running(drain_seconds=3.0):
            world.feed(b"a")
            await asyncio.sleep(1)
        assert world.now() - begun < 5
        assert world.out() == []

    virtual(main())


def test_a_kept_task_is_untouched_by_a_rebalance_and_a_lost_one_moves(virtual, registry):
    async def main():
        world = World(registry)
        async with world.running():
            world.feed(b"a")
            world.feed(b"a", partition=1)
            await asyncio.sleep(1)
            opened = world.value("holdfast_ledger_restore_duration_seconds_count")
            async with world.running():
                await asyncio.sleep(1)
                assert world.value("holdfast_ledger_restore_duration_seconds_count") == opened + 1
                world.feed(b"b")
                world.feed(b"b", partition=1)
                await asyncio.sleep(1)
            assert world.out() == world.out(1) == ["a 1", "b 2"]

    virtual(main())


def test_no_more_tasks_are_opened_at_once_than_the_bound(virtual, registry, monkeypatch):
    opening, most = 0, 0
    start = MemoryTransactionalProducer.start

    async def counted(self):
        nonlocal opening, most
        opening += 1
        most = max(most, opening)
        await asyncio.sleep(0.1)
        await start(self)
        opening -= 1

    monkeypatch.setattr(MemoryTransactionalProducer, "start", counted)

    async def main():
        world = World(registry)
        world.broker.partitions.update(dict.fromkeys(PARTITIONS, 12))
        async with world.running(ledger_openings_max=3):
            await asyncio.sleep(2)
            assert world.value("holdfast_ledger_restore_duration_seconds_count") == 12

    virtual(main())
    assert most == 3


def test_the_former_owner_is_fenced_before_anything_is_read(virtual, registry, monkeypatch):
    steps = []

    async def main():
        world = World(registry)
        step = world.broker.step

        async def noted(operation):
            steps.append(operation)
            return await step(operation)

        monkeypatch.setattr(world.broker, "step", noted)
        async with world.running(ledger_openings_max=1):
            pass

    virtual(main())
    opened = steps[steps.index("committed") - 1 :]
    assert opened[0] == "start", "the producer, before the committed offsets"


@pytest.mark.parametrize("step", ["start", "fetch", "committed"])
def test_a_broker_that_is_away_is_waited_for_and_makes_nobody_look_stuck(virtual, registry, step):
    async def main():
        world = World(registry)
        world.feed(b"a")
        world.broker.fail(step, Retryable("connection refused"), times=8)
        async with world.running():
            for _ in range(100):
                await asyncio.sleep(1)
                world.health.beat()
                assert world.health.alive()
            assert world.out() == ["a 1"]
        world.health.beat()
        assert world.health.silence()[0] != BEAT, "a stage that has ended is not missed"

    virtual(main())


def test_a_broken_membership_is_replaced_and_the_tasks_go_on(virtual, registry):
    async def main():
        world = World(registry)
        async with world.running():
            world.feed(b"a")
            await asyncio.sleep(1)
            world.broker.fail("fetch", OwnershipLost("beyond repair"))
            await asyncio.sleep(1)
            world.feed(b"b")
            await asyncio.sleep(1)
            assert world.out() == ["a 1", "b 2"]
            assert world.value("holdfast_ledger_restore_duration_seconds_count") == 2, "neither task was opened anew"

    virtual(main())


@pytest.fixture
def _lines_at_info():
    """The lines of handled records are made; after the test nothing is rendered again, as everywhere in this folder."""
    quiet = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    yield
    structlog.configure(**quiet)


@pytest.mark.usefixtures("_lines_at_info")
def test_each_record_leaves_one_line_that_says_what_became_of_it(virtual, registry):
    async def main():
        world = World(registry)
        world.ledger.errors[b"bad"] = Invalid("bad_json", "no")
        world.feed(b"a", b"bad")
        with capture_logs() as lines:
            async with world.running():
                await asyncio.sleep(1)
        told = [line for line in lines if line["event"] == "record handled"]
        assert [(line["topic"], line["offset"], line["outcome"]) for line in told] == [
            ("in", 0, "changed"),
            ("in", 1, "rejected"),
        ]

    virtual(main())


@pytest.mark.usefixtures("_lines_at_info")
def test_records_deleted_before_they_were_read_are_counted_and_told_and_the_next_ones_applied(virtual, registry):
    async def scenario():
        world = World(registry)
        world.feed(b"a", b"b")
        async with world.running():
            await asyncio.sleep(1)
        world.feed(b"lost", b"lost", b"lost")
        world.broker.delete_records("in", 0, 5)
        with capture_logs() as logs:
            async with world.running():
                await asyncio.sleep(1)
                assert world.committed() == 5
                world.feed(b"c")
                await asyncio.sleep(1)
        return world, [line for line in logs if line["log_level"] == "error"]

    world, (line,) = virtual(scenario())
    assert world.out() == ["a 1", "b 2", "c 3"]
    assert world.value("holdfast_records_lost_total", messaging_destination_name="in") == 3
    assert (line["topic"], line["partition"], line["expected_offset"], line["first_offset"]) == ("in", 0, 2, 5)


def test_a_gap_that_is_met_again_before_it_is_committed_counts_once(virtual, registry):
    async def scenario():
        world = World(registry)
        world.feed(b"a")
        async with world.running():
            await asyncio.sleep(1)
        world.feed(b"lost", b"lost")
        world.broker.delete_records("in", 0, 3)
        async with world.running(ledger_idle_commit_seconds=60):
            world.broker.fail("transact", OwnershipLost("in doubt"))
            world.feed(b"b")
            await asyncio.sleep(10)
        return world

    world = virtual(scenario())
    assert world.out() == ["a 1", "b 2"]
    assert world.value("holdfast_records_lost_total", messaging_destination_name="in") == 2
    assert world.committed() == 4


def test_a_log_that_begins_anew_is_read_from_its_beginning_and_told(virtual, registry):
    """Its offsets lie below what was committed; taken for applied, they would be passed over in silence."""

    async def scenario():
        world = World(registry)
        world.feed(b"a", b"b", b"c")
        async with world.running():
            await asyncio.sleep(1)
            world.broker.recreate("in")
            world.feed(b"d")
            await asyncio.sleep(1)
            world.feed(b"e")
            await asyncio.sleep(1)
        return world

    world = virtual(scenario())
    assert world.out() == ["a 1", "b 2", "c 3", "d 4", "e 5"]
    assert world.committed() == 2
    assert world.value("holdfast_records_lost_total", messaging_destination_name="in") == 1


def test_holes_within_a_log_and_a_group_without_progress_are_no_gap(virtual, registry):
    async def scenario():
        world = World(registry)
        world.feed(b"deleted")
        world.broker.delete_records("in", 0, 1)
        async with world.running():
            world.feed(b"a")
            await asyncio.sleep(1)
            world.broker.skip("in", 0, 3)
            world.feed(b"b")
            await asyncio.sleep(1)
        return world

    world = virtual(scenario())
    assert world.out() == ["a 1", "b 2"]
    assert world.value("holdfast_records_lost_total", messaging_destination_name="in") is None


def test_records_deleted_while_a_task_is_held_are_counted_and_those_at_hand_are_applied(virtual, registry):
    async def scenario():
        world = World(registry, transact=3)
        world.feed(b"a", b"b", b"c", b"d", b"lost", b"lost")
        async with world.running(ledger_group_records_max=1, fetch_records_max=2):
            await asyncio.sleep(1)
            world.broker.delete_records("in", 0, 6)
            world.feed(b"e")
            await asyncio.sleep(20)
        return world

    world = virtual(scenario())
    assert world.out() == ["a 1", "b 2", "c 3", "d 4", "e 5"]
    assert world.committed() == 7
    assert world.value("holdfast_records_lost_total", messaging_destination_name="in") == 2
