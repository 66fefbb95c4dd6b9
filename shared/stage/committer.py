"""
Progress is committed continuously: what a crash repeats is what the last commit left out.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from shared.errors import Retryable
from shared.stage.concurrent_task import ConcurrentTask
from shared.stage.errors import OwnershipLost
from shared.stage.metrics import StageMetrics
from shared.stage.outbox import Outbox
from shared.stage.ports import Group
from shared.stage.settings import StageSettings
from shared.stage.unexpected import Unexpected, passes

_log = structlog.get_logger(__name__)


class Committer:
    """
    Commits the progress of *stage*'s *tasks* (asked for anew each time) through a group: all positions in one request,
    one request under way at a time, at least `commit_interval_seconds` apart; what happens meanwhile goes into the
    next.

    A commit refused because the membership is void closes *outbox*: the tasks may be another's until the group
    assigns anew. One that fails for no reason that the group knows of is tried again after `retry_wait_seconds`.
    """

    def __init__(
        self,
        stage: str,
        tasks: Callable[[], Iterable[ConcurrentTask]],
        outbox: Outbox,
        metrics: StageMetrics,
        clock: Callable[[], float],
        settings: StageSettings,
    ) -> None:
        self._tasks = tasks
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._unexpected = Unexpected(stage, metrics)
        self._interval_seconds = settings.commit_interval_seconds
        self._retry_wait_seconds = settings.retry_wait_seconds
        self._dirty = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._generation = 0
        self._void_since: float | None = None

    def mark(self) -> None:
        """There is progress to commit."""
        self._dirty.set()

    def reassigned(self) -> None:
        """The group assigns anew: the answer to an older commit says nothing about this generation."""
        self._generation += 1
        self._void_since = None

    @property
    def void_seconds(self) -> float:
        """For how long the group has refused this member without a rebalance that would take it in again."""
        return 0.0 if self._void_since is None else asyncio.get_running_loop().time() - self._void_since

    async def run(self, group: Group) -> None:
        """Commit until cancelled, while ownership is certain."""
        while True:
            await self._dirty.wait()
            await self._outbox.wait_open()
            await self.commit(group)
            await asyncio.sleep(self._interval_seconds)

    async def commit(self, group: Group) -> bool:
        """Commit what there is, once; false where the group did not take it, and it stays to be committed."""
        async with self._one_at_a_time:
            self._dirty.clear()
            generation = self._generation
            owner = {position: task for task in self._tasks() if task.dirty for position in task.positions()}
            progress = {p: c for task in set(owner.values()) for p, c in task.take_committable().items()}
            if not progress:
                return True
            started = asyncio.get_running_loop().time()
            try:
                await group.commit(progress)
            except BaseException as error:
                for position in progress:
                    owner[position].put_back(position)
                self._dirty.set()
                if not isinstance(error, (Retryable, OwnershipLost)):
                    if passes(error):
                        raise
                    self._unexpected.tell(error, "commit")
                    await asyncio.sleep(self._retry_wait_seconds)
                    return False
                _log.debug("progress not committed", error=str(error), kind=type(error).__name__)
                if isinstance(error, OwnershipLost) and generation == self._generation:
                    self._void_since = self._void_since or started
                    self._outbox.close()
                return False
            self._metrics.commit_duration.observe(asyncio.get_running_loop().time() - started)
            self._metrics.last_progress.set(self._clock())
            return True
