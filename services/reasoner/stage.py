"""
The reasoner's work on one turn: one model call, two when the first draft is thrown away.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.reasoner.calling import Calling, Paused, Ready
from services.reasoner.domain.blueprints import REPLY, Decision, draft_blueprint
from services.reasoner.domain.drafting import complaint, draft_of, nothing_said
from services.reasoner.domain.knowledge import Knowledge
from services.reasoner.domain.prompts import catalogue, draft_prompt
from services.reasoner.domain.retrieval import asked, query_of, within_bounds
from services.reasoner.domain.strict import pick_blueprint
from services.reasoner.domain.task import Task, guideline_text, messages_of, mode_of, task_of
from services.reasoner.domain.tools.candidates import Toolbox
from services.reasoner.domain.tools.outcome import drafted_by, facts_of, instructions_of
from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import ReasonerSection
from shared.arq.blueprint import Blueprint
from shared.arq.prompt import Section
from shared.events.composition import Composition
from shared.events.envelope import Envelope
from shared.events.topics import TURNS_DRAFTED, TURNS_FINISHED
from shared.events.turns import (
    Draft,
    FactRecord,
    FinishResult,
    Mark,
    Spent,
    Turn,
    TurnDrafted,
    TurnFinished,
    TurnMatched,
)
from shared.llm.base import LanguageModel
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.structured import Answered, ask
from shared.llm.tokens import estimate_tokens
from shared.playbook.derived import Derived
from shared.playbook.directory import Directory
from shared.playbook.knowledge import Retriever
from shared.playbook.model import Playbook
from shared.playbook.variables import with_current
from shared.stage.turn_stage import Products

STAGE = "reasoner"
NOTHING_TO_SAY = "nothing_to_say"
NO_MATCH = "no_match"
# Of an answer beside the texts that it repeats or writes: the queries' names, the segments' fields, the reasoning.
_FRAME_TOKENS = 1_500


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What follows from a playbook version."""

    knowledge: Knowledge
    catalogue: tuple[Section, ...]
    toolbox: Toolbox


class Finder(Protocol):
    """What asks retrievers for documents."""

    async def find(self, retriever: Retriever, query: str, *, tenant: str, deadline: float) -> tuple[FactRecord, ...]:
        """
        What *tenant*'s *retriever* finds for *query* by *deadline* (the event loop's clock); never raises for the
        retriever's sake.
        """
        ...


