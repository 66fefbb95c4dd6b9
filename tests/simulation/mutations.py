"""
Bugs that are planted to see whether the simulation finds them: each replaces one function of the runtime, or of the
conversations' rules, by one that is almost right.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.conversations.domain import messages
from shared.errors import HoldfastError, Retryable
from shared.stage import ledger, progress, supersede
from shared.stage.attempts import Attempts
from shared.stage.base import Output, Record
from shared.stage.dead_letters import dead_letter
from shared.stage.fold import CommitGroup, Fold
from shared.stage.ledger_task import LedgerTask
from shared.stage.outbox import Outbox
from shared.stage.progress import Progress
from shared.stage.timers import Timers
from tests.simulation.broker import SimulatedTransactionalProducer

Patch = tuple[object, str, object]
"""An object, the name of its attribute, and what it is replaced by."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A planted bug: *patch* makes the replacement; *invariants* are those that it breaks."""

    name: str
    patch: Callable[[], Patch]
    invariants: frozenset[str]


_background: set[asyncio.Task[None]] = set()


def _unawaited(sending: Any) -> None:
    task = asyncio.get_running_loop().create_task(sending)
    _background.add(task)
    task.add_done_callback(_background.discard)


def commit_before_output() -> Patch:
    """A record counts as done when its outputs are on their way, not when they are acknowledged."""
    send = Outbox.send

    async def mutated(self: Outbox, outputs: Sequence[Output], partition: int) -> None:
        _unawaited(send(self, outputs, partition))

    return Outbox, "send", mutated


def dead_letter_acknowledged_early() -> Patch:
    """A record counts as done when its dead letter is on its way."""

    async def mutated(
        self: Attempts, record: Record, error: HoldfastError, attempts: int, first_failed_at: float
    ) -> None:
        letter = dead_letter(self._stage, record, error, attempts=attempts, first_failed_at=first_failed_at)
        _unawaited(self._write(letter, record.partition))

    return Attempts, "_give_up", mutated


def watermark_off_by_one() -> Patch:
    """The committed offset is that of the oldest record under way, plus one."""

    def mutated(self: Progress) -> int:
        return self._begun[0] + 1 if self._begun else self._position

    return Progress, "watermark", property(mutated)


def offset_map_dropped() -> Patch:
    """The commit's metadata does not tell what is done beyond the watermark."""

    def mutated(watermark: int, done: Iterable[int]) -> str:
        return ""

    return progress, "encode", mutated


def fence_missing() -> Patch:
    """The start of a task's producer leaves the former owner's in force."""

    async def mutated(self: SimulatedTransactionalProducer) -> None:
        await self._client.step("start")
        broker = self._client.broker
        self._epoch = broker.epoch(self._transactional_id) or broker.next_epoch(self._transactional_id)
        self._journal = self._client.journals[int(self._transactional_id.rpartition(".")[2])] = []

    return SimulatedTransactionalProducer, "start", mutated


def state_outside_the_transaction() -> Patch:
    """A group's changes of state are not among what its transaction writes."""
    seal = Fold.seal

    def mutated(self: Fold[Any]) -> CommitGroup | None:
        group = seal(self)
        if group is not None:
            group.outputs = [output for output in group.outputs if output.topic != self._changelog]
        return group

    return Fold, "seal", mutated


def offsets_outside_the_transaction() -> Patch:
    """The inputs' offsets commit first, what follows from them in a transaction of its own."""
    transact = LedgerTask._transact

    async def mutated(self: LedgerTask[Any], group: CommitGroup) -> None:
        outputs, group.outputs = group.outputs, []
        await transact(self, group)
        group.outputs, group.progress = outputs, {}
        await transact(self, group)

    return LedgerTask, "_transact", mutated


def abort_taken_for_commit() -> Patch:
    """A transaction that was aborted counts as committed."""

    async def mutated(self: LedgerTask[Any], group: CommitGroup) -> None:
        try:
            await self._producer.transact(group.outputs, self.number, group.progress)
        except Retryable:
            self._retried()

    return LedgerTask, "_transact", mutated


def timer_fired_twice() -> Patch:
    """A due time is given out a second time."""
    pop_due = Timers.pop_due
    again: dict[Timers, tuple[int, bytes]] = {}

    def mutated(self: Timers, now_ms: int) -> tuple[int, bytes] | None:
        if self in again:
            return again.pop(self)
        due = pop_due(self, now_ms)
        if due is not None:
            again[self] = due
        return due

    return Timers, "pop_due", mutated


def timers_not_restored() -> Patch:
    """A task that is opened forgets when its keys want to be woken."""
    restore = ledger.restore

    async def mutated(*arguments: Any) -> Timers:
        await restore(*arguments)
        return Timers()

    return ledger, "restore", mutated


def supersede_lost() -> Patch:
    """A newer message leaves the open turn open."""

    def mutated(step: Any) -> bool:
        return False

    return messages, "supersede", mutated


def supersede_unheard() -> Patch:
    """A stage does not cancel its work on a turn when it reads of a newer one."""

    def mutated(self: supersede.NewestTurns, key: bytes, turn: Any) -> None:
        """Take note of nothing."""

    return supersede.NewestTurns, "observe", mutated


MUTATIONS = (
    Mutation("commit before output", commit_before_output, frozenset({"I11", "I8", "I6"})),
    Mutation("dead letter acknowledged early", dead_letter_acknowledged_early, frozenset({"I11", "I6"})),
    Mutation("watermark off by one", watermark_off_by_one, frozenset({"I11"})),
    Mutation("offset map dropped", offset_map_dropped, frozenset({"I8"})),
    Mutation("fence missing", fence_missing, frozenset({"I7", "I1", "I2", "I3"})),
    Mutation("state outside the transaction", state_outside_the_transaction, frozenset({"I7", "I1", "I2", "I10"})),
    Mutation("offsets outside the transaction", offsets_outside_the_transaction, frozenset({"I7", "I1"})),
    Mutation("abort taken for commit", abort_taken_for_commit, frozenset({"I7", "I1", "I10"})),
    Mutation("timer fired twice", timer_fired_twice, frozenset({"I7"})),
    Mutation("timers not restored", timers_not_restored, frozenset({"I10", "I9", "I1"})),
    Mutation("supersede lost", supersede_lost, frozenset({"I1", "I10"})),
    Mutation("supersede unheard", supersede_unheard, frozenset({"I8"})),
)
