"""Time, as the broker's parts see it: an asyncio loop in production, a hand-driven clock in tests."""

from collections.abc import Callable
from typing import Protocol


class Handle(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not call."""


class Scheduler(Protocol):
    """The part of an asyncio loop that the broker needs."""

    def time(self) -> float:
        """A monotonic clock in seconds."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Handle:
        """Call *callback* in *delay* seconds."""
