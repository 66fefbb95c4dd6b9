"""
Builders, and a clock that jumps, for the tests of models.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from prometheus_client import CollectorRegistry

from shared.arq.prompt import Message
from shared.llm.base import Request
from shared.llm.metrics import LlmMetrics

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: passes the time on to the loop instead."""

    loop: "VirtualTimeLoop"

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("the loop waits for ever: nothing is due")
        if not ready:
            self.loop.now += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at 1,000 s and jumps to the next timer."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.now = 1_000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def virtual() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine to its end in virtual time."""

    def run(main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(main)

    return run


SCHEMA = {
    "type": "object",
    "properties": {
        "notes": {"type": "string"},
        "matched": {"type": "array", "items": {"type": "string", "enum": ["g1", "g2"]}},
        "verdict": {"type": "string", "enum": ["yes", "no"]},
    },
    "required": ["notes", "matched", "verdict"],
    "additionalProperties": False,
}


@pytest.fixture
def make_request() -> Callable[..., Request]:
    """A request with a minute left (by the running loop's clock), unless told otherwise."""

    def make(**changes: Any) -> Request:
        fields = {
            "purpose": "match",
            "tenant": "acme",
            "messages": (Message("system", "Rules."), Message("user", "Hello there.")),
            "schema_name": "unit_v1",
            "schema": SCHEMA,
            "deadline": asyncio.get_running_loop().time() + changes.pop("seconds_left", 60.0),
        }
        return Request(**{**fields, **changes})

    return make


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry) -> LlmMetrics:
    return LlmMetrics(registry)
