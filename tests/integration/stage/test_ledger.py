"""
The ledger stage on a broker: whatever becomes of its processes, a read_committed reader sees each input take effect
once.

Run as a program it is a worker: `python test_ledger.py BOOTSTRAP NAMESPACE`.
"""

import asyncio
import json
import logging
import random
import signal
import sys
from contextlib import asynccontextmanager

import pytest
import structlog
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from prometheus_client import CollectorRegistry

from shared.broker.clients import KafkaSettings, admin, consumer, producer
from shared.errors import Invalid
from shared.events.topics import DEAD_LETTERS
from shared.stage.base import Output, Record, Transition
from shared.stage.kafka import KafkaBroker
from shared.stage.kafka_group import KafkaGroup
from shared.stage.ledger import LedgerStage
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.settings import StageSettings

TASKS = 3
INPUTS = ("events", "results")
KEYS = [f"k{n}".encode() for n in range(9)]
SETTINGS = StageSettings(
    ledger_takeover_wait_seconds=0.2, ledger_group_records_max=20, retry_wait_seconds=0.05, drain_seconds=10
)
WAIT_SECONDS = 60.0


class Tally:
    """Counts a key's inputs; each effect says what caused it, and what it knew, so that it can be replayed."""

    def decode(self, data):
        return tuple(json.loads(data))

    def encode(self, state):
        return json.dumps(state).encode()

    def apply(self, state, record, now_ms):
        order = json.loads(record.value)
        if order == "invalid":
            raise Invalid("refused", "as asked")
        count, due_ms = state or (0, None)
        state = (count + 1, now_ms + 40 if order == "wake" else due_ms)
        return self._told(record.key, ["record", record.topic, record.offset, now_ms], state)

    def wake(self, key, state, now_ms):
        return self._told(key, ["wake", state[1], 0, now_ms], (state[0] + 1, None))

    @staticmethod
    def _told(key, cause, state):
        return Transition(state, state[1], (Output("told", key, json.dumps([cause, state]).encode()),))


def stage(broker):
    metrics = LedgerMetrics(CollectorRegistry(), "tally")
    return LedgerStage("tally", broker, Tally(), inputs=INPUTS, changelog="tallies", settings=SETTINGS, metrics=metrics)


class CutOff(KafkaBroker):
    """A process that takes itself for the owner of everything: its membership is its own, the rest is the group's."""

    def group(self, name, topics):
        group = KafkaGroup(self._settings, f"{name}.cut-off", topics)
        real = KafkaGroup(self._settings, name, topics)

        async def committed(positions):
            real._admin = group._admin
            return await real.committed(positions)

        group.committed = committed
        return group


@pytest.fixture
def fast_settings(broker_settings):
    """A dead member is given up within a second."""
    return broker_settings.model_copy(update={"session_timeout_seconds": 1.0, "heartbeat_interval_seconds": 0.2})


@pytest.fixture
async def topics(fast_settings):
    client = admin(fast_settings)
    await client.start()
    try:
        compacted = {"tallies": {"cleanup.policy": "compact"}}
        await client.create_topics(
            [
                NewTopic(f"{fast_settings.namespace}{name}", TASKS, 1, topic_configs=compacted.get(name, {}))
                for name in (*INPUTS, "told", "tallies", DEAD_LETTERS)
            ]
        )
    except TopicAlreadyExistsError:
        pytest.fail("the namespace is not this test's own")
    finally:
        await client.close()


@asynccontextmanager
async def running(broker):
    """A worker that is drained at the end."""
    stop = asyncio.Event()
    job = asyncio.create_task(stage(broker).run(stop))
    try:
        yield job
    finally:
        stop.set()
        await job


async def feed(settings, records, seed, pause_seconds=0.002):
    chance = random.Random(seed)
    client = producer(settings)
    await client.start()
    try:
        for _ in range(records):
            key = chance.choice(KEYS)
            order = chance.choices(["add", "wake", "invalid"], [10, 3, 1])[0]
            await client.send(
                f"{settings.namespace}{chance.choice(INPUTS)}",
                json.dumps(order).encode(),
                key=key,
                partition=KEYS.index(key) % TASKS,
            )
            await asyncio.sleep(pause_seconds)
    finally:
        await client.stop()


async def read(settings, topic, task):
    """All committed records of a partition, in order, with their offsets."""
    place = TopicPartition(f"{settings.namespace}{topic}", task)
    reader = consumer(settings, group=None)
    await reader.start()
    try:
        reader.assign([place])
        await reader.seek_to_beginning(place)
        end = (await reader.end_offsets([place]))[place]
        found = []
        while await reader.position(place) < end:
            batches = await reader.getmany(place, timeout_ms=100)
            found += [
                Record(topic, task, m.offset, m.timestamp, m.key, m.value, tuple(m.headers))
                for m in batches.get(place, ())
            ]
        return found
    finally:
        await reader.stop()


