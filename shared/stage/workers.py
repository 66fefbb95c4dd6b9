"""
The tasks that a concurrent stage owns, and the work that goes on for them: one asyncio task for each key that has
records.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog

from shared.errors import Fatal
from shared.stage.attempts import Attempts
from shared.stage.base import Record
from shared.stage.concurrent_task import ConcurrentTask, Work
from shared.stage.metrics import StageMetrics
from shared.stage.places import Places, tenant_of
from shared.stage.ports import Committed, Position
from shared.stage.settings import StageSettings
from shared.stage.unexpected import Unexpected, ends_the_stage

CANCEL_SECONDS = 5.0
"""How long cancelled work may take to end before it is left to itself."""
REFILL_SHARE = 64
"""A saturated stage reads again when one part in so many of `in_flight_max` is free: records are cheaper in batches."""

_log = structlog.get_logger(__name__)


class Workers:
    """
    Works records off through *attempts*, and calls *progressed* whenever there is something to commit.

    *tasks* takes the open ones, by partition. `broken` are those among them that met an unexpected error: they take
    nothing in until they are closed. `fatal` is why the stage must stop, once there is a reason.
    """

    def __init__(
        self,
        stage: str,
        tasks: dict[int, ConcurrentTask],
        attempts: Attempts,
        progressed: Callable[[], None],
        *,
        watched: frozenset[str],
        settings: StageSettings,
        metrics: StageMetrics,
        clock: Callable[[], float],
    ) -> None:
        self.tasks = tasks
        self.broken: set[ConcurrentTask] = set()
        self.fatal: BaseException | None = None
        self.breaks: list[float] = []
        self.in_flight = 0
        self._stage = stage
        self._attempts = attempts
        self._progressed = progressed
        self._watched = watched
        self._settings = settings
        self._metrics = metrics
        self._unexpected = Unexpected(stage, metrics)
        self._clock = clock
        # Ordered: a simulation of the same seed must end lanes in the same order.
        self._running: dict[ConcurrentTask, dict[asyncio.Task[None], None]] = {}
        self._freed = asyncio.Event()
        self._places: Places[tuple[ConcurrentTask, Work]] = Places(settings.in_flight_max)

    @property
    def room(self) -> int:
        """How many more records may be read."""
        return self._settings.in_flight_max + self._settings.read_ahead_max - self.in_flight

    def open(self, partition: int, committed: Mapping[Position, Committed]) -> ConcurrentTask:
        """Open the task of *partition*, as *committed* left it."""
        starts = {position: start for position, start in committed.items() if position.partition == partition}
        task = ConcurrentTask(partition, starts, watched=self._watched, span_max=self._settings.span_max)
        self.tasks[partition] = task
        self._running[task] = {}
        return task

    async def close(self, tasks: Sequence[ConcurrentTask]) -> None:
        """Cancel the work of *tasks* and forget them."""
        await self.cancel(tasks)
        for task in tasks:
            del self.tasks[task.partition]
            self.broken.discard(task)

    async def cancel(self, tasks: Iterable[ConcurrentTask]) -> None:
        """End the work of *tasks*; what they have done so far can still be committed."""
        tasks = list(tasks)
        gone = set(tasks)
        self._places.forget(lambda waiting: waiting[0] in gone)
        lanes = [lane for task in tasks for lane in self._running.pop(task, ())]
        for lane in lanes:
            lane.cancel()
        if lanes:
            _, stubborn = await asyncio.wait(lanes, timeout=CANCEL_SECONDS)
            if stubborn:
                _log.warning("cancelled work does not end", stage=self._stage, records=len(stubborn))
        for task in tasks:
            self._count(-task.in_flight)
            task.in_flight = 0

    def accept(self, task: ConcurrentTask, record: Record) -> None:
        """Take *record* of *task* in; it is worked on at once, or waits behind its key, for a place or the span."""
        if record.topic not in self._watched:
            self._metrics.key_queue_depth.observe(task.lanes.depth(record.key or b""))
        self._change(task, partial(task.accept, record))

    def give_back(self) -> None:
        """Forget what has not been begun; it stays uncommitted."""
        for task, _ in self._places.forget(lambda _: True):
            task.abandon()
            self._count(-1)
        for task in self.tasks.values():
            before = task.in_flight
            task.give_back()
            self._count(task.in_flight - before)

    async def wait_for_room(self, wait_seconds: float) -> bool:
        """Wait until a batch has room; false where that takes longer than *wait_seconds*."""
        batch = max(1, self._settings.in_flight_max // REFILL_SHARE)
        return await self._wait(lambda: self.room >= batch, wait_seconds)

    async def wait_until_idle(self, wait_seconds: float) -> bool:
        """Wait until nothing is under way, or all is in vain; false where that takes longer than *wait_seconds*."""
        return await self._wait(lambda: not self.in_flight or self.fatal is not None, wait_seconds)

    async def _wait(self, reached: Callable[[], bool], wait_seconds: float) -> bool:
        try:
            async with asyncio.timeout(wait_seconds):
                while not reached():
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            return False
        return True

    def _change(self, task: ConcurrentTask, change: Callable[[], list[Work]]) -> None:
        """Make *change* to *task*, and work the lanes that begin with it."""
        before = task.in_flight
        heads = change()
        self._count(task.in_flight - before)
        for work in heads:
            if self._places.enter(tenant_of(work.record.key), (task, work)):
                self._begin(task, work)
        if task.dirty:
            self._progressed()

    def _begin(self, task: ConcurrentTask, work: Work) -> None:
        """Work the lane of *work*, which has a place."""
        lane = asyncio.create_task(self._work_lane(task, work))
        running = self._running[task]
        running[lane] = None
        lane.add_done_callback(partial(self._end, running))

    def _end(self, running: dict[asyncio.Task[None], None], lane: asyncio.Task[None]) -> None:
        running.pop(lane, None)
        # Here and not in the lane: one that is cancelled before it ran at all has a place as well.
        following = self._places.leave()
        if following is not None:
            self._begin(*following)

    async def _work_lane(self, task: ConcurrentTask, head: Work) -> None:
        """
        Work off a key's records, one after the other, until none waits, another lane's turn has come, or the task is no
        longer run here.
        """
        work: Work | None = head
        try:
            while work is not None:
                done = await self._work(work)
                if task not in self._running:
                    return
                if not done:
                    task.abandon()
                    self._count(-1)
                    return
                self._change(task, partial(task.finish, work))
                work = self._following(task, work.record.key)
        except asyncio.CancelledError as error:
            # Ours only where the task was closed; from anywhere else it would leave the key blocked for ever.
            if task not in self._running:
                raise
            self._break(task, error)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  a bug of the runtime costs its task alone
            self._break(task, error)

    def _following(self, task: ConcurrentTask, key: bytes | None) -> Work | None:
        """What goes on in the lane of *key*; none where it is through, or others wait for the place."""
        work = task.lanes.advance(key or b"")
        return work if work is not None and self._places.stay(tenant_of(key), (task, work)) else None

    async def _work(self, work: Work) -> bool:
        record = work.record
        now = asyncio.get_running_loop().time
        started = now()
        self._metrics.queue.observe(max(0.0, self._clock() - record.timestamp_ms / 1000))
        done = await self._attempts.run(record)
        self._metrics.process_duration(record.topic).observe(now() - started)
        return done

    def _count(self, change: int) -> None:
        self.in_flight += change
        self._metrics.in_flight.set(self.in_flight)
        if change < 0:
            self._freed.set()

    def _break(self, task: ConcurrentTask, error: BaseException) -> None:
        """Work of *task* failed in a way that nobody foresaw: the task is to be closed and opened anew."""
        if ends_the_stage(error):
            self.fatal = self.fatal or error
            self._freed.set()
            return
        self._unexpected.tell(error, "task")
        _log.error("the task starts over", stage=self._stage, task=task.partition)
        if task in self.broken or task not in self._running:
            return
        self._metrics.rebalance("lost").inc()
        self.broken.add(task)
        now, window_seconds = asyncio.get_running_loop().time(), self._settings.restarts_window_seconds
        self.breaks = [at for at in self.breaks if now - at < window_seconds] + [now]
        if len(self.breaks) > self._settings.restarts_max:
            self.fatal = Fatal(
                f"{self._stage} met {len(self.breaks)} unexpected errors within {window_seconds:g} s, the last one "
                f"{type(error).__name__}; see the log"
            )
