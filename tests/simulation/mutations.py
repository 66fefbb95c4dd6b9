"""
Bugs that are planted to see whether the simulation finds them: each replaces one function of the runtime, or of the
conversations' rules, by one that is almost right.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from services.conversations import stage as conversations
from services.conversations.domain import calls, events, finish, legs, messages, turns
from services.conversations.domain.binding import decision_of
from services.reasoner.calling import Calling, Paused
from services.reasoner.domain.tools import inference
from services.reasoner.domain.tools.candidates import Toolbox
from shared.errors import Retryable
from shared.events.conversation import ApprovalGiven
from shared.events.envelope import derived_id
from shared.events.tools import ToolCall
from shared.events.turns import Outcome, TurnOpened
from shared.stage import ledger, progress, supersede
from shared.stage.attempts import Attempts
from shared.stage.base import Output, Record
from shared.stage.commit_group import CommitGroup
from shared.stage.fold import Fold
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
    write = Attempts._write

    async def mutated(self: Attempts, letter: Output, record: Record) -> None:
        _unawaited(write(self, letter, record))

    return Attempts, "_write", mutated


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


def reservation_ignored() -> Patch:
    """A process executes a grant that another one reserved for itself."""
    granted = Calling._granted

    async def mutated(self: Calling, opened: TurnOpened, toolbox: Toolbox, deadline: float) -> Paused:
        self._claimed.update({grant.claimant: grant.call.id for grant in opened.grants if grant.claimant})
        return await granted(self, opened, toolbox, deadline)

    return Calling, "_granted", mutated


def result_recorded_twice() -> Patch:
    """A second result of a call takes the place of the first."""
    record_results = finish.record_results

    def mutated(step: Any, results: tuple[Any, ...]) -> tuple[str, ...]:
        reported = {result.call.id for result in results}
        step.state.calls = tuple(
            call._replace(standing=calls.Standing.GRANTED) if call.id in reported and not call.reads else call
            for call in step.state.calls
        )
        return record_results(step, results)

    return finish, "record_results", mutated


def grant_forgotten_at_supersede() -> Patch:
    """A newer message forgets what was granted to the turn that it supersedes."""
    part_with_calls = turns._part_with_calls

    def mutated(step: Any, turn: Any, outcome: Outcome) -> None:
        if outcome is Outcome.SUPERSEDED:
            step.state.calls = tuple(c for c in step.state.calls if c.standing != calls.Standing.GRANTED)
        part_with_calls(step, turn, outcome)

    return turns, "_part_with_calls", mutated


def approval_performed_twice() -> Patch:
    """A second leave grants a call again, whatever became of the first."""

    def mutated(step: Any, event: Any) -> None:
        step.state.calls = tuple(
            call._replace(
                standing=calls.Standing.GRANTED,
                result=None,
                claimant="",
                carried=False,
                due_ms=0,
                decision=decision_of(event.data, step.now_ms),
            )
            if call.id == event.data.approval_id and event.data.granted
            else call
            for call in step.state.calls
        )

    return events, "_HANDLERS", {**events._HANDLERS, ApprovalGiven: mutated}


def approval_not_waited_for() -> Patch:
    """A call that a person must allow is granted at once."""
    new = legs._new

    def mutated(step: Any, turn: Any, want: ToolCall, tool: Any) -> Any:
        return new(step, turn, want, tool.model_copy(update={"approval": False}))

    return legs, "_new", mutated


def call_id_drawn() -> Patch:
    """A call has another id each time that it is decided on."""
    drawn = count()

    def mutated(turn_id: str, tool: str, values: Any) -> ToolCall:
        return ToolCall(id=derived_id("tool", turn_id, tool, next(drawn)), tool=tool, arguments=dict(values))

    return inference, "call_of", mutated


def executed_before_its_grant() -> Patch:
    """What changes something is done when it is decided on, as what only reads."""
    of = Calling.of

    async def mutated(self: Calling, opened: Any, matching: Any, toolbox: Toolbox, *, deadline: float) -> Any:
        found = await of(self, opened, matching, toolbox, deadline=deadline)
        if isinstance(found, Paused) and found.calls:
            await self._read(found.calls, toolbox, opened.turn.tenant, deadline)
        return found

    return Calling, "of", mutated


def state_unreadable() -> Patch:
    """What is written of a state with variables cannot be read back."""
    encode = conversations.encode

    def mutated(state: Any) -> bytes:
        return encode(state).replace(b'"v":1', b'"v":"1"', 1) if state.variables else encode(state)

    return conversations, "encode", mutated


def result_raises() -> Patch:
    """The ledger fails at what the stages made of a turn, each time."""

    def mutated(step: Any, event: Any) -> None:
        raise KeyError("a bug")

    return events, "turn_finished", mutated


def timer_raises() -> Patch:
    """The ledger fails at whatever falls due."""

    def mutated(step: Any) -> bool:
        raise RecursionError

    return conversations, "apply_time", mutated


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
    Mutation("reservation ignored", reservation_ignored, frozenset({"I13", "I14"})),
    Mutation("result recorded twice", result_recorded_twice, frozenset({"I16"})),
    Mutation("grant forgotten at supersede", grant_forgotten_at_supersede, frozenset({"I13", "I15"})),
    Mutation("approval performed twice", approval_performed_twice, frozenset({"I13", "I14"})),
    Mutation("approval not waited for", approval_not_waited_for, frozenset({"I14"})),
    Mutation("call id drawn", call_id_drawn, frozenset({"I13", "I16"})),
    Mutation("state unreadable", state_unreadable, frozenset({"I17"})),
    Mutation("result raises", result_raises, frozenset({"I17"})),
    Mutation("timer raises", timer_raises, frozenset({"I17"})),
    Mutation("executed before its grant", executed_before_its_grant, frozenset({"I14"})),
)
