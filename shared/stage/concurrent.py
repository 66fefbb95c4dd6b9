"""
The concurrent stage: slow work without state, thousands of keys at once, outputs at least once.

Records go through four places. `Group.fetch` reads them; `Workers` queue them by task and key, one of a key under way;
`Attempts` runs the handler until the outputs are acknowledged; the `Committer` commits what is done. Ownership of
tasks changes only in `revoked` and `assigned`: in doubt, outputs are held and progress is committed; then kept tasks
go on with their work under way, lost ones are cancelled, new ones resume from the committed progress. A crash repeats
what was under way.

Backpressure: at most `in_flight_max` records are worked on, at most `read_ahead_max` more are read and not done, and at
most `span_max` offsets lie between the oldest and the newest of a position; beyond that nothing is fetched (the group
is still polled, so that it knows us alive). Nor is a position fetched that rests after too many dead letters
(letter_pace.py).

Tenants whose records wait for a place take turns (places.py). That keeps a burst of one tenant from the others as long
as it fits what is read ahead. A tenant that asks for more than the stage can do for long fills that, and the span of
its partitions, in the end: then the others' records lie unread behind it, and only a budget of turns helps, which the
conversations service holds its tenants to (HOLDFAST_CONVERSATIONS_TENANT_TURNS_PER_MINUTE).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random

import structlog

from shared.errors import Retryable
from shared.stage.attempts import Attempts
from shared.stage.base import Handler, Record
from shared.stage.committer import Committer
from shared.stage.concurrent_task import ConcurrentTask
from shared.stage.errors import OwnershipLost
from shared.stage.gaps import Gaps
from shared.stage.letter_pace import LetterPace
from shared.stage.metrics import StageMetrics
from shared.stage.outbox import Outbox
from shared.stage.patience import persist
from shared.stage.ports import Broker, Committed, Gap, Group, Position
from shared.stage.retry import Backoff
from shared.stage.settings import StageSettings
from shared.stage.workers import Workers
from shared.telemetry.health import Health

SETTLE_SECONDS = 5.0
"""How long a revocation waits for outputs under way, and for one commit; the group waits for us meanwhile."""
BEAT = "fetch"
REJOIN_SECONDS = 10.0
"""How long a membership that refuses commits may take to rebalance before it is given up for another."""

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
        self._settings = settings
        self._metrics = metrics
        self._health = health or Health()
        random = random or Random()
        self._backoff = Backoff(settings.retry_wait_seconds, settings.retry_wait_max_seconds, random)
        self._producer = broker.producer()
        self._outbox = Outbox(self._producer, self._backoff)
        self._pace = LetterPace(settings.dead_letters_per_second)
        self._attempts = Attempts(
            name,
            handler,
            self._outbox,
            settings=settings,
            pace=self._pace,
            metrics=metrics,
            clock=clock,
            random=random,
        )
        self._tasks: dict[int, ConcurrentTask] = {}
        self._committer = Committer(name, self._tasks.values, self._outbox, metrics, clock, settings)
        self._workers = Workers(
            name,
            self._tasks,
            self._attempts,
            self._committer.mark,
            watched=frozenset(watches) - frozenset(inputs),
            settings=settings,
            metrics=metrics,
            clock=clock,
        )
        self._gaps = Gaps(name, metrics)
        self._group: Group = broker.group(name, self._topics)
        self._ownership = asyncio.Lock()
        self._held: set[Position] = set()
        self._certain = False
        self._assignments = 0

    async def run(self, stop: asyncio.Event) -> None:
        """
        Work until *stop* is set, then drain: finish or give back what is under way, commit, leave.

        Raises:
            Fatal: the process cannot do its work.

        """
        if not await persist("reach the broker", self._producer.start, stop, self._backoff):
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
            await self._workers.close([task for partition, task in self._tasks.items() if partition not in tasks])
            committed = await self._committed_at_last(tasks)
            await self._workers.close(
                [task for task in self._tasks.values() if task in self._workers.broken or task.overtaken(committed)]
            )
            kept = len(self._tasks)
            self._held.clear()
            for partition in tasks - self._tasks.keys():
                self._workers.open(partition, committed)
            self._fetch_all()
            self._committer.reassigned()
            self._assignments += 1
            self._certain = True
            self._outbox.open()
        self._health.ready = True
        self._metrics.rebalance("assigned").inc()
        _log.info("tasks assigned", stage=self._name, tasks=sorted(tasks), kept=kept)

    def missed(self, gap: Gap) -> None:
        """Count the gap, and go on behind it."""
        self._gaps.tell(gap)
        if (task := self._tasks.get(gap.position.partition)) is not None and task not in self._workers.broken:
            task.pass_over(gap)
            self._committer.mark()

    async def _run_group(self, stop: asyncio.Event) -> None:
        """One membership in the group, until *stop* or until it is broken."""
        if not await persist("join the group", lambda: self._group.start(self), stop, self._backoff):
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
            await self._workers.cancel(self._tasks.values())
            await self._group.stop()
            # After the group's end: an assignment under way might have opened more.
            await self._workers.close(list(self._tasks.values()))
            self._group = self._broker.group(self._name, self._topics)
            # What was refused was said to the old membership; held against the new one, it would end it at once.
            self._committer.reassigned()
        if self._workers.fatal is not None:
            raise self._workers.fatal

    async def _consume(self, stop: asyncio.Event) -> None:
        while not stop.is_set() and self._workers.fatal is None:
            for task in sorted(self._workers.broken, key=lambda broken: broken.partition):
                # Reopening waits for the broker as long as that is away, which is no standstill of ours.
                self._health.forget(BEAT)
                await self._reopen(task)
            self._health.beat(BEAT)
            if self._committer.void_seconds > REJOIN_SECONDS:
                raise OwnershipLost(f"commits are refused, and no rebalance came within {REJOIN_SECONDS:g} s")
            saturated = not await self._workers.wait_for_room(self._settings.fetch_wait_seconds)
            self._hold(saturated=saturated)
            assignments = self._assignments
            try:
                records = await self._group.fetch(
                    records_max=max(1, min(self._workers.room, self._settings.fetch_records_max)),
                    wait_seconds=0 if saturated else self._settings.fetch_wait_seconds,
                )
            except Retryable as error:
                _log.warning("nothing could be read; trying again", stage=self._name, error=str(error))
                await asyncio.sleep(self._backoff.wait_seconds(1, error))
                continue
            self._take_note(records)
            if assignments != self._assignments:
                # Some of it may be from before the tasks were set back; taken in twice, it would look like a log that
                # begins anew, and what is under way would be forgotten. It is fetched again from where they stand; if
                # the next rebalance has begun, that sets them back.
                if self._certain:
                    self._fetch_all()
                continue
            self._accept(records)

    def _take_note(self, records: Sequence[Record]) -> None:
        """What was read is known, also where it has to be fetched again: no call for what it makes superfluous."""
        for record in records:
            self._attempts.observe(record)

    def _accept(self, records: Sequence[Record]) -> None:
        counts: Counter[str] = Counter()
        for record in records:
            task = self._tasks.get(record.partition)
            if task is None or task in self._workers.broken:
                continue
            counts[record.topic] += 1
            self._workers.accept(task, record)
        for topic, count in counts.items():
            self._metrics.consumed(topic).inc(count)

    def _hold(self, *, saturated: bool) -> None:
        """Pause what must not be fetched now, and resume what may be again."""
        if not self._certain:
            return
        held = {p for task in self._tasks.values() for p in (task.positions() if saturated else task.full())}
        held |= self._pace.resting(asyncio.get_running_loop().time())
        self._group.pause(held - self._held)
        self._group.resume(self._held - held)
        self._held = held

    async def _reopen(self, task: ConcurrentTask) -> None:
        await asyncio.sleep(self._backoff.wait_seconds(len(self._workers.breaks)))
        async with self._ownership:
            if task not in self._workers.broken or not self._certain:
                # A rebalance came between: it closes what is broken.
                return
            await self._workers.cancel([task])
            await self._committer.commit(self._group)
            try:
                committed = await self._committed({task.partition})
            except Retryable as error:
                _log.warning("a task cannot be opened yet", stage=self._name, task=task.partition, error=str(error))
                return
            await self._workers.close([task])
            self._fetch_from(self._workers.open(task.partition, committed))

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

    def _fetch_all(self) -> None:
        for task in self._tasks.values():
            self._fetch_from(task)

    def _fetch_from(self, task: ConcurrentTask) -> None:
        """Fetch *task* from where it stands."""
        offsets = task.rewind()
        for position, offset in offsets.items():
            self._group.seek(position, offset)
        self._group.resume(offsets)
        self._held -= offsets.keys()

    async def _drain(self) -> None:
        """Finish what is under way within the budget, give the rest back, commit."""
        self._attempts.stop()
        self._workers.give_back()
        if not await self._workers.wait_until_idle(self._settings.drain_seconds):
            _log.warning("work is given back at shutdown", stage=self._name, records=self._workers.in_flight)
        self._outbox.close()
        await self._outbox.settle(SETTLE_SECONDS)
        await self._workers.cancel(self._tasks.values())
        if self._workers.fatal is not None:
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
            self._workers.fatal = self._workers.fatal or error
