"""
How a scenario is played, by what is judged of it: which services have to run, and what is asked of them.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from services.operator.evaluation.desk import Desk
from services.operator.evaluation.plays import Plan, Play
from services.operator.evaluation.result import Result, accepted, observed, said_by, strays
from services.operator.evaluation.scenario import ExpectedCall, Judged
from services.operator.review.asking import Reviewer
from shared.errors import HoldfastError
from shared.events.claims import ReasoningMode
from shared.events.conversation import Author
from shared.events.envelope import Address
from shared.events.tools import ToolCall, ToolResult, ToolStatus
from shared.events.turns import (
    Applied,
    Draft,
    FactRecord,
    FinishResult,
    GuidelineVerdict,
    JourneyPosition,
    Matching,
    MatchVerdict,
    Segment,
    SegmentKind,
    Spent,
    Turn,
    TurnDrafted,
    TurnFinished,
    TurnMatched,
    TurnOpened,
    Utterance,
)
from shared.llm.errors import InvalidAnswer
from shared.text.plain import folded

NO_ANSWER = "no_answer"
_AUTHORS = {"customer": Author.CUSTOMER, "agent": Author.ASSISTANT}


@dataclass(frozen=True, slots=True)
class Means:
    """What a play may use: the services behind *desk*, the version of its published playbook, and a model to ask."""

    desk: Desk
    version: Callable[[Play], Awaitable[str]]
    reviewer: Callable[[], Reviewer]


@dataclass(frozen=True, slots=True)
class Handler:
    """The *stages* that must run for it, and how one scenario is played."""

    stages: tuple[str, ...]
    play: Callable[[Means, Play, Plan], Awaitable[Result]]


async def matched(means: Means, play: Play, plan: Plan) -> Result:
    """What the matcher decides about the conversation's newest messages."""
    begun = time.monotonic()
    version = await means.version(play)
    turn = opened(play, play.address, version, datetime.now(UTC), plan.turn_seconds_max)
    outcome = await means.desk.outcome(turn, plan.turn_seconds_max)
    seconds = time.monotonic() - begun
    if not isinstance(outcome, TurnMatched):
        reason = (outcome.reason or str(outcome.result)) if isinstance(outcome, TurnFinished) else NO_ANSWER
        return _failed(play, reason, seconds)
    return _matching_result(play, outcome.matching, seconds)


async def performed(means: Means, play: Play, plan: Plan) -> Result:
    """Which guidelines the verifier finds performed by the conversation's last message, taken as a draft."""
    begun = time.monotonic()
    version = await means.version(play)
    drafted = reply_as_draft(play, version, datetime.now(UTC), plan.turn_seconds_max)
    outcome = await means.desk.outcome(drafted, plan.turn_seconds_max)
    seconds = time.monotonic() - begun
    if not isinstance(outcome, TurnFinished) or outcome.verification is None:
        return _failed(play, NO_ANSWER if outcome is None else "not_verified", seconds)
    found = outcome.verification
    if outcome.reason.startswith(("model_", "verify_")):
        return _failed(play, outcome.reason, seconds)
    done = [one.guideline_id for one in found.adherence if one.verdict is GuidelineVerdict.PERFORMED]
    unjudged = sum(one.verdict is GuidelineVerdict.UNJUDGED for one in found.adherence)
    return _result(play, tuple(done), found.spent, seconds, unknown=unjudged)