class Reasoning:
    """
    Drafts the reply to a matched turn.

    *clock* tells unix seconds; without *calling* no tool is used, without *finder* no retriever. Emits `turn.drafted`;
    or `turn.finished` when the tools need the ledger first (`paused`), when silence is the answer (`silent`), when only
    approved texts may be sent and none fits (`failed` with the fallback `no_match`), or when the model gave no usable
    draft (`failed` or `hand_off`, as the playbook says, with its fallback).
    """

    def __init__(
        self,
        model: LanguageModel,
        directory: Directory,
        settings: ReasonerSection,
        metrics: ReasonerMetrics,
        clock: Callable[[], float],
        calling: Calling | None = None,
        finder: Finder | None = None,
    ) -> None:
        self._model = model
        self._calling = calling
        self._finder = finder
        self._derived = Derived(directory, _fix)
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    async def process(self, event: Envelope[TurnMatched]) -> Products:
        """
        What follows from *event*.

        Raises:
            Retryable: the model, or the playbook's version, is not available now, and there is time to try again.

        """
        received = self._clock()
        matched = event.data
        playbook, fixed = self._derived.of(matched.opened.turn)
        try:
            return await self._work(matched, playbook, fixed, received)
        except ModelUnavailable as error:
            if self._remaining_seconds(matched.opened.turn, playbook) > (error.retry_after_seconds or 0):
                raise
            return self._failed(playbook, matched, received, f"model_{error.kind}")
        except InvalidAnswer as error:
            return self._failed(playbook, matched, received, f"draft_{error.kind}")
        except ModelRefused as error:
            return self._failed(playbook, matched, received, f"model_{error.kind}")

    async def _work(self, matched: TurnMatched, playbook: Playbook, fixed: _Fixed, received: float) -> Products:
        searching = asyncio.create_task(self._documents(matched, playbook))
        try:
            found = await self._tools(matched, playbook, fixed)
            if isinstance(found, Paused):
                return self._paused(matched, found, received)
            matched, task = _with_tools(matched, playbook, fixed, found, await searching)
        finally:
            searching.cancel()
        self._metrics.facts.observe(len(task.facts.records))
        if task.composition is Composition.STRICT and not task.choices:
            return self._no_match(matched, _with_results(nothing_said(task), found), received)
        draft, decision = await self._draft(task, fixed, matched)
        draft = _with_results(draft, found)
        if decision != REPLY:
            return self._silent(matched, draft, received)
        if not draft.segments:
            return self._no_match(matched, draft, received)
        self._metrics.draft(draft.mode, "drafted")
        self._metrics.segments.observe(len(draft.segments))
        marks = (*matched.marks, self._mark(received))
        drafted = TurnDrafted(opened=matched.opened, matching=matched.matching, draft=draft, marks=marks)
        return [(TURNS_DRAFTED, "turn.drafted", drafted)]

    async def _documents(self, matched: TurnMatched, playbook: Playbook) -> tuple[FactRecord, ...]:
        opened = matched.opened
        query = query_of(messages_of(opened))
        if self._finder is None or not query:
            return ()
        deadline = asyncio.get_running_loop().time() + self._remaining_seconds(opened.turn, playbook)
        tenant, retrievers = opened.turn.tenant, asked(playbook, matched.matching)
        asking = [self._finder.find(each, query, tenant=tenant, deadline=deadline) for each in retrievers]
        return within_bounds(record for found in await asyncio.gather(*asking) for record in found)

    async def _tools(self, matched: TurnMatched, playbook: Playbook, fixed: _Fixed) -> Paused | Ready:
        if self._calling is None:
            return Ready(matched.opened.results)
        deadline = asyncio.get_running_loop().time() + self._remaining_seconds(matched.opened.turn, playbook)
        opened = with_current(matched.opened, playbook)
        return await self._calling.of(opened, matched.matching, fixed.toolbox, deadline=deadline)

    async def _draft(self, task: Task, fixed: _Fixed, matched: TurnMatched) -> tuple[Draft, Decision]:
        turn = matched.opened.turn
        answered = await ask(
            self._model,
            _blueprint(task),
            draft_prompt(task, fixed.catalogue, fixed.knowledge),
            purpose="draft",
            tenant=turn.tenant,
            deadline=asyncio.get_running_loop().time() + self._remaining_seconds(turn, task.playbook),
            temperature=self._settings.temperature,
            output_tokens_max=min(_tokens_needed(task), self._settings.output_tokens_max),
            check=lambda answer: complaint(task, answer),
            request_id=turn.id,
        )
        if answered.attempts > 1:
            self._metrics.resampled.inc()
        return draft_of(task, answered.answer, _spent(answered)), answered.answer.decision

    def _paused(self, matched: TurnMatched, paused: Paused, received: float) -> Products:
        finished = TurnFinished(
            turn=matched.opened.turn,
            stage=STAGE,
            result=FinishResult.PAUSED,
            reason="tools",
            matching=matched.matching,
            calls=paused.calls,
            claims=paused.claims,
            results=paused.results,
            marks=(*matched.marks, self._mark(received)),
        )
        return [(TURNS_FINISHED, "turn.finished", finished)]

    def _silent(self, matched: TurnMatched, draft: Draft, received: float) -> Products:
        self._metrics.draft(draft.mode, "silent")
        finished = TurnFinished(
            turn=matched.opened.turn,
            stage=STAGE,
            result=FinishResult.SILENT,
            reason=NOTHING_TO_SAY,
            matching=matched.matching,
            draft=draft,
            marks=(*matched.marks, self._mark(received)),
        )
        return [(TURNS_FINISHED, "turn.finished", finished)]

    def _no_match(self, matched: TurnMatched, draft: Draft, received: float) -> Products:
        """Only approved texts may be sent and none fits: the playbook's words for that."""
        self._metrics.draft(draft.mode, NO_MATCH)
        finished = TurnFinished(
            turn=matched.opened.turn,
            stage=STAGE,
            result=FinishResult.FAILED,
            fallback=NO_MATCH,
            reason=NO_MATCH,
            matching=matched.matching,
            draft=draft,
            marks=(*matched.marks, self._mark(received)),
        )
        return [(TURNS_FINISHED, "turn.finished", finished)]

    def _failed(self, playbook: Playbook, matched: TurnMatched, received: float, reason: str) -> Products:
        self._metrics.draft(mode_of(playbook, matched.opened.turn.arm), "failed")
        hands_off = playbook.verification.when_failed == "hand_off"
        finished = TurnFinished(
            turn=matched.opened.turn,
            stage=STAGE,
            result=FinishResult.HAND_OFF if hands_off else FinishResult.FAILED,
            fallback="hand_off" if hands_off else "failed",
            reason=reason,
            matching=matched.matching,
            marks=(*matched.marks, self._mark(received)),
        )
        return [(TURNS_FINISHED, "turn.finished", finished)]

    def _remaining_seconds(self, turn: Turn, playbook: Playbook) -> float:
        """
        Until the rest of a turn's time belongs to the stages that follow. A turn that waited for approval has had its
        deadline moved, so what is kept for them is a share of the time that the playbook gives.
        """
        begun, ends = turn.opened_at.timestamp(), turn.deadline.timestamp()
        given = min(ends - begun, playbook.limits.deadline_seconds)
        return ends - (1 - self._settings.model_share) * given - self._clock()

    def _mark(self, received: float) -> Mark:
        return Mark(stage=STAGE, received_ms=int(received * 1_000), finished_ms=int(self._clock() * 1_000))


