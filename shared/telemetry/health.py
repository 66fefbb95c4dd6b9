"""
Whether a process makes progress (liveness) and has joined its group (readiness).

Liveness is progress of the process itself, never of the broker or the model: a probe that went red with them would
answer an outage with a restart storm.
"""

import time
from collections.abc import Callable

LIVENESS_LIMIT_SECONDS = 60.0


class Health:
    """
    The state behind the probes; written by the event loop, read by the telemetry server's threads.

    The main loop beats on each of its rounds, also when it has nothing to fetch or holds back by backpressure: whoever
    waits on purpose is alive. Creation counts as the first beat, so a start that hangs turns red too.

    *clock* is monotonic, in seconds.
    """

    def __init__(
        self, *, limit_seconds: float = LIVENESS_LIMIT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit_seconds = limit_seconds
        self.ready = False
        """Whether the process takes part: its group joined (be it without a partition), its producer connected."""
        self._clock = clock
        self._beaten_at = clock()

    def beat(self) -> None:
        """Tell that the main loop has come round."""
        self._beaten_at = self._clock()

    def silent_seconds(self, now: float | None = None) -> float:
        """How long ago the last beat was."""
        return (self._clock() if now is None else now) - self._beaten_at

    def alive(self, now: float | None = None) -> bool:
        """Whether the last beat is no older than `limit_seconds`; *now* is in the clock's time."""
        return self.silent_seconds(now) <= self.limit_seconds
