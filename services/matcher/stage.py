"""
The matcher's work on a turn: ask the model which guidelines apply, and hand the turn on.
"""

import asyncio
from collections.abc import Callable
from functools import reduce
from typing import Protocol, cast

import structlog

from services.matcher.domain.blueprints import PlainAnswer
from services.matcher.domain.compiled import Compiled, compiled
from services.matcher.domain.decision import Heard, decide, first_inquiry, second_inquiry
from services.matcher.domain.inquiry import CallLimits, Inquiry
from services.matcher.domain.resumed import reevaluated, reevaluation
from services.matcher.domain.retrieval import Limits, Numbers
from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatchingSettings
from shared.arq.blueprint import Blueprint
from shared.errors import Retryable
from shared.events.envelope import Envelope
from shared.events.topics import TURNS_FINISHED, TURNS_MATCHED
from shared.events.turns import (
    FinishResult,
    Mark,
    Matching,
    Spent,
    TurnFinished,
    TurnMatched,
    TurnOpened,
)
from shared.llm.base import LanguageModel, Usage
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.structured import ask
from shared.playbook.directory import Directory
from shared.playbook.ready import Ready
from shared.playbook.variables import with_current
from shared.stage.leads import ledger_time
from shared.stage.turn_stage import Products

STAGE = "matcher"
PURPOSE = "match"
MEANING_SHARE = 0.1
"""Of the time that matching may use, for the turn's embedding."""
PLAYBOOK_UNAVAILABLE = "playbook_unavailable"

log = structlog.get_logger(__name__)


class Meanings(Protocol):
    """Knows how near a turn's meaning is to that of guidelines, or does not."""

    async def similarity(self, desk: Compiled, opened: TurnOpened, *, deadline: float) -> Numbers | None:
        """One number a text of the retriever, before *deadline* (the event loop's clock); None where not known."""
        ...


