"""
The concurrent stage: slow work without state, thousands of keys at once, outputs at least once.

Records go through four places. `Group.fetch` reads them; a `ConcurrentTask` queues them, one under way per key;
`Attempts` runs the handler until the outputs are acknowledged; the `Committer` commits what is done. Ownership of
tasks changes only in `revoked` and `assigned`: in doubt, outputs are held and progress is committed; then kept tasks
go on with their work under way, lost ones are cancelled, new ones resume from the committed progress. A crash repeats
what was under way.

Backpressure: at most `in_flight_max` records are read and not done, and at most `span_max` offsets lie between the
oldest and the newest of a position; beyond that nothing is fetched (the group is still polled, so that it knows us
alive).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import structlog

from shared.errors import Fatal, Retryable
from shared.stage.attempts import Attempts
from shared.stage.base import Handler, Record
from shared.stage.committer import Committer
from shared.stage.concurrent_task import ConcurrentTask, Work
from shared.stage.errors import OwnershipLost
from shared.stage.metrics import StageMetrics
from shared.stage.outbox import Outbox
from shared.stage.ports import Broker, Committed, Group, Position
from shared.stage.retry import Backoff
from shared.stage.settings import StageSettings
from shared.telemetry.health import Health

SETTLE_SECONDS = 5.0
"""How long a revocation waits for outputs under way, and for one commit; the group waits for us meanwhile."""
CANCEL_SECONDS = 5.0
"""How long cancelled work may take to end before it is left to itself."""
BEAT = "fetch"
REJOIN_SECONDS = 10.0
"""How long a membership that refuses commits may take to rebalance before it is given up for another."""
REFILL_SHARE = 64
"""A saturated stage reads again when one part in so many of `in_flight_max` is free: records are cheaper in batches."""

_log = structlog.get_logger(__name__)


class ConcurrentStage:
    """
    Runs *handler* over *inputs*, and lets it observe *watches* as well; all of them have the same number of partitions.

    *name* is the consumer group's. *clock* tells unix seconds. The stage sets `health.ready` while it is in its group.
    """

    def __init__(
        self,
        name: str,
        broker: Broker,
        handler: Handler,
        *,
        inputs: Sequence[str],
        watches: Sequence[str] = (),
        settings: StageSettings,
        metrics: StageMetrics,
        health: Health | None = None,
        clock: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        self._name = name
        self._broker = broker
        self._handler = handler
        self._topics = tuple(dict.fromkeys((*inputs, *watches)))
        self._watched = frozenset(watches) - frozenset(inputs)
        self._settings = settings
        self._metrics = metrics
        self._health = health or Health()
        self._clock = clock
        random = random or Random()
        self._backoff = Backoff(settings.retry_wait_seconds, settings.retry_wait_max_seconds, random)
        self._producer = broker.producer()
        self._outbox = Outbox(self._producer, self._backoff)
        self._attempts = Attempts(
            name, handler, self._outbox, settings=settings, metrics=metrics, clock=clock, random=random
        )
        self._tasks: dict[int, ConcurrentTask] = {}
        self._running: dict[ConcurrentTask, set[asyncio.Task[None]]] = {}
        self._committer = Committer(self._tasks.values, self._outbox, metrics, clock, settings.commit_interval_seconds)
        self._group: Group = broker.group(name, self._topics)
        self._ownership = asyncio.Lock()
        self._held: set[Position] = set()
        self._in_flight = 0
        self._freed = asyncio.Event()
        self._broken: set[ConcurrentTask] = set()
        self._breaks: list[float] = []
        self._certain = False
        self._fatal: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """
        Work until *stop* is set, then drain: finish or give back what is under way, commit, leave.

        Raises:
            Fatal: the process cannot do its work.

        """
        if not await self._persist("reach the broker", self._producer.start, stop):
            return
        try:
            while not stop.is_set():
                await self._run_group(stop)
        finally:
            self._health.ready = False
            await self._producer.stop()

    async def revoked(self, tasks: frozenset[int]) -> None:
        """Hold outputs, and commit what is done."""
        self._metrics.rebalance("revoked").inc()
        self._doubt()
        if not await self._outbox.settle(SETTLE_SECONDS):
            _log.warning("outputs are still under way at a rebalance and may be repeated", stage=self._name)
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._committer.commit(self._group)
        except TimeoutError:
            _log.warning("progress could not be committed at a rebalance", stage=self._name, tasks=len(tasks))
        self._committer.reassigned()

    async def assigned(self, tasks: frozenset[int]) -> None:
        """Cancel what was lost, keep what was kept, open what is new."""
        async with self._ownership:
            await self._close([task for partition, task in self._tasks.items() if partition not in tasks])
            committed = await self._committed_at_last(tasks)
            await self._close(
                [task for task in self._tasks.values() if task in self._broken or task.overtaken(committed)]
            )
            kept = len(self._tasks)
            self._held.clear()
            for task in self._tasks.values():
                self._fetch_from(task)
            self._open(tasks - self._tasks.keys(), committed)
            self._committer.reassigned()
            self._certain = True
            self._outbox.open()
        self._health.ready = True
        self._metrics.rebalance("assigned").inc()
        _log.info("tasks assigned", stage=self._name, tasks=sorted(tasks), kept=kept)

    async def _run_group(self, stop: asyncio.Event) -> None:
        """One membership in the group, until *stop* or until it is broken."""
        if not await self._persist("join the group", lambda: self._group.start(self), stop):
            return
        committing = asyncio.create_task(self._committer.run(self._group))
        committing.add_done_callback(self._note_commit_failure)
        try:
            await self._consume(stop)
            await self._drain()
        except OwnershipLost as error:
            _log.warning("the group membership is broken; joining anew", stage=self._name, error=str(error))
        finally:
            self._health.forget(BEAT)
            self._doubt()
            committing.cancel()
            await asyncio.wait([committing])
            await self._close(list(self._tasks.values()))
            await self._group.stop()
            self._group = self._broker.group(self._name, self._topics)
        if self._fatal is not None:
            raise self._fatal

    async def _consume(self, stop: asyncio.Event) -> None:
        while not stop.is_set() and self._fatal is None:
            for task in list(self._broken):
                # Reopening waits for the broker as long as that is away, which is no standstill of ours.
                self._health.forget(BEAT)
                await self._reopen(task)
            self._health.beat(BEAT)
            if self._committer.void_seconds > REJOIN_SECONDS:
                raise OwnershipLost(f"commits are refused, and no rebalance came within {REJOIN_SECONDS:g} s")
            saturated = not await self._wait_for_room()
            self._hold(saturated=saturated)
            room = self._settings.in_flight_max - self._in_flight
            try:
                records = await self._group.fetch(
                    records_max=max(1, min(room, self._settings.fetch_records_max)),
                    wait_seconds=0 if saturated else self._settings.fetch_wait_seconds,
                )
            except Retryable as error:
                _log.warning("nothing could be read; trying again", stage=self._name, error=str(error))
                await asyncio.sleep(self._backoff.wait_seconds(1, error))
                continue
            self._accept(records)

    def _accept(self, records: Sequence[Record]) -> None:
        counts: Counter[str] = Counter()
        for record in records:
            task = self._tasks.get(record.partition)
            if task is None or task in self._broken:
                continue
            counts[record.topic] += 1
            self._handler.observe(record)
            self._attempts.stir(record.key)
            if record.topic not in self._watched:
                self._metrics.key_queue_depth.observe(task.lanes.depth(record.key or b""))
            self._start(task, partial(task.accept, record))
        for topic, count in counts.items():
            self._metrics.consumed(topic).inc(count)

    def _start(self, task: ConcurrentTask, change: Callable[[], list[Work]]) -> None:
        """Make *change* to *task*, and work the lanes that begin with it."""
        before = task.in_flight
        heads = change()
        self._count(task.in_flight - before)
        for work in heads:
            lane = asyncio.create_task(self._work_lane(task, work))
            running = self._running[task]
            running.add(lane)
            lane.add_done_callback(running.discard)
        if task.dirty:
            self._committer.mark()

    async def _work_lane(self, task: ConcurrentTask, head: Work) -> None:
        """Work off a key's records, one after the other, until none waits or the task is no longer run here."""
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
                self._start(task, partial(task.finish, work))
                work = task.lanes.advance(work.record.key or b"")
        except asyncio.CancelledError as error:
            # Ours only where the task was closed; from anywhere else it would leave the key blocked for ever.
            if task not in self._running:
                raise
            self._break(task, error)
        except Exception as error:  # noqa: BLE001  a bug in a handler costs its task, not the process
            self._break(task, error)

    async def _work(self, work: Work) -> bool:
        record = work.record
        now = asyncio.get_running_loop().time
        started = now()
        self._metrics.queue.observe(max(0.0, self._clock() - record.timestamp_ms / 1000))
        done = await self._attempts.run(record)
        self._metrics.process_duration(record.topic).observe(now() - started)
        return done

    async def _wait_for_room(self) -> bool:
        """Wait until a batch has room; false where there is none for as long as a fetch may wait."""
        batch = max(1, self._settings.in_flight_max // REFILL_SHARE)
        try:
            async with asyncio.timeout(self._settings.fetch_wait_seconds):
                while self._settings.in_flight_max - self._in_flight < batch:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            return False
        return True

    def _count(self, change: int) -> None:
        self._in_flight += change
        self._metrics.in_flight.set(self._in_flight)
        if change < 0:
            self._freed.set()

    def _hold(self, *, saturated: bool) -> None:
        """Pause what must not be fetched now, and resume what may be again."""
        if not self._certain:
            return
        held = {p for task in self._tasks.values() for p in (task.positions() if saturated else task.full())}
        self._group.pause(held - self._held)
        self._group.resume(self._held - held)
        self._held = held

    def _break(self, task: ConcurrentTask, error: BaseException) -> None:
        """Work of *task* failed in a way that nobody foresaw: the task is to be closed and opened anew."""
        if isinstance(error, Fatal):
            self._fatal = self._fatal or error
            return
        _log.error("unexpected error: the task starts over", stage=self._name, task=task.partition, exc_info=error)
        if task in self._broken or task not in self._running:
            return
        self._metrics.rebalance("lost").inc()
        self._broken.add(task)
        now = asyncio.get_running_loop().time()
        self._breaks = [at for at in self._breaks if now - at < self._settings.restarts_window_seconds] + [now]
        if len(self._breaks) > self._settings.restarts_max:
            self._fatal = Fatal(
                f"{self._name} met {len(self._breaks)} unexpected errors within "
                f"{self._settings.restarts_window_seconds:g} s, the last one {type(error).__name__}; see the log"
            )

    async def _reopen(self, task: ConcurrentTask) -> None:
        await asyncio.sleep(self._backoff.wait_seconds(len(self._breaks)))
        async with self._ownership:
            if task not in self._broken or not self._certain:
                # A rebalance came between: it closes what is broken.
                return
            await self._cancel([task])
            await self._committer.commit(self._group)
            try:
                committed = await self._committed({task.partition})
            except Retryable as error:
                _log.warning("a task cannot be opened yet", stage=self._name, task=task.partition, error=str(error))
                return
            await self._close([task])
            self._open({task.partition}, committed)

    async def _committed_at_last(self, tasks: Iterable[int]) -> dict[Position, Committed]:
        """As `_committed`, as often as it takes: an assignment without it is none, and a new one cancels this."""
        attempt = 0
        while True:
            try:
                return await self._committed(tasks)
            except Retryable as error:
                attempt += 1
                await asyncio.sleep(self._backoff.wait_seconds(attempt, error))

    async def _committed(self, tasks: Iterable[int]) -> dict[Position, Committed]:
        """From where each position of *tasks* goes on: what was committed, else its beginning."""
        positions = [Position(topic, task) for topic in self._topics for task in tasks]
        committed = await self._group.committed(positions)
        missing = [position for position in positions if position not in committed]
        beginning = await self._group.beginning(missing) if missing else {}
        return committed | {position: Committed(offset) for position, offset in beginning.items()}

    def _open(self, tasks: Iterable[int], committed: Mapping[Position, Committed]) -> None:
        """Open *tasks*, and fetch them from where they stand."""
        for partition in tasks:
            task = ConcurrentTask(
                partition,
                {position: start for position, start in committed.items() if position.partition == partition},
                watched=self._watched,
                span_max=self._settings.span_max,
            )
            self._tasks[partition] = task
            self._running[task] = set()
            self._fetch_from(task)

    def _fetch_from(self, task: ConcurrentTask) -> None:
        """Fetch *task* from where it stands."""
        offsets = task.rewind()
        for position, offset in offsets.items():
            self._group.seek(position, offset)
        self._group.resume(offsets)
        self._held -= offsets.keys()

    async def _close(self, tasks: Sequence[ConcurrentTask]) -> None:
        """Cancel the work of *tasks* and forget them."""
        await self._cancel(tasks)
        for task in tasks:
            del self._tasks[task.partition]
            self._broken.discard(task)

    async def _cancel(self, tasks: Sequence[ConcurrentTask]) -> None:
        lanes = {lane for task in tasks for lane in self._running.pop(task, ())}
        for lane in lanes:
            lane.cancel()
        if lanes:
            _, stubborn = await asyncio.wait(lanes, timeout=CANCEL_SECONDS)
            if stubborn:
                _log.warning("cancelled work does not end", stage=self._name, records=len(stubborn))
        for task in tasks:
            self._count(-task.in_flight)
            task.in_flight = 0

    async def _drain(self) -> None:
        """Finish what is under way within the budget, give the rest back, commit."""
        self._attempts.stop()
        for task in self._tasks.values():
            before = task.in_flight
            task.give_back()
            self._count(task.in_flight - before)
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                while self._in_flight and self._fatal is None:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            _log.warning("work is given back at shutdown", stage=self._name, records=self._in_flight)
        self._outbox.close()
        await self._outbox.settle(SETTLE_SECONDS)
        await self._cancel(list(self._tasks.values()))
        if self._fatal is not None:
            return
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while not await self._committer.commit(self._group):  # noqa: ASYNC110  nobody tells when it would pass
                    await asyncio.sleep(self._settings.retry_wait_seconds)
        except TimeoutError:
            _log.warning("the last progress could not be committed and will be repeated", stage=self._name)

    def _doubt(self) -> None:
        self._certain = False
        self._outbox.close()

    def _note_commit_failure(self, committing: asyncio.Task[None]) -> None:
        if not committing.cancelled() and (error := committing.exception()) is not None:
            self._fatal = self._fatal or error

    async def _persist(self, aim: str, action: Callable[[], Coroutine[Any, Any, None]], stop: asyncio.Event) -> bool:
        """Do *action* as soon as the broker lets us; false where *stop* comes first."""
        attempt = 0
        while not stop.is_set():
            try:
                return await _unless(stop, action())
            except Retryable as error:
                attempt += 1
                if attempt == 1:
                    _log.warning("not possible yet; trying until it is", aim=aim, stage=self._name, error=str(error))
                await _unless(stop, asyncio.sleep(self._backoff.wait_seconds(attempt, error)))
        return False


async def _unless(stop: asyncio.Event, action: Coroutine[Any, Any, None]) -> bool:
    """Run *action* to its end; false where *stop* is set first, and it is cancelled."""
    acting, stopping = asyncio.ensure_future(action), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([acting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not acting.done():
            return False
        acting.result()
        return True
    finally:
        for task in (acting, stopping):
            task.cancel()
        await asyncio.wait([acting, stopping])
