"""
A clock that jumps, and the parts that every test of a stage needs.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import structlog
from prometheus_client import CollectorRegistry

from shared.stage.base import Output, Record, Transition
from shared.stage.fold import Fold
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings
from shared.stage.state import KeyedState, MemoryStateStore
from shared.stage.timers import Timers
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


@pytest.fixture(scope="module", autouse=True)
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


@dataclass
class Scripted:
    """A ledger that does what the test says: `then` is a transition, an error to raise, or a function of the state."""

    then: Any = None
    seen: list[Any] = field(default_factory=list)

    def decode(self, data):
        return data.decode()

    def encode(self, state):
        return state.encode()

    def apply(self, state, record, now_ms):
        self.seen.append((state, record.offset, now_ms))
        return self._result(state)

    def wake(self, key, state, now_ms):
        self.seen.append((state, key, now_ms))
        return self._result(state)

    def anew(self, now_ms):
        return Transition(f"anew at {now_ms}", None)

    def forgets(self, record):
        return record.value == b"forget"

    def _result(self, state):
        result = self.then(state) if callable(self.then) else self.then
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def ledger():
    return Scripted()


class Letters:
    """Letters that are the record and nothing else."""

    def rejected(self, record, _error):
        return Output("dead.letters", record.key, record.value)

    held = rejected


@pytest.fixture
def letters():
    return Letters()


@pytest.fixture
def build(ledger, letters):
    def build(**changes):
        store, timers = MemoryStateStore(), Timers()
        store.put(b"k", b"old", 50)
        timers.schedule(b"k", 50)
        options = {
            "task": 3,
            "changelog": "state",
            "positions": {"in": 10, "more": 20},
            "letters": letters,
            "quarantined": {},
            "records_max": 100,
            "bytes_max": 1_000_000,
        }
        return Fold(
            ledger,
            KeyedState(store, ledger.decode, ledger.encode, cache_bytes_max=1_000),
            timers,
            **{**options, **changes},
        )

    return build


@pytest.fixture
def fold(build):
    return build()
