"""
A clock for what must not be stopped by a step of the machine's clock.
"""

import time
from collections.abc import Callable

STEP_SECONDS = 1.0
"""A clock that is set back by less is followed, as far as time does not go back."""
SLEW = 1 / 100
"""How much slower a clock runs that was ahead and is being set right: an hour is made up for in four days."""


class SteadyClock:
    """
    Unix seconds that never go back. *wall* is the machine's clock, *monotonic* one that no one sets; both in seconds.

    A step forward is followed at once, as time spent asleep must be. After a step back the clock goes on, a little
    slower until the machine's has caught up: a ledger's due times stay as far off as they were, where a clock an hour
    behind would put them off by that hour.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._told = wall()
        self._told_at = monotonic()

    def __call__(self) -> float:
        """Unix seconds; at least what was told before."""
        wall, now = self._wall(), self._monotonic()
        elapsed = now - self._told_at
        set_back = wall <= self._told + elapsed - STEP_SECONDS
        told = self._told + elapsed * (1 - SLEW) if set_back else wall
        self._told, self._told_at = max(self._told, told), now
        return self._told


unix_time = SteadyClock()
"""The process's one: what is compared in a process is told by the same clock."""
