"""
How long a pipeline takes to be itself again after a fault, from the times at which turns closed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

WINDOW_SECONDS = 2.0
SHARE = 0.8


def rate(closed_seconds: Sequence[float], begin: float, end: float) -> float:
    """Turns a second between *begin* and *end*; *closed_seconds* is ascending."""
    return (bisect_left(closed_seconds, end) - bisect_left(closed_seconds, begin)) / max(end - begin, 1e-9)


def recovery_seconds(
    closed_seconds: Sequence[float],
    fault: float,
    baseline: float,
    *,
    share: float = SHARE,
    window: float = WINDOW_SECONDS,
) -> float | None:
    """
    Seconds from *fault* until the turns closed in a window of *window* seconds reach *share* of *baseline* (turns a
    second) again after having fallen below it; 0 if they never fell, None if they never came back.
    """
    step = window / 4
    last = closed_seconds[-1] if closed_seconds else fault
    begin, fell = fault, False
    while begin + window <= last:
        inside = bisect_right(closed_seconds, begin + window) - bisect_left(closed_seconds, begin)
        enough = inside / window >= share * baseline
        if fell and enough:
            return begin - fault
        fell = fell or not enough
        begin += step
    return None if fell else 0.0
