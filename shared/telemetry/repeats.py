"""
A bound on how often a library may say the same thing.

aiokafka warns about every failed request while a broker is away: without a bound, thousands of lines a minute that all
say one thing.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

LINES_MAX = 5
WINDOW_SECONDS = 60.0
MESSAGES_MAX = 1_000


@dataclass(slots=True)
class _Window:
    opened_at: float
    passed: int = 0
    suppressed: int = 0


class RepeatLimit(logging.Filter):
    """
    Lets a message through *lines_max* times in *window_seconds*; the first one after that tells how many were
    suppressed.

    Messages are the same when logger, level and template (the message before its arguments are put in) are. At most
    *messages_max* are remembered, the longest unseen forgotten first. *clock* is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        lines_max: int = LINES_MAX,
        window_seconds: float = WINDOW_SECONDS,
        messages_max: int = MESSAGES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._lines_max = lines_max
        self._window_seconds = window_seconds
        self._messages_max = messages_max
        self._clock = clock
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is written; its message is completed where some like it were not."""
        now = self._clock()
        window = self._window((record.name, record.levelno, str(record.msg)), now)
        if now - window.opened_at >= self._window_seconds:
            if window.suppressed:
                record.msg = f"{record.getMessage()} ({window.suppressed} more like this were suppressed)"
                record.args = None
            window.opened_at, window.passed, window.suppressed = now, 0, 0
        if window.passed >= self._lines_max:
            window.suppressed += 1
            return False
        window.passed += 1
        return True

    def _window(self, message: tuple[str, int, str], now: float) -> _Window:
        window = self._windows.setdefault(message, _Window(now))
        self._windows.move_to_end(message)
        if len(self._windows) > self._messages_max:
            self._windows.popitem(last=False)
        return window
