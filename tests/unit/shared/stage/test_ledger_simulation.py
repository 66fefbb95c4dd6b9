"""
The ledger stage under everything that may happen to it, in virtual time: commits that fail before or after their
effect, kills, zombies, rebalances, timers. What a read_committed reader sees must be one sequential application of the
pure function.
"""

import asyncio
import json
import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from prometheus_client import CollectorRegistry

from shared.errors import HoldfastError, Invalid, Retryable
from shared.stage.base import Output, Transition
from shared.stage.errors import OwnershipLost
from shared.stage.ledger import LedgerStage
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.memory import MemoryBroker, MemoryClient
from shared.stage.ports import Position
from shared.stage.settings import StageSettings
from shared.stage.timers import due_of

TASKS = 3
TOPICS = ("a", "b")
KEYS = (b"k0", b"k1", b"k2")
BEGIN_MS = 1_000_000


class Client(MemoryClient):
    """A process's connection on which a fetch may be overtaken by a rebalance: its records come late."""

    def group(self, name, topics):
        group = super().group(name, topics)
        fetch = group.fetch

        async def fetch_late(**bounds):
            records = await fetch(**bounds)
            await asyncio.sleep(self.broker.lateness())
            return records

        group.fetch = fetch_late
        return group

    def fall_silent(self):
        """The groups give this process up, and it does not hear of it: it goes on with what it believes is its own."""
        for group in self.groups:
            group._rejoin = lambda: None
        self.expel()


class Broker(MemoryBroker):
    """Every operation takes some milliseconds, by a seed."""

    def __init__(self, loop, seed):
        chance = random.Random(seed)
        self.lateness = lambda: chance.choice((0, 0, 0, 0.005, 0.2))
        self.latency = lambda _: chance.choice((0, 0.001, 0.002, 0.004))
        super().__init__(
            dict.fromkeys([*TOPICS, "out", "state", "dead.letters"], TASKS),
            clock=loop.time,
            latency=self.latency,
            session_seconds=0.02,
        )

    def connect(self):
        return Client(self)


class Tally:
    """
    A ledger whose every effect shows: a state is (inputs, their sum, due time); each effect says where it came
    from.
    """

    def decode(self, data):
        return tuple(json.loads(data))

    def encode(self, state):
        return json.dumps(state).encode()

    def apply(self, state, record, now_ms):  # noqa: ARG002
        order = json.loads(record.value)
        count, total, due_ms = state or (0, 0, None)
        if order["do"] == "invalid":
            raise Invalid("refused", "as asked")
        if order["do"] == "look":
            return Transition(state, due_ms)
        if order["do"] == "forget":
            return Transition(None, None, (self.told(record.key, ["record", record.topic, record.offset], None),))
        if order["do"] == "wake":
            due_ms = order["due_ms"]
        state = (count + 1, total + order["n"], due_ms)
        return Transition(state, due_ms, (self.told(record.key, ["record", record.topic, record.offset], state),))

    def wake(self, key, state, now_ms):
        count, total, due_ms = state
        state = (count + 1, total, due_ms + 700 if count % 3 else None)
        return Transition(state, state[2], (self.told(key, ["wake", due_ms, now_ms], state),))

    @staticmethod
    def told(key, cause, state):
        return Output("out", key, json.dumps([cause, state]).encode())


ORDERS = st.one_of(
    st.builds(lambda n: {"do": "add", "n": n * 2}, st.integers(0, 5)),
    st.builds(lambda n, d: {"do": "wake", "n": n, "due_ms": BEGIN_MS + d}, st.integers(0, 1), st.integers(0, 8_000)),
    st.sampled_from([{"do": "look"}, {"do": "invalid"}, {"do": "forget"}]),
)


class Worker:
    def __init__(self, broker, loop):
        self.client = broker.connect()
        self.stop = asyncio.Event()
        stage = LedgerStage(
            "tally",
            self.client,
            Tally(),
            inputs=TOPICS,
            changelog="state",
            settings=StageSettings(
                ledger_group_records_max=3,
                fetch_records_max=5,
                fetch_wait_seconds=0.05,
                ledger_idle_commit_seconds=0.2,
                ledger_cache_bytes_max=20,
                ledger_takeover_wait_seconds=0.02,
                retry_attempts_max=2,
                retry_wait_seconds=0.01,
                restarts_max=1_000_000,
                dead_letters_per_second=1.0,
            ),
            metrics=LedgerMetrics(CollectorRegistry(), "tally"),
            clock=loop.time,
        )
        self.job = loop.create_task(stage.run(self.stop))


FAULTS = {
    "aborted": (Retryable("the transaction was aborted"), False),
    "broken": (OwnershipLost("the connection broke before the commit"), False),
    "unheard": (OwnershipLost("the connection broke after the commit, before its answer"), True),
    "unforeseen": (HoldfastError("the client broke after the commit"), True),
}