async def settled(settings):
    """Wait until as many records are answered for as were fed, and every due time has come and gone."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            fed = sum([len(await read(settings, topic, task)) for topic in INPUTS for task in range(TASKS)])
            told = [json.loads(r.value) for task in range(TASKS) for r in await read(settings, "told", task)]
            letters = sum([len(await read(settings, DEAD_LETTERS, task)) for task in range(TASKS)])
            if fed == letters + sum(cause[0] == "record" for cause, _ in told) and not await awake(settings):
                return
            await asyncio.sleep(0.2)


async def awake(settings):
    """Whether the changelog holds a due time."""
    last = {r.key: r for task in range(TASKS) for r in await read(settings, "tallies", task)}
    return any(record.headers for record in last.values())


async def check(settings):
    """Replay the effects in the order in which they were written: they are one sequential run over the inputs."""
    for task in range(TASKS):
        inputs = {(r.topic, r.offset): r for topic in INPUTS for r in await read(settings, topic, task)}
        states, applied, rejected = {}, {topic: [] for topic in INPUTS}, []
        for effect in await read(settings, "told", task):
            kind, *where, now_ms = json.loads(effect.value)[0]
            if kind == "record":
                applied[where[0]].append(where[1])
                transition = Tally().apply(states.get(effect.key), inputs[tuple(where)], now_ms)
            else:
                assert states[effect.key][1] == where[0] <= now_ms
                transition = Tally().wake(effect.key, states[effect.key], now_ms)
            assert transition.outputs[0].value == effect.value
            states[effect.key] = transition.state
        for letter in await read(settings, DEAD_LETTERS, task):
            headers = dict(letter.headers)
            rejected.append((headers["__connect.errors.topic"].decode(), int(headers["__connect.errors.offset"])))
        valid = [place for place, record in sorted(inputs.items()) if json.loads(record.value) != "invalid"]
        assert [(topic, offset) for topic in sorted(INPUTS) for offset in applied[topic]] == valid
        assert sorted(rejected) == sorted(inputs.keys() - set(valid))
        logged = {r.key: Tally().decode(r.value) for r in await read(settings, "tallies", task)}
        assert logged == states
        assert all(due_ms is None for _, due_ms in states.values())


async def test_inputs_take_effect_once_and_progress_is_committed(fast_settings, topics):
    async with running(KafkaBroker(fast_settings)):
        await feed(fast_settings, 300, seed=1)
        await settled(fast_settings)

    await check(fast_settings)
    client = admin(fast_settings)
    await client.start()
    try:
        committed = await client.list_consumer_group_offsets(f"{fast_settings.namespace}tally")
    finally:
        await client.close()
    for topic in INPUTS:
        for task in range(TASKS):
            place = next(tp for tp in committed if (tp.topic, tp.partition) == (fast_settings.namespace + topic, task))
            assert committed[place].offset == (await read(fast_settings, topic, task))[-1].offset + 1


async def test_two_owners_of_every_task_at_once_double_nothing(fast_settings, topics):
    """Either takes the other for a zombie: they fence each other for as long as both live."""
    async with running(KafkaBroker(fast_settings)):
        async with running(CutOff(fast_settings)) as zombie:
            await feed(fast_settings, 400, seed=2)
            await asyncio.sleep(1)
            assert not zombie.done()
        await settled(fast_settings)

    await check(fast_settings)


async def test_workers_that_are_cancelled_without_a_drain_lose_nothing(fast_settings, topics):
    feeding = asyncio.create_task(feed(fast_settings, 600, seed=3, pause_seconds=0.005))
    async with running(KafkaBroker(fast_settings)):
        while not feeding.done():
            other = asyncio.create_task(stage(KafkaBroker(fast_settings)).run(asyncio.Event()))
            await asyncio.sleep(0.8)
            other.cancel()
            await asyncio.wait([other])
        await feeding
        await settled(fast_settings)

    await check(fast_settings)


@pytest.mark.slow  # on a loaded machine its processes take minutes to come back; tests/chaos kills for every run
@pytest.mark.timeout(600)
async def test_workers_killed_again_and_again_lose_and_double_nothing(fast_settings, topics):
    feeding = asyncio.create_task(feed(fast_settings, 600, seed=4, pause_seconds=0.01))
    chance = random.Random(4)
    workers = [await spawn(fast_settings) for _ in range(2)]
    try:
        while not feeding.done():
            await asyncio.sleep(1.5)
            victim = workers.pop(chance.randrange(len(workers)))
            victim.kill()
            await victim.wait()
            workers.append(await spawn(fast_settings))
        await feeding
        await settled(fast_settings)
    finally:
        for worker in workers:
            worker.terminate()
        codes = [await worker.wait() for worker in workers]

    assert codes == [0] * len(workers)
    await check(fast_settings)


async def spawn(settings):
    """A worker process that heeds SIGTERM already."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, __file__, settings.bootstrap_servers, settings.namespace, stdout=asyncio.subprocess.PIPE
    )
    assert await worker.stdout.readline() == b"working\n"
    return worker


def work(bootstrap_servers, namespace):
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = KafkaSettings(
        bootstrap_servers=bootstrap_servers,
        namespace=namespace,
        session_timeout_seconds=1.0,
        heartbeat_interval_seconds=0.2,
    )

    async def main():
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        sys.stdout.write("working\n")
        sys.stdout.flush()
        await stage(KafkaBroker(settings)).run(stop)

    asyncio.run(main())


if __name__ == "__main__":
    work(*sys.argv[1:])
