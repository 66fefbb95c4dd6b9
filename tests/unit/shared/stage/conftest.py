"""
A clock that jumps, and the parts that every test of a stage needs.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
import structlog
from prometheus_client import CollectorRegistry

from shared.stage.base import Record
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings
from tests.unit.shared.stage.concurrent_world import World

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at 1,000 s and jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        select = self._selector.select

        def jump(timeout):
            ready = select(0)
            if not ready and timeout is None:
                raise RuntimeError("the loop waits for ever: nothing is due")
            if not ready:
                self.now += max(0.0, timeout)
            return ready

        self._selector.select = jump

    def time(self) -> float:
        return self.now


@pytest.fixture(scope="session", autouse=True)
def _quiet():
    """Rendering the traces of the errors that simulations cause takes most of their time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def virtual_loop() -> type[VirtualTimeLoop]:
    """For a test that runs its loop piece by piece."""
    return VirtualTimeLoop


@pytest.fixture(scope="session")
def virtual() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine to its end in virtual time."""

    def run(main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(main)

    return run


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry) -> StageMetrics:
    return StageMetrics(registry, "matcher")


@pytest.fixture
def settings() -> StageSettings:
    return StageSettings()


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """A record of `in`-0, unless told otherwise."""

    def make(offset: int = 0, **changes: Any) -> Record:
        fields = {"topic": "in", "partition": 0, "timestamp_ms": 0, "key": b"k", "value": b"v"}
        return Record(offset=offset, **{**fields, **changes})

    return make


@pytest.fixture
def simulate(virtual, metrics):
    """Runs a scenario in virtual time: `simulate(scenario, **settings)`."""

    def run(scenario, **settings):
        async def main():
            await scenario(World(metrics, **settings))

        virtual(main())

    return run
