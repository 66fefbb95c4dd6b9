"""
The ledger stage: a pure function of state and input, run so that each input takes effect exactly once.

Per task (a partition number across the inputs) the outputs, the changes of state (records of the changelog) and the
input offsets of a group of inputs commit in one transaction (KIP-98). `Fold` does the bookkeeping, `LedgerTask`
applies and commits; this module is the membership: who owns which task, and how one is opened, closed and opened
again.

Opening is an order that must not be changed. The task's partitions are paused; its producer is started, which fences
the former owner and ends its transaction; only then are the committed offsets and the changelog read, so nothing can
be committed behind our back; then the partitions are sought and resumed. aiokafka has no KIP-447 (offsets fenced by
the group's generation), hence one transactional id per task: `{name}.{task}`.

A rebalance stops nothing: what protects the outputs is the producer's epoch, not the group's generation. Tasks that
stay go on, new ones are opened beside them, lost ones are dropped with what they have not committed. The same holds
after any doubt about a transaction: the task is closed, its memory thrown away, and what is committed is read anew.

A key at which the ledger fails unexpectedly goes into quarantine (quarantine.py), and costs nobody else anything. A
state that cannot be written closes its task, which is opened again: once on trial, for the fault may have been the
memory's, then with the key set apart.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Generic, TypeVar

import structlog

from shared.errors import Fatal, HoldfastError, Retryable
from shared.events.topics import tenant_named_by
from shared.stage.base import Ledger, Record
from shared.stage.commit_group import CommitGroup
from shared.stage.errors import OwnershipLost, UnreadableStateError
from shared.stage.fold import Fold
from shared.stage.gaps import Gaps
from shared.stage.hops import hop_of
from shared.stage.input_pause import Pauses
from shared.stage.ledger_letters import LedgerLetters
from shared.stage.ledger_log import tell_quarantine
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.ledger_task import LedgerTask
from shared.stage.patience import persist, wait_for_stop
from shared.stage.ports import Broker, Gap, Position, TransactionalProducer
from shared.stage.reading import Reading
from shared.stage.restore import positions_to_read, restore
from shared.stage.retry import Backoff
from shared.stage.settings import StageSettings
from shared.stage.state import KeyedState, MemoryStateStore, StateStore
from shared.stage.steady_clock import unix_time
from shared.stage.tenure import Restarts, Tenure
from shared.telemetry.health import Health
from shared.telemetry.spans import Spans

S = TypeVar("S")

BEAT = "fetch"
"""The part of the process's health that beats with each fetch."""

_log = structlog.get_logger(__name__)


