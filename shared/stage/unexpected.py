"""
What nobody foresaw: an error that costs the record, the turn or the step at hand, is counted and logged, and goes no
further.

A process ends for its own sake alone: wrong settings, a broker that has fenced it (`Fatal`), no more memory. Whatever
else is raised over what came in is one tenant's, and ends nothing that is another's.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import structlog
from prometheus_client import Counter

from shared.errors import Fatal
from shared.telemetry.tracebacks import said

UNEXPECTED_ERROR: Final = "unexpected_error"
"""The reason of a turn, or a dead letter, that came of one."""

_log = structlog.get_logger(__name__)


def ends_the_stage(error: BaseException) -> bool:
    """Whether *error*, or a member of the group that it is, is the process's own: nothing that came in is to blame."""
    if isinstance(error, BaseExceptionGroup):
        return any(ends_the_stage(member) for member in error.exceptions)
    if isinstance(error, asyncio.CancelledError):
        return False
    return isinstance(error, Fatal | MemoryError) or not isinstance(error, Exception)


def passes(error: BaseException) -> bool:
    """
    Whether *error* is for whoever runs this asyncio task: it ends the stage, or the task was cancelled from outside. A
    cancellation that nobody asked for (a library's own) is an error like any other.
    """
    if ends_the_stage(error):
        return True
    task = asyncio.current_task()
    return _cancels(error) and (task is None or task.cancelling() > 0)


def _cancels(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_cancels(member) for member in error.exceptions)
    return isinstance(error, asyncio.CancelledError)


class CountsErrors(Protocol):
    """Metrics that have a counter of unexpected errors."""

    def unexpected(self, during: str) -> Counter:
        """Of those met during a step, a bounded word."""
        ...


class Placed(Protocol):
    """A record as far as its place in the log."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...


class Unexpected:
    """Counts and logs unexpected errors of *stage*."""

    def __init__(self, stage: str, metrics: CountsErrors) -> None:
        self._stage = stage
        self._metrics = metrics

    def tell(self, error: BaseException, during: str, record: Placed | None = None) -> None:
        """*error* was met *during* a step, a bounded word: of work on *record*, if on any."""
        self._metrics.unexpected(during).inc()
        where: dict[str, str | int] = {}
        if record is not None:
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        kind = type(error).__name__
        _log.error("unexpected error", stage=self._stage, during=during, kind=kind, exc_info=error, **where)
        _log.debug("what the unexpected error says", during=during, kind=kind, text=said(error), **where)

    @contextmanager
    def spared(self, during: str, record: Placed | None = None) -> Iterator[None]:
        """What the block raises is told, and goes no further."""
        try:
            yield
        except Exception as error:
            # The boundary of a step whose failure must cost nothing else.
            if passes(error):
                raise
            self.tell(error, during, record)
