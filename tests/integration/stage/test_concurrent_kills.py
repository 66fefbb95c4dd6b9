"""
The concurrent stage in real processes on a real broker: processes are killed, and a reader counts.

Run as a program it is a worker: `python test_concurrent_kills.py BOOTSTRAP NAMESPACE [INSTANCE]`.
"""

import asyncio
import os
import random
import signal
import sys
import zlib
from collections import defaultdict

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from prometheus_client import CollectorRegistry

from shared.broker.clients import KafkaSettings, admin, consumer
from shared.stage.base import Output
from shared.stage.concurrent import ConcurrentStage
from shared.stage.kafka import KafkaBroker
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings

TASKS = 6
PROCESSES = 3
KEYS = 400
TOPICS = ("in", "watched", "out", "dead.letters")


class Copy:
    """Copies a record after a heavy-tailed while."""

    def observe(self, record):
        pass

    async def handle(self, record):
        await asyncio.sleep(min(2.0, random.paretovariate(1.1) * 0.02))
        return [Output("out", record.key, record.value)]

    def given_up(self, _record, _reason):
        return []

    def acknowledged(self, record):
        pass


async def work(settings):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    stage = ConcurrentStage(
        "copy",
        KafkaBroker(settings),
        Copy(),
        inputs=["in"],
        watches=["watched"],
        settings=StageSettings(),
        metrics=StageMetrics(CollectorRegistry(), "copy"),
    )
    await stage.run(stop)


async def create_topics(settings, replicas=1):
    administration = admin(settings)
    await administration.start()
    names = [f"{settings.namespace}{topic}" for topic in TOPICS]
    await administration.create_topics([NewTopic(name, TASKS, replicas) for name in names])
    async with asyncio.timeout(30):
        while set(names) - set(await administration.list_topics()):  # noqa: ASYNC110  the broker tells nobody
            await asyncio.sleep(0.05)
    await administration.close()


async def start_worker(settings, instance=""):
    return await asyncio.create_subprocess_exec(
        sys.executable, __file__, settings.bootstrap_servers, settings.namespace, instance,
        stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, env=dict(os.environ),
    )  # fmt: skip


async def produce(settings, count, per_second):
    """Write *count* records; returns the values of each key in order."""
    written = defaultdict(list)
    producer = KafkaBroker(settings).producer()
    await producer.start()
    for begin in range(0, count, batch := max(1, per_second // 20)):
        by_task = defaultdict(list)
        for number in range(begin, min(count, begin + batch)):
            key, value = b"k%d" % (number % KEYS), b"%d" % number
            written[key].append(value)
            by_task[zlib.crc32(key) % TASKS].append(Output("in", key, value))
        for task, outputs in by_task.items():
            await producer.send(outputs, task)
        await asyncio.sleep(batch / per_second)
    await producer.stop()
    return written


async def collect(settings, count, seen, wait_seconds):
    """Read `out` until *count* different values have been seen; *seen* takes the values of each key in order."""
    reader = consumer(settings, group=None)
    await reader.start()
    reader.assign([TopicPartition(f"{settings.namespace}out", task) for task in range(TASKS)])
    different = set()
    try:
        async with asyncio.timeout(wait_seconds):
            while len(different) < count:
                for messages in (await reader.getmany(timeout_ms=200)).values():
                    for message in messages:
                        seen[message.key].append(message.value)
                        different.add(message.value)
    finally:
        await reader.stop()


async def kill_now_and_then(settings, workers, kills, every_seconds):
    for _ in range(kills):
        await asyncio.sleep(every_seconds)
        slot = random.randrange(len(workers))
        workers[slot].kill()
        await workers[slot].wait()
        workers[slot] = await start_worker(settings)


async def run(settings, *, count, per_second, kills, every_seconds, wait_seconds):
    """Everything at once; returns what was written and what was seen, by key."""
    await create_topics(settings)
    workers = [await start_worker(settings) for _ in range(PROCESSES)]
    seen = defaultdict(list)
    try:
        written, _, _ = await asyncio.gather(
            produce(settings, count, per_second),
            kill_now_and_then(settings, workers, kills, every_seconds),
            collect(settings, count, seen, wait_seconds),
        )
        for worker in workers:
            worker.terminate()
        assert [await worker.wait() for worker in workers] == [0] * PROCESSES
    finally:
        for worker in workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
    return written, seen


@pytest.mark.timeout(240)
async def test_killed_processes_lose_and_reorder_nothing_and_repeat_little(broker_settings):
    kills = 3
    settings = broker_settings.model_copy(update={"session_timeout_seconds": 6.0})
    written, seen = await run(settings, count=2_400, per_second=200, kills=kills, every_seconds=3.0, wait_seconds=150)
    assert {key: list(dict.fromkeys(values)) for key, values in seen.items()} == written
    repeated = sum(map(len, seen.values())) - sum(map(len, written.values()))
    assert repeated <= 200 * kills


if __name__ == "__main__":
    asyncio.run(
        work(
            KafkaSettings(
                bootstrap_servers=sys.argv[1],
                namespace=sys.argv[2],
                session_timeout_seconds=6.0,
                group_instance_id=sys.argv[3] if len(sys.argv) > 3 else "",
            )
        )
    )