class LedgerStage(Generic[S]):
    """
    Runs *ledger* over the records of *inputs*, as member of the group *name*.

    *changelog* is a compacted topic with as many partitions as the inputs. *store* makes the empty state store of a
    task. *releases* is the input, if any, on which operators end quarantines; inputs of *first_hand* are believed on
    themselves alone, not there (fold.py). *clock* tells unix seconds; timers go by it. *random* draws the jitter of
    waits. The stage sets `health.ready` while it is in its group, and beats as `fetch`. *spans* are told of each input
    that something was written of, once that is committed.
    """

    def __init__(
        self,
        name: str,
        broker: Broker,
        ledger: Ledger[S],
        *,
        inputs: Sequence[str],
        changelog: str,
        settings: StageSettings,
        metrics: LedgerMetrics,
        releases: str | None = None,
        first_hand: frozenset[str] = frozenset(),
        health: Health | None = None,
        store: Callable[[int], StateStore] = lambda _task: MemoryStateStore(),
        clock: Callable[[], float] = unix_time,
        random: Random | None = None,
        spans: Spans | None = None,
    ) -> None:
        self._name = name
        self._broker = broker
        self._ledger = ledger
        self._inputs = tuple(inputs)
        self._changelog = changelog
        self._releases = releases
        self._first_hand = first_hand
        self._settings = settings
        self._metrics = metrics
        self._health = health or Health()
        self._store = store
        self._clock = clock
        self._spans = spans
        self._group = broker.group(name, self._inputs)
        self._gaps = Gaps(name, metrics)
        self._openings = asyncio.Semaphore(settings.ledger_openings_max)
        self._tenures: dict[int, asyncio.Task[None]] = {}
        self._leaving: dict[int, asyncio.Task[None]] = {}
        self._open: dict[int, LedgerTask[S]] = {}
        self._in_doubt = True
        self._stopping = False
        self._failure: Fatal | None = None
        self._random = random or Random()
        self._backoff = Backoff(settings.retry_wait_seconds, settings.retry_wait_max_seconds, self._random)
        self._restarts = Restarts(name, settings)
        self._reading = Reading(name, settings)
        self._letters = LedgerLetters(name, self._clock, self._reading.rejected)

    @property
    def owned(self) -> int:
        """How many tasks this process has; they may still be opening."""
        return len(self._tenures)

    async def run(self, stop: asyncio.Event) -> None:
        """
        Work until *stop* is set; then commit what is applied, within the drain budget, and leave the group.

        Raises:
            Fatal: too many unexpected errors met. Nothing more is committed.

        """
        try:
            if not await self._join(stop):
                return
            await self._read_until(stop)
            if self._failure is None:
                await self._drain()
        finally:
            self._health.ready = False
            self._health.forget(BEAT)
            self._stopping = True
            await _end([*self._tenures.values(), *self._leaving.values()])
            await self._group.stop()
        if self._failure is not None:
            raise self._failure

    async def revoked(self, tasks: frozenset[int]) -> None:
        """The group rebalances. Everything goes on, but nobody seeks, pauses or resumes until the outcome is known."""
        self._in_doubt = True
        self._metrics.rebalance("revoked").inc()
        _log.info("rebalance begins", tasks=sorted(tasks))

    async def assigned(self, tasks: frozenset[int]) -> None:
        """Drop the tasks that are lost, read on in those that are kept, and begin to open the new ones."""
        if self._stopping:
            return
        self._in_doubt = False
        self._health.ready = True
        self._metrics.rebalance("assigned").inc()
        lost, new = self._tenures.keys() - tasks, tasks - self._tenures.keys()
        _log.info("tasks assigned", kept=sorted(tasks - new), lost=sorted(lost), new=sorted(new))
        for number in lost:
            self._drop(number)
        for number in tasks & self._open.keys():
            self._deliver(self._open[number])
        for number in new:
            self._tenures[number] = asyncio.create_task(
                self._own(number, after=self._leaving.get(number)), name=f"{self._name}.{number}"
            )
        self._measure()

    def missed(self, gap: Gap) -> None:
        """Count the gap, and go on behind it."""
        self._gaps.tell(gap)
        if (task := self._open.get(gap.position.partition)) is not None:
            task.pass_over(gap)

    async def _join(self, stop: asyncio.Event) -> bool:
        """Join the group, however long the broker takes to be there; false when *stop* came first."""
        return await persist("join the group", self._start, stop, self._backoff)

    async def _start(self) -> None:
        self._health.beat(BEAT)
        await self._group.start(self)

    async def _join_anew(self, error: OwnershipLost, stop: asyncio.Event) -> None:
        """The membership is broken. The tasks go on: their producers, not the membership, protect what they write."""
        self._in_doubt = True
        _log.warning("the membership is lost; joining anew", stage=self._name, error=str(error))
        self._restarts.count(error, asyncio.get_running_loop().time())
        await self._group.stop()
        self._group = self._broker.group(self._name, self._inputs)
        await self._join(stop)

    async def _read_until(self, stop: asyncio.Event) -> None:
        attempt = 0
        while not stop.is_set() and self._failure is None:
            self._health.beat(BEAT)
            before = dict(self._open)
            try:
                self._choose()
                records = await self._group.fetch(
                    records_max=self._settings.fetch_records_max, wait_seconds=self._settings.fetch_wait_seconds
                )
            except Retryable as error:
                attempt += 1
                _log.warning("cannot fetch; trying again", stage=self._name, error=str(error), attempt=attempt)
                await wait_for_stop(self._backoff.wait_seconds(attempt, error), stop)
            except OwnershipLost as error:
                await self._join_anew(error, stop)
            else:
                attempt = 0
                self._distribute(records, before)
                await asyncio.sleep(0)  # a client with records at hand returns them without letting anyone else run

    def _distribute(self, records: Sequence[Record], before: Mapping[int, LedgerTask[S]]) -> None:
        """
        Offer each task its records.

        Records that a fetch brought for a task that was opened during that fetch may have been read before its seek,
        with a gap after what is committed: they are dropped, and the task is sought again.
        """
        batches: dict[int, list[Record]] = {}
        for record in records:
            batches.setdefault(record.partition, []).append(record)
        for number, batch in batches.items():
            task = self._open.get(number)
            if task is None:
                continue
            if before.get(number) is not task:
                self._deliver(task)
                continue
            for topic, records_read in Counter([record.topic for record in batch]).items():
                self._metrics.consumed(topic).inc(records_read)
            self._metrics.queue.observe(max(0.0, self._clock() - batch[0].timestamp_ms / 1_000))
            task.offer(batch)

    async def _own(self, number: int, *, after: asyncio.Task[None] | None) -> None:
        """Keep task *number* open for as long as it is ours: whatever closes it but its loss opens it again."""
        if after is not None:
            await asyncio.wait([after])
        tenure = Tenure(self._settings, self._restarts, self._random)
        while not self._stopping:
            try:
                await self._serve(number, tenure)
            except Exception as error:  # noqa: BLE001  every error of a task has its outcome here
                self._metrics.rebalance("lost").inc()
                if isinstance(error, UnreadableStateError):
                    self._metrics.unexpected("changelog").inc()
                _log.warning("task closed", stage=self._name, task=number, exc_info=error)
                try:
                    wait_seconds = tenure.wait_after(error, asyncio.get_running_loop().time())
                except Fatal as fatal:
                    self._failure = self._failure or fatal
                    return
                await asyncio.sleep(wait_seconds)

    async def _serve(self, number: int, tenure: Tenure) -> None:
        """Open task *number* and run it until it is drained or fails."""
        now = asyncio.get_running_loop().time
        started = now()
        producer = self._broker.transactional_producer(f"{self._name}.{number}", group=self._name)
        store = self._store(number)
        try:
            async with self._openings:
                await producer.start()
                fold = await self._restored(number, store)
                for key, error in tenure.condemned.items():
                    fold.quarantine(key, "its state", error, self._now_ms())
            task = LedgerTask(
                number,
                fold,
                producer,
                self._settings,
                now_ms=self._now_ms,
                hold=partial(self._hold, number),
                committed=partial(self._committed, tenure),
                retried=self._metrics.retries.inc,
                random=self._random,
            )
            self._open[number] = task
            self._metrics.restore_duration.observe(now() - started)
            _log.info("task open", task=number, keys=len(store), seconds=round(now() - started, 3))
            task.begin()
            self._deliver(task)
            await task.run()
        finally:
            self._open.pop(number, None)
            await self._close(number, producer)
            store.close()

    async def _restored(self, number: int, store: StateStore) -> Fold[S]:
        """What is committed of task *number*; its former owner must be fenced."""
        settings = self._settings
        positions = await positions_to_read(self._group, self._positions_of(number))
        restored = await restore(self._broker.changelog(), self._changelog, number, store)
        state = KeyedState(
            store, self._ledger.decode, self._ledger.encode, cache_bytes_max=settings.ledger_cache_bytes_max
        )
        return Fold(
            self._ledger,
            state,
            restored.timers,
            task=number,
            changelog=self._changelog,
            positions={topic: committed.offset for topic, committed in positions.items()},
            letters=self._letters,
            records_max=settings.ledger_group_records_max,
            bytes_max=settings.ledger_group_bytes_max,
            quarantined=restored.quarantined,
            pauses=Pauses(filter(tenant_named_by, self._inputs), positions, settings),
            releases=self._releases,
            first_hand=self._first_hand,
            set_apart=partial(tell_quarantine, self._name),
            hop=None if self._spans is None else partial(hop_of, stage=self._name),
        )

    def _deliver(self, task: LedgerTask[S]) -> None:
        """Read on from where the fold of *task* stands."""
        if self._in_doubt:
            return
        task.rewind()
        try:
            for topic, offset in task.fold.positions.items():
                self._group.seek(Position(topic, task.number), offset)
            self._group.resume(self._reading.chosen(task))
        except HoldfastError as error:
            task.fail(error)

    def _hold(self, number: int, held: bool) -> None:
        if not self._in_doubt and number in self._open:
            positions = self._positions_of(number)
            self._group.pause(positions) if held else self._group.resume(self._reading.chosen(self._open[number]))

    def _choose(self) -> None:
        """Read only what neither rests nor is paused."""
        if not self._in_doubt:
            for task in self._reading.look(self._group, self._open):
                self._deliver(task)

    def _committed(self, tenure: Tenure, group: CommitGroup, seconds: float) -> None:
        tenure.committed()
        if self._spans is not None:
            for hop in group.hops:
                hop.end(self._spans)
        self._metrics.committed(group, seconds)
        self._measure()

    def _measure(self) -> None:
        folds = [task.fold for task in self._open.values()]
        self._metrics.state_keys.set(sum(len(fold.state.store) for fold in folds))
        self._metrics.state_bytes.set(sum(fold.state.store.size_bytes for fold in folds))
        self._metrics.quarantined.set(sum(len(fold.quarantined) for fold in folds))
        self._metrics.inputs_paused.set(sum(len(fold.pauses.since_ms) for fold in folds))
        self._metrics.timers.set(sum(len(fold.timers) for fold in folds))

    def _drop(self, number: int) -> None:
        job = self._leaving[number] = self._tenures.pop(number)
        self._open.pop(number, None)
        job.add_done_callback(partial(self._left, number))
        job.cancel()

    def _left(self, number: int, job: asyncio.Task[None]) -> None:
        if self._leaving.get(number) is job:
            del self._leaving[number]

    async def _drain(self) -> None:
        self._stopping = True
        for task in self._open.values():
            if not self._in_doubt:
                self._group.pause(self._positions_of(task.number))
            task.drain()
        jobs = [self._tenures[number] for number in self._open]
        if jobs:
            _, late = await asyncio.wait(jobs, timeout=self._settings.drain_seconds)
            if late:
                _log.warning("the drain budget ran out; what is not committed will be applied again", tasks=len(late))

    async def _close(self, number: int, producer: TransactionalProducer) -> None:
        try:
            async with asyncio.timeout(self._settings.ledger_close_seconds):
                await producer.stop()
        except Exception as error:  # noqa: BLE001  the next owner fences it; closing is only polite
            _log.warning("the producer did not stop cleanly", task=number, error=str(error))

    def _now_ms(self) -> int:
        return int(self._clock() * 1_000)

    def _positions_of(self, number: int) -> list[Position]:
        return [Position(topic, number) for topic in self._inputs]


async def _end(jobs: Sequence[asyncio.Task[None]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
