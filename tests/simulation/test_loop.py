"""The event loop of the simulation."""

import asyncio
from contextvars import copy_context
from random import Random

import pytest

from tests.simulation.loop import BEGIN_SECONDS, PROCESS, NothingDue, SimulatedLoop


@pytest.fixture
def run():
    """Runs a scenario, which is given its loop, with an order drawn from a seed."""

    def run(scenario, seed=0):
        loop = SimulatedLoop(Random(seed))
        try:
            return loop.run_until_complete(scenario(loop))
        finally:
            loop.end()

    return run


def spawn(loop, name, coroutine):
    context = copy_context()
    context.run(PROCESS.set, name)
    return loop.create_task(coroutine, context=context)


def test_a_day_passes_at_once(run):
    async def scenario(loop):
        await asyncio.sleep(86_400)
        return loop.time() - BEGIN_SECONDS

    assert run(scenario) == 86_400


def test_within_a_process_callbacks_keep_their_order_and_between_processes_any_order_occurs(run):
    async def scenario(loop):
        seen = []

        async def work(name):
            for number in range(3):
                loop.call_soon(seen.append, (name, number))
            await asyncio.sleep(0)

        await asyncio.gather(*(spawn(loop, name, work(name)) for name in "ab"))
        await asyncio.sleep(1)
        return tuple(seen)

    orders = {run(scenario, seed) for seed in range(60)}
    assert len(orders) > 5
    for order in orders:
        for name in "ab":
            assert [number for who, number in order if who == name] == [0, 1, 2]


def test_a_killed_process_runs_nothing_more_not_even_what_is_final(run):
    async def scenario(loop):
        ran = []

        async def work():
            try:
                await asyncio.sleep(1)
                ran.append("woke")
            finally:
                ran.append("finally")

        spawn(loop, "a", work())
        await asyncio.sleep(0.5)
        loop.kill("a")
        await asyncio.sleep(5)
        return list(ran)

    assert run(scenario) == []


def test_a_frozen_process_goes_on_where_it_stood(run):
    async def scenario(loop):
        woke = []

        async def work():
            await asyncio.sleep(1)
            woke.append(loop.time() - BEGIN_SECONDS)

        spawn(loop, "a", work())
        await asyncio.sleep(0.5)
        loop.freeze("a")
        loop.call_at(BEGIN_SECONDS + 7, loop.thaw, "a")
        await asyncio.sleep(6)
        assert woke == []
        await asyncio.sleep(2)
        return woke

    assert run(scenario) == [7]


def test_waiting_for_what_never_comes_is_told(run):
    async def scenario(loop):
        await asyncio.Event().wait()

    with pytest.raises(NothingDue):
        run(scenario)