async def called(means: Means, play: Play, plan: Plan) -> Result:
    """Which tools the reasoner calls, or asks the ledger to let it call, when the scenario's guidelines apply."""
    begun = time.monotonic()
    version = await means.version(play)
    turn = opened(play, play.address, version, datetime.now(UTC), plan.turn_seconds_max)
    body = TurnMatched(opened=turn, matching=Matching(active=play.scenario.expected.ids))
    outcome = await means.desk.outcome(body, plan.turn_seconds_max)
    seconds = time.monotonic() - begun
    if isinstance(outcome, TurnFinished) and outcome.result is FinishResult.FAILED:
        return _failed(play, outcome.reason, seconds)
    if isinstance(outcome, TurnFinished):
        made = (*outcome.calls, *(result.call for result in outcome.results))
        draft = outcome.draft
    elif isinstance(outcome, TurnDrafted):
        made, draft = (), outcome.draft
    else:
        return _failed(play, NO_ANSWER, seconds)
    calls = (*made, *(result.call for result in draft.results)) if draft else made
    return _result(play, judged_calls(play.scenario.expected.calls, calls), draft.spent if draft else Spent(), seconds)


async def replied(means: Means, play: Play, plan: Plan) -> Result:
    """What the reasoner drafts, or leaves unsaid, when the scenario's guidelines apply."""
    begun = time.monotonic()
    scenario, version = play.scenario, await means.version(play)
    turn = opened(play, play.address, version, datetime.now(UTC), plan.turn_seconds_max)
    outcome = await means.desk.outcome(
        TurnMatched(opened=turn, matching=Matching(active=scenario.expected.ids)), plan.turn_seconds_max
    )
    seconds = time.monotonic() - begun
    if isinstance(outcome, TurnDrafted):
        draft = outcome.draft
        approved = all(segment.canned_id for segment in draft.segments)
        return _result(play, said_by(scenario, draft.text, approved=approved), draft.spent, seconds)
    if not isinstance(outcome, TurnFinished):
        return _failed(play, NO_ANSWER, seconds)
    spent = outcome.draft.spent if outcome.draft else Spent()
    if outcome.fallback == "no_match":
        return _result(play, ("no_match",), spent, seconds)
    if outcome.result is FinishResult.SILENT:
        return _result(play, ("silence",), spent, seconds)
    return _failed(play, outcome.reason or str(outcome.result), seconds)


def judged_calls(expected: Sequence[ExpectedCall], calls: Sequence[ToolCall]) -> tuple[str, ...]:
    """*calls* as results name them: one that does what an expected one asks for by that one's name."""
    left = list(expected)
    named = []
    for call in calls:
        fit = next((one for one in left if one.tool == call.tool and _gives(call, one)), None)
        if fit is not None:
            left.remove(fit)
        named.append(str(fit) if fit is not None else str(ExpectedCall(tool=call.tool, arguments=_plain(call))))
    return tuple(named)


def _gives(call: ToolCall, expected: ExpectedCall) -> bool:
    """Whether *call* has the expected arguments; texts are compared without regard to case and spacing."""
    return (
        all(
            folded(str(call.arguments[name])) == folded(str(value))
            if isinstance(value, str)
            else call.arguments[name] == value
            for name, value in expected.arguments.items()
            if name in call.arguments
        )
        and expected.arguments.keys() <= call.arguments.keys()
    )


def _plain(call: ToolCall) -> dict[str, str | float]:
    return {name: value if isinstance(value, int | float) else str(value) for name, value in call.arguments.items()}


async def classified(means: Means, play: Play, _plan: Plan) -> Result:
    """Which guidelines a model finds to be of the kind that is judged."""
    begun = time.monotonic()
    reviewer, kind = means.reviewer(), play.scenario.expected.kind
    try:
        found = await reviewer.kinds(play.scenario.guidelines, request_id=play.turn)
    except InvalidAnswer as error:
        return _failed(play, f"review_{error.kind}", time.monotonic() - begun)
    except HoldfastError as error:
        return _failed(play, f"model_{getattr(error, 'kind', 'failed')}", time.monotonic() - begun)
    done = [one.id for one, kinds in zip(play.scenario.guidelines, found, strict=True) if kind in kinds]
    usage = reviewer.usage
    spent = Spent(
        calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, model=reviewer.name
    )
    return _result(play, tuple(done), spent, time.monotonic() - begun)