def _fix(playbook: Playbook) -> _Fixed:
    knowledge = Knowledge(playbook)
    return _Fixed(knowledge, catalogue(playbook, knowledge), Toolbox(playbook))


def _with_tools(
    matched: TurnMatched, playbook: Playbook, fixed: _Fixed, found: Ready, documents: Sequence[FactRecord]
) -> tuple[TurnMatched, Task]:
    """
    The turn and its task with what tools and retrievers brought: facts, guidelines of this turn, questions for what
    lacks.
    """
    tools = fixed.toolbox.tools
    instructions = instructions_of(found.results, found.problems, tools)
    matching = drafted_by(matched.matching, instructions, found.results)
    facts = (*facts_of(found.results, tools), *documents)
    task = task_of(matched.opened, matching, playbook, fixed.knowledge, found.results, facts)
    return matched.model_copy(update={"matching": matching}), task


def _blueprint(task: Task) -> Blueprint[Any]:
    guidelines, facts = len(task.follow), len(task.facts.records)
    if task.composition is Composition.STRICT:
        # The texts themselves come last among the facts, and are picked by a number of their own.
        facts -= len(task.choices)
        return pick_blueprint(task.mode, guidelines, facts, len(task.choices))
    return draft_blueprint(task.mode, guidelines, facts)


def _with_results(draft: Draft, found: Ready) -> Draft:
    spent = draft.spent.model_copy(
        update={
            "calls": draft.spent.calls + found.spent.calls,
            "input_tokens": draft.spent.input_tokens + found.spent.input_tokens,
            "output_tokens": draft.spent.output_tokens + found.spent.output_tokens,
        }
    )
    return draft.model_copy(update={"results": found.results, "problems": found.problems, "spent": spent})


def _tokens_needed(task: Task) -> int:
    """Room for the guidelines repeated, and the reply twice over (its text, and the fields around each segment)."""
    restated = sum(len(guideline_text(guideline)) for guideline in task.follow)
    return _FRAME_TOKENS + estimate_tokens(restated + 2 * task.playbook.limits.reply_chars)


def _spent(answered: Answered[Any]) -> Spent:
    usage = answered.usage
    return Spent(
        calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, model=answered.model
    )
