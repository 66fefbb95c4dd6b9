"""
The concurrent stage under everything that may happen to it, in virtual time: kills, members given up though they live,
rebalances, processes that come and go, commits and writes that fail before or after their effect, work of any length.

What must hold: every input's output appears, a key's outputs first appear in the order of its inputs, and in the end
the whole input is committed. Without kills and faults nothing is repeated either.
"""

import asyncio
import random
import zlib
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from shared.errors import Retryable
from shared.stage.base import Output
from shared.stage.concurrent import ConcurrentStage
from shared.stage.errors import OwnershipLost
from shared.stage.memory import MemoryBroker
from shared.stage.metrics import StageMetrics
from shared.stage.ports import Committed, Position
from shared.stage.settings import StageSettings

TASKS = 4
KEYS = 7
RECORDS_MAX = 120
PROCESSES_MAX = 3

gentle = st.sampled_from(["produce", "start", "drain", "rebalance"])
rough = st.sampled_from(
    [
        "produce",
        "start",
        "drain",
        "rebalance",
        "kill",
        "expel",
        "fail commit",
        "lose commit",
        "fail send",
        "lose send",
        "break",
    ]
)
pauses = st.floats(0.0, 3.0)


class Work:
    """Takes from nothing to seconds for a record, by a seed."""

    def __init__(self, chance):
        self._chance = chance
        self.bugs = 0

    def observe(self, record):
        pass

    async def handle(self, record):
        await asyncio.sleep(self._chance.choice((0, 0.001, 0.05, 0.5, 3.0)))
        if self.bugs:
            self.bugs -= 1
            raise ZeroDivisionError
        return [Output("out", record.key, record.value)]

    def given_up(self, _record, _reason):
        return []

    def acknowledged(self, record):
        pass


@dataclass(eq=False)
class Process:
    client: object
    work: Work
    stop: asyncio.Event
    running: asyncio.Task


class World:
    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.broker = MemoryBroker(
            {"in": TASKS, "watched": TASKS, "out": TASKS, "dead.letters": TASKS},
            clock=asyncio.get_running_loop().time,
            latency=lambda _: self.chance.choice((0, 0, 0.001, 0.02)),
            session_seconds=1.0,
        )
        self.processes = []
        self.produced = {}
        self.settings = StageSettings(
            in_flight_max=30,
            span_max=self.chance.choice((2, 5, 25)),
            restarts_max=1_000,
            drain_seconds=2,
            unexpected_attempts_max=1_000,
        )

    def produce(self):
        for _ in range(self.chance.randrange(1, 20)):
            if len(self.produced) < RECORDS_MAX:
                key = b"k%d" % self.chance.randrange(KEYS)
                value = b"%d" % len(self.produced)
                self.produced[value] = key
                partition = zlib.crc32(key) % TASKS
                self.broker.append(Output("in", key, value), partition)
                self.broker.append(Output("watched", key, value), partition)
                if self.chance.random() < 0.1:
                    self.broker.skip("in", partition, self.chance.randrange(1, 4))

    def start(self):
        if len(self.processes) < PROCESSES_MAX:
            client, work, stop = self.broker.connect(), Work(self.chance), asyncio.Event()
            stage = ConcurrentStage(
                "stage",
                client,
                work,
                inputs=["in"],
                watches=["watched"],
                settings=self.settings,
                metrics=StageMetrics(CollectorRegistry(), "stage"),
                clock=self.broker.clock,
                random=self.chance,
            )
            self.processes.append(Process(client, work, stop, asyncio.create_task(stage.run(stop))))

    async def act(self, action):
        process = self.chance.choice(self.processes) if self.processes else None
        match action:
            case "produce":
                self.produce()
            case "start":
                self.start()
            case "rebalance":
                self.broker.rebalance("stage")
            case "fail commit" | "lose commit":
                error = self.chance.choice((Retryable("not now"), OwnershipLost("generation")))
                self.broker.fail("commit", error, after=action == "lose commit")
            case "fail send" | "lose send":
                self.broker.fail("send", Retryable("not now"), after=action == "lose send")
            case "drain" if process:
                await self.drain(process)
            case "kill" if process:
                self.processes.remove(process)
                process.client.kill()
                process.running.cancel()
                await asyncio.wait([process.running])
            case "expel" if process:
                process.client.expel()
            case "break" if process:
                process.work.bugs = 1

    async def drain(self, process):
        process.stop.set()
        await asyncio.wait_for(process.running, 20)
        self.processes.remove(process)

    async def finish(self):
        """Let one process come to the end of everything, and the others leave."""
        self.broker._faults.clear()
        self.start()
        for _ in range(1_500):
            if self.committed_to_the_end():
                break
            await asyncio.sleep(0.1)
        for process in list(self.processes):
            await self.drain(process)

    def committed_to_the_end(self):
        committed = self.broker.committed("stage")
        return all(
            committed.get(Position(topic, partition), Committed(0))
            == Committed(records[-1].offset + 1 if (records := self.broker.records(topic, partition)) else 0)
            for topic in ("in", "watched")
            for partition in range(TASKS)
        )


async def simulate(seed, actions):
    world = World(seed)
    world.produce()
    world.start()
    for action, pause in actions:
        await world.act(action)
        await asyncio.sleep(pause)
    await world.finish()
    return world


def check(world):
    assert world.committed_to_the_end()
    for key in set(world.produced.values()):
        values = [record.value for record in world.broker.records("out") if record.key == key]
        assert list(dict.fromkeys(values)) == [value for value, its in world.produced.items() if its == key]
    assert world.broker.records("dead.letters") == []


@given(st.integers(0, 2**32), st.lists(st.tuples(rough, pauses), max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_kills_faults_and_rebalances_lose_and_reorder_nothing(virtual, seed, actions):
    check(virtual(simulate(seed, actions)))


@given(st.integers(0, 2**32), st.lists(st.tuples(gentle, pauses), max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_without_kills_and_faults_nothing_is_repeated_either(virtual, seed, actions):
    world = virtual(simulate(seed, actions))
    check(world)
    assert len(world.broker.records("out")) == len(world.produced)
