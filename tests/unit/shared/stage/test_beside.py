"""What runs beside a stage."""

import asyncio

import pytest

from shared.errors import Fatal
from shared.stage.beside import Beside


class Stage:
    """Works until it is told to stop."""

    def __init__(self):
        self.ended = ""

    async def run(self, stop):
        try:
            await stop.wait()
            self.ended = "drained"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


async def failing(error):
    if error is not None:
        raise error


def run(virtual, error):
    stage, stop = Stage(), asyncio.Event()

    async def scenario():
        asyncio.get_running_loop().call_later(10.0, stop.set)
        await Beside(stage, failing(error)).run(stop)

    try:
        virtual(scenario())
    finally:
        assert stage.ended
    return stage.ended


@pytest.mark.parametrize("error", [None, RecursionError(), asyncio.CancelledError(), KeyError("usage")], ids=repr)
def test_an_errand_that_fails_oddly_leaves_the_stage_at_work(virtual, error):
    assert run(virtual, error) == "drained"


@pytest.mark.parametrize("error", [Fatal("no key"), MemoryError()], ids=repr)
def test_an_errand_that_is_fatal_ends_the_stage(virtual, error):
    with pytest.raises(type(error)):
        run(virtual, error)