class Matcher:
    """`TurnWork` of the matcher. *meanings* find guidelines beside words; *clock* tells the ledger's unix seconds."""

    def __init__(
        self,
        model: LanguageModel,
        directory: Directory,
        settings: MatchingSettings,
        metrics: MatcherMetrics,
        *,
        meanings: Meanings | None = None,
        clock: Callable[[], float] = ledger_time,
    ) -> None:
        self._model = model
        self._settings = settings
        self._metrics = metrics
        self._meanings = meanings
        self._clock = clock
        limits = Limits(settings.retrieved_max, settings.unspoken_max)
        self._calls = CallLimits(settings.guidelines_per_call_max, settings.guideline_chars_per_call_max)
        self._ready = Ready(
            directory,
            lambda playbook: compiled(playbook, limits),
            size_of=lambda desk: desk.bytes_held,
            bytes_max=settings.compiled_bytes_max,
        )

    async def process(self, event: Envelope[TurnOpened]) -> Products:
        """
        `turn.matched`, or `turn.finished` (failed) where the turn's playbook version stays missing. In a further leg
        the former one's matching is handed on, but for what new results of tools may have changed (domain/resumed.py).

        Raises:
            Retryable: the model is away, or the playbook version is not here yet, and there is time to try again.

        """
        received_ms = round(self._clock() * 1000)
        opened = event.data
        desk = await self._compiled(opened)
        if desk is None:
            marks = self._marks(opened, received_ms)
            return [(TURNS_FINISHED, "turn.finished", _playbook_unavailable(opened, marks))]
        # What was told too long ago decides nothing; the stages that follow see for themselves.
        current = with_current(opened, desk.playbook)
        matching = current.matching or await self._match(desk, current)
        if (again := reevaluation(desk, current, matching)) is not None:
            heard, spent = await self._hear(desk, again)
            matching = reevaluated(desk, current, matching, heard)
            matching = matching.model_copy(update={"spent": _sum(matching.spent, spent)})
        self._metrics.candidates.observe(matching.candidates)
        self._metrics.matched.observe(len(matching.active))
        matched = TurnMatched(opened=opened, matching=matching, marks=self._marks(opened, received_ms))
        return [(TURNS_MATCHED, "turn.matched", matched)]

    async def _compiled(self, opened: TurnOpened) -> Compiled | None:
        turn = opened.turn
        try:
            return await self._ready.of(turn)
        except Retryable:
            waited_seconds = self._clock() - turn.opened_at.timestamp()
            if waited_seconds < self._settings.playbook_wait_max_seconds:
                raise
        log.warning("a turn's playbook version stays missing", agent=turn.agent, version=turn.playbook_version)
        return None

    async def _match(self, desk: Compiled, opened: TurnOpened) -> Matching:
        first = first_inquiry(desk, opened, await self._similarity(desk, opened))
        if not first.candidates and not first.underway:
            return decide(desk, opened, ())
        heard, spent = await self._hear(desk, first)
        if (second := second_inquiry(desk, heard)) is None:
            return decide(desk, opened, heard).model_copy(update={"spent": spent})
        further, spent_further = await self._hear(desk, second)
        return decide(desk, opened, (*heard, *further)).model_copy(update={"spent": _sum(spent, spent_further)})

    async def _similarity(self, desk: Compiled, opened: TurnOpened) -> Numbers | None:
        if self._meanings is None:
            return None
        ends = asyncio.get_running_loop().time() + self._remaining_seconds(opened) * MEANING_SHARE
        return await self._meanings.similarity(desk, opened, deadline=ends)

    async def _hear(self, desk: Compiled, inquiry: Inquiry) -> tuple[tuple[Heard, ...], Spent]:
        """The answers to *inquiry*, divided where it is too large; a part that fails leaves the others theirs."""
        parts = inquiry.split(desk.rules, self._calls)
        if len(parts) == 1:
            heard, spent = await self._ask(inquiry)
            return (heard,), spent
        places = asyncio.Semaphore(self._settings.calls_at_once_max)

        async def one(part: Inquiry) -> tuple[Heard, Spent] | ModelUnavailable:
            async with places:
                try:
                    return await self._ask(part)
                except ModelUnavailable as error:
                    return error

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(part)) for part in parts]
        results = [task.result() for task in tasks]
        away = [result for result in results if isinstance(result, ModelUnavailable)]
        if len(away) == len(parts):
            raise away[0]
        # To try the whole turn again would ask, and pay for, what was answered once more.
        answered = [
            self._unknown(part, f"unavailable_{result.kind}", result, Usage())
            if isinstance(result, ModelUnavailable)
            else result
            for part, result in zip(parts, results, strict=True)
        ]
        return tuple(heard for heard, _ in answered), reduce(_sum, (spent for _, spent in answered))

    async def _ask(self, inquiry: Inquiry) -> tuple[Heard, Spent]:
        opened, settings = inquiry.opened, self._settings
        asked = len(inquiry.candidates) + len(inquiry.states)
        try:
            answered = await ask(
                self._model,
                cast("Blueprint[PlainAnswer]", inquiry.blueprint()),
                inquiry.prompt(),
                purpose=PURPOSE,
                tenant=opened.turn.tenant,
                deadline=asyncio.get_running_loop().time() + self._remaining_seconds(opened),
                temperature=settings.temperature,
                output_tokens_max=settings.output_tokens_base + settings.output_tokens_per_guideline * asked,
                check=inquiry.complaint,
                request_id=opened.turn.id,
            )
        except InvalidAnswer as error:
            return self._unknown(inquiry, f"invalid_{error.kind}", error, error.usage)
        except ModelRefused as error:
            return self._unknown(inquiry, f"refused_{error.kind}", error, Usage())
        except ModelUnavailable as error:
            if self._remaining_seconds(opened) > (error.retry_after_seconds or 0):
                raise
            return self._unknown(inquiry, f"unavailable_{error.kind}", error, Usage())
        return Heard(inquiry, answered.answer), _spent(answered.usage, answered.model)

    def _remaining_seconds(self, opened: TurnOpened) -> float:
        begun, ends = opened.turn.opened_at.timestamp(), opened.turn.deadline.timestamp()
        allowed_seconds = min((ends - begun) * self._settings.model_share, self._settings.model_wait_max_seconds)
        return begun + allowed_seconds - self._clock()

    def _unknown(self, inquiry: Inquiry, reason: str, error: Exception, usage: Usage) -> tuple[Heard, Spent]:
        self._metrics.unknown.labels(reason).inc()
        log.warning("guidelines could not be judged; the playbook's policy decides", reason=reason, error=str(error))
        return Heard(inquiry, None), _spent(usage, "")

    def _marks(self, opened: TurnOpened, received_ms: int) -> tuple[Mark, ...]:
        finished_ms = round(self._clock() * 1000)
        return (*opened.marks, Mark(stage=STAGE, received_ms=received_ms, finished_ms=finished_ms))


def _spent(usage: Usage, model: str) -> Spent:
    return Spent(calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, model=model)


def _sum(one: Spent, other: Spent) -> Spent:
    return Spent(
        calls=one.calls + other.calls,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        model=other.model or one.model,
    )


def _playbook_unavailable(opened: TurnOpened, marks: tuple[Mark, ...]) -> TurnFinished:
    return TurnFinished(
        turn=opened.turn,
        stage=STAGE,
        result=FinishResult.FAILED,
        fallback="failed",
        reason=PLAYBOOK_UNAVAILABLE,
        marks=marks,
    )
