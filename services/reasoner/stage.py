"""
The reasoner's work on one turn: one model call, two when the first draft is thrown away.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.reasoner.domain.blueprints import DraftAnswer, draft_blueprint
from services.reasoner.domain.drafting import complaint, draft_of
from services.reasoner.domain.knowledge import Knowledge
from services.reasoner.domain.prompts import catalogue, draft_prompt
from services.reasoner.domain.task import Task, guideline_text, task_of
from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import ReasonerSection
from shared.arq.prompt import Section
from shared.events.envelope import Envelope
from shared.events.topics import TURNS_DRAFTED, TURNS_FINISHED
from shared.events.turns import (
    Draft,
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
from shared.playbook.model import Playbook
from shared.stage.turn_stage import Products

STAGE = "reasoner"
NOTHING_TO_SAY = "nothing_to_say"
# Of an answer beside the texts that it repeats or writes: the queries' names, the segments' fields, the reasoning.
_FRAME_TOKENS = 1_500


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What follows from a playbook version."""

    knowledge: Knowledge
    catalogue: tuple[Section, ...]


class Reasoning:
    """
    Drafts the reply to a matched turn.

    *clock* tells unix seconds. Emits `turn.drafted`; or `turn.finished` when silence is the answer (`silent`), or
    when the model gave no usable draft (`failed` or `hand_off`, as the playbook says, with its fallback).
    """

    def __init__(
        self,
        model: LanguageModel,
        directory: Directory,
        settings: ReasonerSection,
        metrics: ReasonerMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._model = model
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
        task = task_of(matched.opened, matched.matching, playbook, fixed.knowledge)
        self._metrics.facts.observe(len(task.facts.records))
        try:
            draft = await self._draft(task, fixed, matched)
        except ModelUnavailable as error:
            if self._remaining_seconds(matched.opened.turn) > (error.retry_after_seconds or 0):
                raise
            return self._failed(task, matched, received, f"model_{error.kind}")
        except InvalidAnswer as error:
            return self._failed(task, matched, received, f"draft_{error.kind}")
        except ModelRefused as error:
            return self._failed(task, matched, received, f"model_{error.kind}")
        if not draft.segments:
            return self._silent(matched, draft, received)
        self._metrics.draft(task.mode, "drafted")
        self._metrics.segments.observe(len(draft.segments))
        marks = (*matched.marks, self._mark(received))
        drafted = TurnDrafted(opened=matched.opened, matching=matched.matching, draft=draft, marks=marks)
        return [(TURNS_DRAFTED, "turn.drafted", drafted)]

    async def _draft(self, task: Task, fixed: _Fixed, matched: TurnMatched) -> Draft:
        turn = matched.opened.turn
        answered = await ask(
            self._model,
            draft_blueprint(task.mode, len(task.follow), len(task.facts.records)),
            draft_prompt(task, fixed.catalogue, fixed.knowledge),
            purpose="draft",
            tenant=turn.tenant,
            deadline=asyncio.get_running_loop().time() + self._remaining_seconds(turn),
            temperature=self._settings.temperature,
            output_tokens_max=min(_tokens_needed(task), self._settings.output_tokens_max),
            check=lambda answer: complaint(task, answer),
            request_id=turn.id,
        )
        if answered.attempts > 1:
            self._metrics.resampled.inc()
        return draft_of(task, answered.answer, _spent(answered))

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

    def _failed(self, task: Task, matched: TurnMatched, received: float, reason: str) -> Products:
        self._metrics.draft(task.mode, "failed")
        hands_off = task.playbook.verification.when_failed == "hand_off"
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

    def _remaining_seconds(self, turn: Turn) -> float:
        begun, ends = turn.opened_at.timestamp(), turn.deadline.timestamp()
        return begun + (ends - begun) * self._settings.model_share - self._clock()

    def _mark(self, received: float) -> Mark:
        return Mark(stage=STAGE, received_ms=int(received * 1_000), finished_ms=int(self._clock() * 1_000))


def _fix(playbook: Playbook) -> _Fixed:
    knowledge = Knowledge(playbook)
    return _Fixed(knowledge, catalogue(playbook, knowledge))


def _tokens_needed(task: Task) -> int:
    """Room for the guidelines repeated, and the reply twice over (its text, and the fields around each segment)."""
    restated = sum(len(guideline_text(guideline)) for guideline in task.follow)
    return _FRAME_TOKENS + estimate_tokens(restated + 2 * task.playbook.limits.reply_chars)


def _spent(answered: Answered[DraftAnswer]) -> Spent:
    usage = answered.usage
    return Spent(
        calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, model=answered.model
    )
