"""When a concurrent stage counts as stuck: its reading hangs. Not when the broker is away, nor when it is saturated."""

import asyncio

import pytest

from shared.errors import Retryable
from shared.stage.base import Output
from shared.stage.concurrent import BEAT, ConcurrentStage
from shared.stage.memory import MemoryBroker
from shared.stage.settings import StageSettings
from shared.telemetry.health import Health

PARTITIONS = {"in": 1, "out": 1, "dead.letters": 1}


class Handler:
    def __init__(self, seconds=0.0):
        self.seconds = seconds

    def observe(self, record):
        pass

    async def handle(self, record):
        await asyncio.sleep(self.seconds)
        return [Output("out", record.key, record.value)]

    def given_up(self, _record, _reason):
        return []

    def acknowledged(self, record):
        pass


@pytest.fixture
def silence(virtual, metrics):
    """The part that is silent for longest, and for how long, after a stage has run for *seconds*."""

    def run(seconds, *, handler=None, latency=lambda _: 0.0, prepare=lambda _: None, **settings):
        async def main():
            now = asyncio.get_running_loop().time
            broker = MemoryBroker(PARTITIONS, clock=now, latency=latency)
            health = Health(limit_seconds=60.0, clock=now)
            prepare(broker)
            stage = ConcurrentStage(
                "stage",
                broker.connect(),
                handler or Handler(),
                inputs=("in",),
                settings=StageSettings(**settings),
                metrics=metrics,
                health=health,
                clock=now,
            )
            stop = asyncio.Event()
            running = asyncio.create_task(stage.run(stop))
            await asyncio.sleep(seconds)
            health.beat()
            silence, alive = health.silence(), health.alive()
            stop.set()
            await running
            health.beat()
            assert health.silence()[0] != BEAT, "a stage that has ended is not missed"
            return *silence, alive

        return virtual(main())

    return run


def test_a_stage_with_nothing_to_read_is_alive(silence):
    _, seconds, alive = silence(1_000)

    assert alive
    assert seconds < 1


def test_a_stage_whose_reading_hangs_is_not(silence):
    part, seconds, alive = silence(100, latency=lambda step: 150.0 if step == "fetch" else 0.0)

    assert (part, alive) == (BEAT, False)
    assert seconds > 60


def test_a_saturated_stage_is_alive(silence):
    def fill(broker):
        for n in range(10):
            broker.append(Output("in", f"k{n}".encode(), b"v"), 0)

    _, _, alive = silence(500, handler=Handler(seconds=1_000), prepare=fill, in_flight_max=2, drain_seconds=1)

    assert alive


@pytest.mark.parametrize("step", ["start", "fetch", "committed"])
def test_a_broker_that_is_away_makes_no_stage_look_stuck(silence, step):
    _, _, alive = silence(300, prepare=lambda broker: broker.fail(step, Retryable("connection refused"), times=20))

    assert alive
