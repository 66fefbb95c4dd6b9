"""
One task of a ledger stage, open: inputs are applied as they come, and a committer makes them durable group by group.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Generic, TypeVar

from shared.errors import Retryable
from shared.stage.base import Record
from shared.stage.commit_group import CommitGroup
from shared.stage.fold import Fold
from shared.stage.ledger_log import tell
from shared.stage.ports import Gap, TransactionalProducer
from shared.stage.retry import Backoff
from shared.stage.settings import StageSettings

S = TypeVar("S")

SLICE_SECONDS = 0.005
"""
How long inputs are applied before the loop is given back: fetches, commits and heartbeats wait no longer than this.
"""

_TIMER_CHECK_SECONDS = 1.0
"""The longest sleep until a due time: the clock may be stepped meanwhile."""

_TIMER_CHECK_SECONDS_MIN = 0.001
"""The shortest: the event loop's clock and the unix clock disagree by less."""


class LedgerTask(Generic[S]):
    """
    The running half of a `Fold`.

    Inputs are applied at once, on the event loop, in slices: a due timer and a record by turns, so that neither
    starves the other. Outputs wait in memory. `run` seals what is there and commits it, one transaction at a time;
    what is applied meanwhile is the next group. A transaction is opened only to be committed, so readers are held
    back for milliseconds.

    *hold* is called with `True` when records wait because the group is full, and with `False` when none wait any more;
    `held` says which it was.
    *committed* is told of each group that is durable, with the seconds its transaction took.
    """

    def __init__(
        self,
        number: int,
        fold: Fold[S],
        producer: TransactionalProducer,
        settings: StageSettings,
        *,
        now_ms: Callable[[], int],
        hold: Callable[[bool], None],
        committed: Callable[[CommitGroup, float], None],
        retried: Callable[[], None],
        random: Random,
    ) -> None:
        self.number = number
        self.fold = fold
        self._producer = producer
        self._settings = settings
        self._now_ms = now_ms
        self._hold = hold
        self._committed = committed
        self._retried = retried
        self._backoff = Backoff(settings.retry_wait_seconds, settings.retry_wait_max_seconds, random)
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Record] = deque()
        self.held = False
        self._draining = False
        self._failure: Exception | None = None
        self._commit_wanted = asyncio.Event()
        self._scheduled: asyncio.Handle | None = None
        self._lazy: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_due_ms: int | None = None

    def begin(self) -> None:
        """Wake what fell due while nobody owned the task, and set the alarm for the rest."""
        self._schedule()

    def offer(self, records: Sequence[Record]) -> None:
        """
        Apply *records*, or keep them until there is room. They follow each other in offset order within each
        topic.
        """
        if self._draining or self._failure is not None:
            return
        self._inbox.extend(records)
        if self._scheduled is None:
            self._advance()

    def pass_over(self, gap: Gap) -> None:
        """
        Go on behind *gap*, or from where the log begins anew. What waits from before is applied first in the one case,
        and dropped in the other, as its offsets are of a log that is no more.
        """
        topic = gap.position.topic
        waiting = [record for record in self._inbox if record.topic != topic]
        if gap.begins_anew:
            self._inbox = deque(waiting)
        elif len(waiting) < len(self._inbox):
            return  # the record behind the gap moves the position
        self.fold.go_on_from(topic, gap.first)
        self._schedule()

    def rewind(self) -> None:
        """Forget the records that wait: they are read again from the fold's positions, which the caller seeks."""
        self._inbox.clear()
        self.fold.pauses.sought()
        self.held = False

    def fail(self, error: Exception) -> None:
        """Let `run` raise *error*, if nothing else failed before."""
        self._failure = self._failure or error
        self._commit_wanted.set()

    def drain(self) -> None:
        """Take no more; `run` returns when what is applied is committed."""
        self._draining = True
        self._inbox.clear()
        self._commit_wanted.set()

    async def run(self) -> None:
        """
        Commit group after group, until `drain`.

        Raises:
            OwnershipLost: another process has taken the task over.
            Exception: whatever the ledger or the producer raised. In any case the task must be thrown away.

        """
        try:
            while True:
                await self._commit_wanted.wait()
                self._commit_wanted.clear()
                if self._failure is not None:
                    raise self._failure
                await self._commit()
                if self._draining and not self.fold.pending:
                    return
        finally:
            for handle in (self._scheduled, self._lazy, self._alarm):
                if handle is not None:
                    handle.cancel()
            self._draining = True

    async def _commit(self) -> None:
        if self._lazy is not None:
            self._lazy.cancel()
            self._lazy = None
        group = self.fold.seal()
        if group is None:
            return
        self._schedule()
        started = self._loop.time()
        await self._transact(group)
        self.fold.settle()
        self._committed(group, self._loop.time() - started)
        # A begin right after a commit meets CONCURRENT_TRANSACTIONS until the markers are written, for which aiokafka
        # sleeps 20 ms: 26 ms a transaction without the pause, 5 ms with it (measured on Apache Kafka 4.1).
        await asyncio.sleep(self._settings.ledger_pause_seconds)

    async def _transact(self, group: CommitGroup) -> None:
        attempt = 1
        while True:
            try:
                await self._producer.transact(group.outputs, self.number, group.progress)
            except Retryable as error:
                # Known to have had no effect, so the group still follows from what is committed.
                if attempt >= self._settings.retry_attempts_max:
                    raise
                self._retried()
                await asyncio.sleep(self._backoff.wait_seconds(attempt, error))
                attempt += 1
            else:
                return

    def _advance(self) -> None:
        self._scheduled = None
        if self._draining or self._failure is not None:
            return
        try:
            self._apply_slice()
            self._want_commit()
            self._hold_or_release()
            self._continue_or_sleep()
        except Exception as error:  # noqa: BLE001  this is a callback: the failure is `run`'s to raise
            self.fail(error)

    def _apply_slice(self) -> None:
        fold, inbox, clock, monotonic = self.fold, self._inbox, self._now_ms, self._loop.time
        until = monotonic() + SLICE_SECONDS
        while not fold.full:
            now_ms = clock()
            worked = fold.wake(now_ms)
            if inbox and not fold.full:
                record, begun = inbox.popleft(), monotonic()
                tell(record, fold.apply(record, now_ms), monotonic() - begun)
                worked = True
            if not worked or monotonic() >= until:
                return

    def _want_commit(self) -> None:
        if self.fold.urgent or self.fold.full:
            self._commit_wanted.set()
        elif self.fold.pending and self._lazy is None:
            self._lazy = self._loop.call_later(self._settings.ledger_idle_commit_seconds, self._commit_wanted.set)

    def _hold_or_release(self) -> None:
        if self.held != bool(self._inbox):
            self.held = not self.held
            self._hold(self.held)

    def _continue_or_sleep(self) -> None:
        if self.fold.full:
            return
        due_ms = self.fold.timers.next_due()
        if self._inbox or (due_ms is not None and due_ms <= self._now_ms()):
            self._schedule()
        elif due_ms != self._alarm_due_ms or self._alarm is None:
            self._set_alarm(due_ms)

    def _schedule(self) -> None:
        if self._scheduled is None:
            self._scheduled = self._loop.call_soon(self._advance)

    def _set_alarm(self, due_ms: int | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_due_ms = due_ms
        if due_ms is not None:
            seconds = (due_ms - self._now_ms()) / 1_000
            bounded = min(max(seconds, _TIMER_CHECK_SECONDS_MIN), _TIMER_CHECK_SECONDS)
            self._alarm = self._loop.call_later(bounded, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._scheduled is None:
            self._advance()