class LedgerUnderFire(RuleBasedStateMachine):
    def __init__(self, loop):
        super().__init__()
        self.loop = loop

    @initialize(seed=st.integers(0, 1_000_000))
    def begin(self, seed):
        asyncio.set_event_loop(self.loop)
        self.broker = Broker(self.loop, seed)
        self.workers = []
        self.zombies = []
        self.start_worker()
        self.run_for(20)

    @rule(milliseconds=st.sampled_from([0, 1, 2, 3, 5, 8, 20, 100, 1_000]))
    def run_for(self, milliseconds):
        async def wait():
            await asyncio.sleep(milliseconds / 1_000)

        self.loop.run_until_complete(wait())

    @rule(
        orders=st.lists(
            st.tuples(st.sampled_from(TOPICS), st.integers(0, TASKS - 1), st.sampled_from(KEYS), ORDERS, st.booleans()),
            min_size=1,
            max_size=12,
        )
    )
    def feed(self, orders):
        for topic, partition, key, order, gap in orders:
            if gap:
                self.broker.skip(topic, partition)
            self.broker.append(Output(topic, key, json.dumps(order).encode()), partition)

    @rule(fault=st.sampled_from(sorted(FAULTS)), times=st.integers(1, 3))
    def plan_fault(self, fault, times):
        error, after = FAULTS[fault]
        self.broker.fail("transact", error, after=after, times=times)

    @rule()
    def compact(self):
        self.broker.compact("state")

    @rule()
    def rebalance(self):
        async def rebalance():
            self.broker.rebalance("tally")

        self.loop.run_until_complete(rebalance())

    @precondition(lambda self: len(self.workers) < 3)
    @rule()
    def start_worker(self):
        self.workers.append(Worker(self.broker, self.loop))

    @precondition(lambda self: self.workers)
    @rule(index=st.integers(0, 2))
    def kill(self, index):
        self.end(self.workers.pop(index % len(self.workers)))

    @precondition(lambda self: self.workers)
    @rule(index=st.integers(0, 2))
    def turn_into_a_zombie(self, index):
        zombie = self.workers.pop(index % len(self.workers))
        self.zombies.append(zombie)

        async def fall_silent():
            zombie.client.fall_silent()

        self.loop.run_until_complete(fall_silent())

    @precondition(lambda self: self.workers)
    @rule(index=st.integers(0, 2))
    def terminate(self, index):
        worker = self.workers.pop(index % len(self.workers))
        worker.stop.set()
        self.loop.run_until_complete(worker.job)

    def end(self, worker):
        async def die():
            worker.client.kill()
            worker.job.cancel()
            await asyncio.wait([worker.job])

        self.loop.run_until_complete(die())

    def teardown(self):
        if not hasattr(self, "broker"):
            self.loop.close()
            return
        try:
            for zombie in self.zombies:
                self.end(zombie)
            while len(self.workers) < 2:
                self.start_worker()
            self.run_for(40_000)
            for worker in self.workers:
                assert not worker.job.done(), worker.job.exception()
                worker.stop.set()
            self.loop.run_until_complete(asyncio.gather(*(worker.job for worker in self.workers)))
            for task in range(TASKS):
                self.check(task)
        finally:
            for worker in self.workers:
                self.end(worker)
            self.run_for(1_000)
            asyncio.set_event_loop(None)
            self.loop.close()

    def check(self, task):
        """The outputs tell in which order inputs took effect; replaying that order must give the same outputs."""
        ledger, states, dues = Tally(), {}, {}
        inputs = {topic: self.broker.records(topic, task) for topic in TOPICS}
        by_offset = {(r.topic, r.offset): r for records in inputs.values() for r in records}
        applied = {topic: [] for topic in TOPICS}
        for output in self.broker.records("out", task):
            cause = json.loads(output.value)[0]
            if cause[0] == "record":
                record = by_offset[cause[1], cause[2]]
                applied[record.topic].append(record.offset)
                transition = ledger.apply(states.get(output.key), record, 0)
            else:
                _, due_ms, now_ms = cause
                assert dues.get(output.key) == due_ms <= now_ms
                transition = ledger.wake(output.key, states[output.key], now_ms)
            assert [(o.key, o.value) for o in transition.outputs] == [(output.key, output.value)]
            states[output.key], dues[output.key] = transition.state, transition.due_ms
        for topic, records in inputs.items():
            effective = [r.offset for r in records if json.loads(r.value)["do"] not in {"look", "invalid"}]
            assert applied[topic] == effective
        assert not any(dues.values()), "a due time has come and nobody was woken"
        invalid = [(r.key, r.value) for r in by_offset.values() if json.loads(r.value)["do"] == "invalid"]
        assert sorted((r.key, r.value) for r in self.broker.records("dead.letters", task)) == sorted(invalid)
        self.check_changelog(task, states)
        committed = self.broker.committed("tally")
        for topic, records in inputs.items():
            if records:
                assert committed[Position(topic, task)].offset == records[-1].offset + 1

    def check_changelog(self, task, states):
        restored = {}
        for record in self.broker.records("state", task):
            restored[record.key] = record.value and (Tally().decode(record.value), due_of(record.headers))
        expected = {key: (state, state[2]) for key, state in states.items() if state}
        assert {key: held for key, held in restored.items() if held} == expected


def test_what_is_committed_is_one_sequential_application_whatever_happens(virtual_loop):
    run_state_machine_as_test(
        lambda: LedgerUnderFire(virtual_loop()),
        settings=settings(
            max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
