"""
Whether a process makes progress (liveness) and has joined its group (readiness).

Liveness is progress of the process itself, never of the broker or the model: a probe that went red with them would
answer an outage with a restart storm.
"""

import time
from collections.abc import Callable

LIVENESS_LIMIT_SECONDS = 60.0
LOOP = "loop"


class Health:
    """
    The state behind the probes; written by the event loop, read by the telemetry server's threads.

    Every loop whose standstill would be the process's beats on each of its rounds, under a name of its own: `loop` is
    the event loop itself. It beats also when it has nothing to fetch or holds back by backpressure: whoever waits on
    purpose is alive. From its first beat on a part must go on beating, until it is forgotten. Creation counts as the
    first beat of `loop`, so a start that hangs turns red too.

    *clock* is monotonic, in seconds.
    """

    def __init__(
        self, *, limit_seconds: float = LIVENESS_LIMIT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit_seconds = limit_seconds
        self.ready = False
        """Whether the process takes part: its group joined (be it without a partition), its producer connected."""
        self.obstacle: Callable[[], str] = lambda: ""
        """
        Why all that the process does is in vain, although it takes part; empty where nothing is known of such. It keeps
        a roll-out of wrong settings from going on. Called by threads.
        """
        self._clock = clock
        self._beaten_at = {LOOP: clock()}

    def beat(self, part: str = LOOP) -> None:
        """Tell that *part* has come round."""
        self._beaten_at[part] = self._clock()

    def forget(self, part: str) -> None:
        """Expect no more beats of *part*: it has ended on purpose."""
        self._beaten_at.pop(part, None)

    def silence(self, now: float | None = None) -> tuple[str, float]:
        """The part that has been silent for longest, and for how many seconds; *now* is in the clock's time."""
        # A copy in one step: the event loop may add a part while a probe's thread looks.
        part, beaten_at = min(self._beaten_at.copy().items(), key=lambda item: item[1])
        return part, (self._clock() if now is None else now) - beaten_at

    def alive(self, now: float | None = None) -> bool:
        """Whether every part's last beat is no older than `limit_seconds`; *now* is in the clock's time."""
        return self.silence(now)[1] <= self.limit_seconds
