"""A handler, a broker and stages on it, in virtual time."""

import asyncio
from contextlib import asynccontextmanager

from shared.stage.base import Output
from shared.stage.concurrent import ConcurrentStage
from shared.stage.memory import MemoryBroker
from shared.stage.ports import Position
from shared.stage.settings import StageSettings

PARTITIONS = {"in": 2, "in2": 2, "watched": 2, "out": 2, "ended": 2, "dead.letters": 2}


class Echo:
    """Copies its input to `out` after `seconds`; notes what happens to it."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.observed, self.begun, self.cancelled, self.known = [], [], [], []
        self.raising = {}
        self.farewell = None
        self.peak = self.running = 0

    def observe(self, record):
        self.observed.append((record.topic, record.value))

    async def handle(self, record):
        self.begun.append(record.value)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(self.seconds)
            errors = self.raising.get(record.value)
            if errors:
                raise errors.pop(0) if isinstance(errors, list) else errors
        except asyncio.CancelledError:
            self.cancelled.append(record.value)
            raise
        finally:
            self.running -= 1
        return [Output("out", record.key, record.value)]

    def given_up(self, record, reason):
        """Says so on `ended`, where the test gave words for it; it may be an error to raise."""
        if isinstance(self.farewell, BaseException):
            raise self.farewell
        return [Output("ended", record.key, self.farewell % (record.value, reason.encode()))] if self.farewell else []

    def acknowledged(self, record):
        self.known.append(record.value)


class World:
    """A broker, and stages that are started on it."""

    def __init__(self, registry_metrics, **settings):
        self.broker = MemoryBroker(PARTITIONS, clock=asyncio.get_running_loop().time)
        self.metrics = registry_metrics
        self.settings = StageSettings(**settings)

    def put(self, *values, key=b"k", topic="in", partition=0):
        for value in values:
            self.broker.append(Output(topic, key, value), partition)

    def out(self, topic="out"):
        return [record.value for record in self.broker.records(topic)]

    def lost(self, topic="in"):
        return self.metrics.lost(topic)._value.get()

    def committed(self, topic="in", partition=0):
        return self.broker.committed("stage").get(Position(topic, partition))

    @asynccontextmanager
    async def stage(self, handler, *, inputs=("in",), watches=(), client=None, health=None):
        stage = ConcurrentStage(
            "stage",
            client or self.broker.connect(),
            handler,
            inputs=inputs,
            watches=watches,
            settings=self.settings,
            metrics=self.metrics,
            health=health,
            clock=self.broker.clock,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(stage.run(stop))
        running.stop = stop.set
        try:
            yield running
        finally:
            stop.set()
            await asyncio.wait([running])
        if not running.cancelled():
            running.result()
