"""
What follows when a ledger task fails: wait and open it again, or stop the process. Pure but for the jitter of the
waits.
"""

from collections import deque
from random import Random

from shared.errors import Fatal, Retryable
from shared.stage.commit_group import StateFailedError
from shared.stage.errors import OwnershipLost, UnreadableStateError
from shared.stage.retry import Backoff
from shared.stage.settings import StageSettings


class Restarts:
    """The unexpected errors of a process: a few close a task each, more stop the process."""

    def __init__(self, stage: str, settings: StageSettings) -> None:
        self._stage = stage
        self._max = settings.restarts_max
        self._window_seconds = settings.restarts_window_seconds
        self._at: deque[float] = deque()

    def count(self, error: Exception, now: float) -> None:
        """
        Count *error*, at *now* in monotonic seconds.

        Raises:
            Fatal: it was one too many.

        """
        self._at.append(now)
        while self._at[0] < now - self._window_seconds:
            self._at.popleft()
        if len(self._at) > self._max:
            raise Fatal(
                f"{self._stage} met {len(self._at)} unexpected errors within {self._window_seconds:g} s; the last one: "
                f"{type(error).__name__}: {error}"
            ) from error


class Tenure:
    """What is remembered of an owned task from one opening to the next."""

    def __init__(self, settings: StageSettings, restarts: Restarts, random: Random | None = None) -> None:
        self.condemned: dict[bytes, StateFailedError] = {}
        """Keys to set apart when the task is opened: their states could not be written, twice."""
        self._settings = settings
        self._restarts = restarts
        random = random or Random()
        self._backoff = Backoff(settings.retry_wait_seconds, settings.retry_wait_max_seconds, random)
        # A former owner that has not heard of the rebalance must have time to, before it fences the new one in turn.
        self._takeover = Backoff(
            settings.ledger_takeover_wait_seconds, 10 * settings.ledger_takeover_wait_seconds, random
        )
        self._failed: set[bytes] = set()
        self._attempt = 0

    def committed(self) -> None:
        """A transaction went well; what was set apart at the opening is so for good."""
        self._attempt = 0
        self.condemned.clear()

    def wait_after(self, error: Exception, now: float) -> float:
        """
        How many seconds to wait before the task is opened again, after *error* closed it at *now* (monotonic seconds).

        Raises:
            Fatal: it must not be opened again.

        """
        if isinstance(error, Fatal):
            raise error
        if isinstance(error, UnreadableStateError):
            # It costs its own task alone, however long it lasts: nothing of the process is at fault.
            return self._settings.ledger_unreadable_wait_seconds
        if isinstance(error, StateFailedError):
            self._blame(error)
            return 0.0
        self._attempt += 1
        if isinstance(error, OwnershipLost):
            return self._takeover.wait_seconds(self._attempt)
        if isinstance(error, Retryable):
            return self._backoff.wait_seconds(self._attempt, error)
        self._restarts.count(error, now)
        return self._backoff.wait_seconds(self._attempt)

    def _blame(self, error: StateFailedError) -> None:
        if error.key in self._failed:
            self.condemned[error.key] = error
        self._failed.add(error.key)
