"""
An event loop that does not wait: where nothing is ready its clock jumps to the next timer, so that an endpoint which
never answers costs no time.
"""

import asyncio
import selectors
from typing import Any


class JumpingLoop(asyncio.SelectorEventLoop):
    """See the module; no thread may be waited for, and no socket."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """The clock, with all its jumps."""
        return super().time() + self._ahead_seconds

    def jump(self, seconds: float) -> None:
        """Let *seconds* have gone by."""
        self._ahead_seconds += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self._loop.jump(timeout)
        return ready