_MATCHING: Final = Handler(("matcher",), matched)
HANDLERS: Final[Mapping[Judged, Handler]] = {
    Judged.ACTIVE: _MATCHING,
    Judged.VERDICTS: _MATCHING,
    Judged.CHOICE: _MATCHING,
    Judged.STEP: _MATCHING,
    Judged.PERFORMED: Handler(("verifier",), performed),
    Judged.CLASSIFIED: Handler((), classified),
    Judged.CALLS: Handler(("reasoner",), called),
    Judged.REPLIED: Handler(("reasoner",), replied),
}
"""What is judged → how it is played; a new kind of judgement is a new entry."""


def opened(play: Play, address: Address, version: str, now: datetime, seconds_max: float) -> TurnOpened:
    """The turn that *play* begins: its newest messages of the customer wait for an answer."""
    scenario = play.scenario
    transcript = tuple(
        Utterance(id=f"m{place}", author=_AUTHORS[line.source], text=line.text, at=now)
        for place, line in enumerate(scenario.conversation, start=1)
    )
    answered = max((place for place, one in enumerate(transcript) if one.author is not Author.CUSTOMER), default=-1)
    positions = {}
    if scenario.journey is not None and scenario.path:
        positions[scenario.journey.id] = JourneyPosition(path=scenario.path)
    return TurnOpened(
        turn=Turn(
            id=play.turn,
            tenant=address.tenant,
            conversation=address.conversation,
            epoch=2,
            agent=play.agent,
            playbook_version=version,
            opened_at=now,
            deadline=now + timedelta(seconds=seconds_max),
        ),
        covers=tuple(one.id for one in transcript[answered + 1 :]),
        transcript=transcript,
        applied={name: Applied(count=1, epoch=1) for name in scenario.applied},
        journeys=positions,
        variables=scenario.variables,
        customer_name=scenario.customer_name,
    )


def reply_as_draft(play: Play, version: str, now: datetime, seconds_max: float) -> TurnDrafted:
    """
    The draft that the last message of *play* is. It cites itself as its fact: its adherence is judged, not its truth.
    """
    scenario = play.scenario
    asked = scenario.model_copy(update={"conversation": scenario.conversation[:-1]})
    turn = opened(Play(asked, play.guidelines, play.repeat, play.fingerprint), play.address, version, now, seconds_max)
    reply = scenario.conversation[-1].text
    fact = FactRecord(id="reply", text=reply, source="tool:reply")
    segment = Segment(kind=SegmentKind.CLAIM, text=reply, fact_ids=(fact.id,))
    said = ToolResult(call=ToolCall(id="reply", tool="reply"), status=ToolStatus.DONE, data=reply, at=now)
    draft = Draft(mode=ReasoningMode.ARQ, segments=(segment,), facts=(fact,), results=(said,))
    matching = Matching(active=tuple(guideline.id for guideline in scenario.guidelines))
    return TurnDrafted(opened=turn, matching=matching, draft=draft)


def _matching_result(play: Play, matching: Matching, seconds: float) -> Result:
    unknown = sum(match.verdict is MatchVerdict.UNKNOWN for match in matching.matches)
    decided = observed(play.scenario, matching)
    return _result(play, decided, matching.spent, seconds, unknown=unknown, strays=strays(matching))


def _failed(play: Play, failure: str, seconds: float) -> Result:
    return _result(play, (), Spent(), seconds, failure=failure)


def _result(play: Play, decided: tuple[str, ...], spent: Spent, seconds: float, **more: int | str) -> Result:
    scenario = play.scenario
    return Result.model_validate(
        {
            "fingerprint": play.fingerprint,
            "repeat": play.repeat,
            "scenario": scenario.id,
            "area": scenario.area,
            "guidelines": play.guidelines,
            "expected": accepted(scenario, decided),
            "observed": decided,
            "calls": spent.calls,
            "input_tokens": spent.input_tokens,
            "output_tokens": spent.output_tokens,
            "model": spent.model,
            "seconds": round(seconds, 3),
            **more,
        }
    )
