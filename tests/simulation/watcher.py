"""
What must hold at every moment, judged while a run goes on: commits that say no more than is done, work that is not
repeated without need, superseded turns that cost no more calls, tenants that do not mix.

The watcher sees what a broker and a model endpoint could see, and reads records as any consumer would.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from services.conversations.domain.speakers import RESULT_TOPICS
from shared.errors import Invalid
from shared.events import topics
from shared.events.codec import Headers, decode
from shared.events.turns import Turn, TurnFinished
from shared.llm.base import Request
from shared.stage.base import Output, Record
from shared.stage.ports import Committed, Position
from shared.stage.progress import decode as decode_progress
from shared.stage.quarantine import mark_of
from shared.stage.turn_stage import turn_of
from tests.simulation.effects import Effects
from tests.simulation.loop import WORLD
from tests.simulation.plan import TENANTS
from tests.simulation.playbooks import canary

STAGE_INPUT = {
    "matcher": topics.TURNS_OPENED,
    "reasoner": topics.TURNS_MATCHED,
    "verifier": topics.TURNS_DRAFTED,
}
_INPUTS = frozenset(STAGE_INPUT.values())
_WRITTEN_BY_STAGES = frozenset({topics.TURNS_MATCHED, topics.TURNS_DRAFTED, *RESULT_TOPICS})
TURN: ContextVar[Turn] = ContextVar("turn")
"""What the task that asks the model works on."""
CALLS_MAX = 200
"""Model calls for one turn, whatever happens: attempts, re-asks, verifying questions, and new owners."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant of research C3, and what shows it."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A committed transaction of the ledger: the inputs it applied, as its journal has them, and what it wrote."""

    partition: int
    entries: tuple[Any, ...]
    outputs: tuple[Output, ...]
    progress: dict[Position, Committed]


Work = tuple[str, str, int]
"""A stage's work on a turn's leg: stage, turn, leg."""


class Watcher:
    """*clock* tells unix seconds; clocks of processes lie *skew_seconds* apart at most."""

    def __init__(self, clock: Callable[[], float], skew_seconds: float, legs_max: int) -> None:
        self.violations: list[Violation] = []
        self.transactions: list[Transaction] = []
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.repeated = 0
        self.effects = Effects(self.blame, clock, skew_seconds, legs_max)
        self._clock = clock
        self._skew_seconds = skew_seconds
        self._inputs: dict[tuple[str, int, int], tuple[bytes, Turn] | None] = {}
        self._newest: dict[bytes, tuple[int, int]] = {}
        self._copies: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._produced: dict[Work, str] = {}
        self._dead: set[tuple[str, int, int]] = set()
        self._known: defaultdict[str, dict[tuple[str, str], tuple[int, int]]] = defaultdict(dict)
        self._works: dict[Headers, Work] = {}
        self._partitions: dict[str, int] = {}
        self._settled: dict[tuple[str, Position], int] = {}
        self._acknowledged: defaultdict[tuple[str, int], set[Work]] = defaultdict(set)
        self._committing: dict[str, set[Work]] = {}
        self._moment = 0
        self._opened: dict[tuple[str, int], int] = {}
        self._finished: dict[Work, int] = {}
        self._begun: set[tuple[str, Work]] = set()

    def blame(self, invariant: str, what: str) -> None:
        """Note that *invariant* is broken."""
        self.violations.append(Violation(invariant, what))

    # -- what the broker sees ----------------------------------------------------------------------------------------

    def appended(self, record: Record, process: str) -> None:
        """*record* is in the log."""
        self._check_tenants(record)
        self.effects.appended(record, process)
        if record.topic == topics.DEAD_LETTERS:
            self._dead.add(origin(record))
        if (mark := mark_of(record.key or b"", record.headers)) is not None:
            self.blame("I17", f"{record.key!r} is in quarantine: the ledger failed at {mark.where} with {mark.error}")
        if record.topic not in _INPUTS and record.topic not in _WRITTEN_BY_STAGES:
            return
        turn = _turn(record)
        if turn is not None and process != WORLD and record.topic in _WRITTEN_BY_STAGES:
            self._note_product(record, (_service(process), turn.id, turn.leg), process)
        if record.topic in _INPUTS:
            self._note_input(record, turn)

    def fetched(self, records: Iterable[Record], process: str) -> None:
        """*process* has *records*: from now on it knows of the turns that they open."""
        known = self._known[process]
        for record in records:
            if record.topic == topics.TURNS_OPENED and (seen := self._inputs.get(_place(record))):
                turn = seen[1]
                name = (turn.tenant, turn.conversation)
                known[name] = max(known.get(name, (0, 0)), (turn.epoch, turn.leg))

    def opened(self, process: str, partitions: Iterable[int]) -> None:
        """*partitions* are *process*'s, and were not: it reads on from what is committed of them."""
        self._moment += 1
        for partition in partitions:
            self._opened[process, partition] = self._moment
            # What a former life of the task did and could not commit is done again.
            self._acknowledged.pop((process, partition), None)

    def acknowledged(self, client: Any, outputs: Sequence[Output], partition: int) -> None:
        """*outputs* are acknowledged to a process: what they follow from is done."""
        process = client.process
        for output in outputs:
            if output.topic in _WRITTEN_BY_STAGES:
                self._acknowledged[process, partition].add(self._works[output.headers])

    def commits(self, client: Any, progress: Mapping[Position, Committed]) -> None:
        """A process is about to commit *progress*: all that is done by now must be part of it."""
        process = client.process
        topic = STAGE_INPUT[_service(process)]
        self._committing[process] = {
            work for p in progress if p.topic == topic for work in self._acknowledged[process, p.partition]
        }

    def committed(self, group: str, progress: Mapping[Position, Committed], process: str) -> None:
        """*progress* of *group* is committed."""
        if group not in STAGE_INPUT:
            return
        self._moment += 1
        for work in self._committing.get(process, ()):
            self._finished.setdefault(work, self._moment)
        for position, at in progress.items():
            if position.topic == STAGE_INPUT[group]:
                self._check_commit(group, position, at)

    def transacted(
        self, partition: int, entries: tuple[Any, ...], outputs: tuple[Output, ...], progress: dict[Position, Committed]
    ) -> None:
        """A transaction of the ledger is committed."""
        self.transactions.append(Transaction(partition, entries, outputs, progress))

    # -- what the model sees -----------------------------------------------------------------------------------------

    def asked(self, request: Request, process: str) -> None:
        """*process* asks the model."""
        turn = TURN.get()
        self.calls[turn.id] += 1
        if self.calls[turn.id] == CALLS_MAX:
            self.blame("I8", f"turn {turn.id} has cost {CALLS_MAX} model calls")
        if (turn.epoch, turn.leg) < self._known[process].get((turn.tenant, turn.conversation), (0, 0)):
            self.blame("I8", f"{process} asks about turn {turn.id}, epoch {turn.epoch}, though it read of a newer one")
        self._check_begin((_service(process), turn.id, turn.leg), process)
        for other in TENANTS:
            if other != turn.tenant and any(canary(other) in message.content for message in request.messages):
                self.blame("I4", f"a prompt for {turn.tenant} holds words of {other}")

    # -- judging -----------------------------------------------------------------------------------------------------

    def _check_tenants(self, record: Record) -> None:
        key, value = record.key or b"", record.value or b""
        for tenant in TENANTS:
            if key.startswith(f"{tenant}:".encode()):
                for other in TENANTS:
                    if other != tenant and canary(other).encode() in value:
                        self.blame("I4", f"{_shown(record)} of {tenant} holds words of {other}")

    def _note_input(self, record: Record, turn: Turn | None) -> None:
        if turn is None:
            self._inputs[_place(record)] = None
            return
        key = record.key or b""
        self._inputs[_place(record)] = (key, turn)
        self._copies[record.topic, turn.id, turn.leg] += 1
        if record.topic == topics.TURNS_OPENED:
            self._partitions[turn.id] = record.partition
            self._newest[key] = max(self._newest.get(key, (0, 0)), (turn.epoch, turn.leg))

    def _note_product(self, record: Record, work: Work, process: str) -> None:
        self._works[record.headers] = work
        if work in self._produced:
            self.repeated += 1
        self._produced.setdefault(work, process)

    def _check_begin(self, work: Work, process: str) -> None:
        """Nobody begins what was committed as done before they took it over (I8)."""
        if (process, work) in self._begun:
            return
        self._begun.add((process, work))
        done = self._finished.get(work)
        partition = self._partitions[work[1]]
        if done is not None and self._copies[_input_of(work)] == 1 and done < self._opened[process, partition]:
            self.blame("I8", f"{process} repeats {work}, which {self._produced[work]} had done and committed")

    def _check_commit(self, group: str, position: Position, at: Committed) -> None:
        """Everything that the commit says is done has left its outputs, or needs none (I11)."""
        begin = self._settled.get((group, position), 0)
        for offset in [*range(begin, at.offset), *decode_progress(at)]:
            place = (position.topic, position.partition, offset)
            if place in self._inputs and not self._is_done(group, place):
                self.blame("I11", f"{group} commits {position.topic}/{position.partition}@{offset} undone")
        self._settled[group, position] = max(begin, at.offset)

    def _is_done(self, stage: str, place: tuple[str, int, int]) -> bool:
        if place in self._dead:
            return True
        seen = self._inputs[place]
        if seen is None:
            return False
        key, turn = seen
        return (
            (stage, turn.id, turn.leg) in self._produced
            or (turn.epoch, turn.leg) < self._newest.get(key, (0, 0))
            or turn.deadline.timestamp() <= self._clock() + self._skew_seconds
        )


def origin(letter: Record) -> tuple[str, int, int]:
    """Where the record of a dead letter lay."""
    headers = dict(letter.headers)
    topic, partition, offset = (
        headers[f"__connect.errors.{name}"].decode() for name in ("topic", "partition", "offset")
    )
    return topic, int(partition), int(offset)


def _turn(record: Record) -> Turn | None:
    """The turn that *record* is about; none where nobody can read it."""
    try:
        event = decode(topics.TOPICS[record.topic].types, record.key, record.headers, record.value)
    except Invalid:
        return None
    return event.data.turn if isinstance(event.data, TurnFinished) else turn_of(event.data)


def _input_of(work: Work) -> tuple[str, str, int]:
    stage, turn, leg = work
    return STAGE_INPUT[stage], turn, leg


def _service(process: str) -> str:
    return process.partition(".")[0]


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _shown(record: Record) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"
