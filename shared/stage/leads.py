"""
How far this process's clock lies ahead of the ledger's, whose clock alone decides on deadlines.

A turn's times are the ledger's. Compared with a worker's own clock they tell whether the turn can still be answered,
unless the clocks differ: ten minutes ahead, a worker would drop every turn as expired; behind, it would work on turns
that ended long ago. Waiting in a backlog looks like a clock that is ahead, so not every record tells: one that was
written moments before it was read does (Cristian's algorithm, with the log as the time server), and so does any that
comes from the future.
"""

from contextvars import ContextVar

from shared.stage.steady_clock import unix_time
from shared.stage.supersede import CLOCK_SKEW_MAX

TOLERANCE_SECONDS = CLOCK_SKEW_MAX.total_seconds()
"""Clocks that differ by less are taken as they are; a fresh record may be a second old."""

_LEAD_SECONDS: ContextVar[float] = ContextVar("lead_seconds", default=0.0)


class Leads:
    """What is known of each task's ledger; tasks may be with ledgers of different clocks."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._last_seconds = 0.0

    def take(self, task: int, lead_seconds: float, *, fresh: bool) -> None:
        """
        A record of *task* was read *lead_seconds* after its time: that much the clock is ahead at most, and about that
        much where the record is *fresh*.
        """
        if fresh or lead_seconds < self._seconds.get(task, 0.0):
            self._seconds[task] = self._last_seconds = lead_seconds

    def of(self, task: int) -> float:
        """Seconds to take off this process's clock for the times of *task*'s turns; none within the tolerance."""
        seconds = self._seconds.get(task, self._last_seconds)
        return seconds if abs(seconds) > TOLERANCE_SECONDS else 0.0


def assume(lead_seconds: float) -> None:
    """In the current asyncio task, and those that it starts, let `ledger_time` be *lead_seconds* behind the clock."""
    _LEAD_SECONDS.set(lead_seconds)


def ledger_time() -> float:
    """Unix seconds as the ledger of the turn in hand would tell them, for comparison with the turn's times."""
    return unix_time() - _LEAD_SECONDS.get()
