"""
Recorded turns, decided anew: what changes, beyond what varies by itself.

A model answers the same question in several ways, so one run against one record would report noise. Each side is
decided *repeats* times; an aspect of a turn counts as changed where the candidate's decisions lie further from the
baseline's, on average, than the baseline's own lie from each other at most. With one run a side every difference
counts.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from statistics import fmean
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from shared.events.turns import FinishResult, Outcome, TurnClosed, TurnFinished, TurnOpened

BY_STAGES = frozenset({Outcome.ANSWERED, Outcome.NO_REPLY, Outcome.HANDED_OFF})
"""Outcomes that may be the stages' word; the others are the ledger's, whatever a playbook says."""

V = TypeVar("V")


class Aspect(StrEnum):
    """What of a turn is compared, most telling first."""

    OUTCOME = "outcome"
    MATCHES = "matches"
    VERDICTS = "verdicts"
    REPLY = "reply"


class Decision(BaseModel):
    """What the stages decided of a turn; `verdicts` are those of the draft's claims, and the rules that it broke."""

    model_config = ConfigDict(frozen=True)

    outcome: str
    matches: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    reply: str = ""


class RecordedTurn(BaseModel):
    """A turn as it was opened, and what was decided then."""

    model_config = ConfigDict(frozen=True)

    opened: TurnOpened
    decision: Decision


@dataclass(frozen=True, slots=True)
class Compared:
    """A turn with both sides' decisions, and the aspects that changed with how far they are apart (0 to 1)."""

    turn: RecordedTurn
    baseline: tuple[Decision, ...]
    candidate: tuple[Decision, ...]
    changes: dict[Aspect, float]

    @property
    def question(self) -> str:
        """The newest message that the turn answers."""
        return self.turn.opened.transcript[-1].text if self.turn.opened.transcript else ""

    def shown(self) -> tuple[Decision, Decision]:
        """The decision of each side that is nearest to its others: what a reader is shown."""
        return _typical(self.baseline), _typical(self.candidate)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        turn = self.turn.opened.turn
        return {
            "tenant": turn.tenant,
            "conversation": turn.conversation,
            "epoch": turn.epoch,
            "turn": turn.id,
            "question": self.question,
            "changes": {aspect: round(distance, 3) for aspect, distance in self.changes.items()},
            "baseline": [one.model_dump(mode="json") for one in self.baseline],
            "candidate": [one.model_dump(mode="json") for one in self.candidate],
        }


def decision_of(finished: TurnFinished) -> Decision:
    """What the stages decided, from their last word."""
    found = finished.verification
    verdicts = [str(claim.draft_verdict) for claim in found.claims] if found else []
    broken = [complaint.partition(":")[0] for complaint in found.complaints] if found else []
    calls = [f"asks for {call.tool}" for call in finished.calls]
    verified = finished.result is FinishResult.VERIFIED
    outcome = f"{finished.result}" if verified or not finished.reason else f"{finished.result}: {finished.reason}"
    return Decision(
        outcome=", ".join([outcome, *sorted(calls)]),
        matches=tuple(sorted(finished.matching.active)) if finished.matching else (),
        verdicts=tuple(sorted([*verdicts, *broken])),
        reply=finished.text,
    )


def recorded(
    opened: Iterable[TurnOpened], finished: Iterable[TurnFinished], closed: Mapping[str, TurnClosed]
) -> tuple[list[RecordedTurn], Counter[str]]:
    """
    The turns that can be decided anew, oldest first, and why others cannot: `not closed`, `gone` (its records are past
    their retention), or an outcome that the ledger gave it (`superseded`, `expired`, ...).

    Of a turn of several legs the last one is taken: it carries what the calls before it came to.
    """
    last: dict[str, TurnOpened] = {}
    for one in opened:
        if one.turn.id not in last or last[one.turn.id].turn.leg < one.turn.leg:
            last[one.turn.id] = one
    words: dict[tuple[str, int], TurnFinished] = {}
    for said in finished:
        words.setdefault((said.turn.id, said.turn.leg), said)
    found, left_out = [], Counter[str]()
    for one in sorted(last.values(), key=lambda one: one.turn.opened_at):
        word, end = words.get((one.turn.id, one.turn.leg)), closed.get(one.turn.id)
        if end is None:
            left_out["not closed"] += 1
        elif end.outcome not in BY_STAGES:
            left_out[end.outcome] += 1
        elif word is None:
            left_out["gone"] += 1
        else:
            found.append(RecordedTurn(opened=one, decision=decision_of(word)))
    return found, left_out


def compared(turn: RecordedTurn, baseline: Sequence[Decision], candidate: Sequence[Decision]) -> Compared:
    """*turn* with what changed between *baseline* and *candidate*, each with one decision at least."""
    changes = {}
    for aspect in Aspect:
        own = max((_distance(aspect, one, other) for one, other in combinations(baseline, 2)), default=0.0)
        apart = fmean(_distance(aspect, one, other) for one in baseline for other in candidate)
        if apart > own:
            changes[aspect] = apart
    return Compared(turn, tuple(baseline), tuple(candidate), changes)


def counts(found: Iterable[Compared]) -> dict[str, int]:
    """How many turns changed in each aspect, in any, and how many there are."""
    turns = list(found)
    by_aspect = {str(aspect): sum(aspect in one.changes for one in turns) for aspect in Aspect}
    return {"turns": len(turns), "changed": sum(bool(one.changes) for one in turns), **by_aspect}


def word_changes(before: str, after: str) -> list[tuple[str, str]]:
    """
    *before* and *after* word by word: ("=", words both have), ("-", words gone), ("+", words new), in reading order.
    """
    old, new = before.split(), after.split()
    parts: list[tuple[str, str]] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            parts.append(("=", " ".join(old[a:b])))
        else:
            parts += [("-", " ".join(old[a:b]))] if a < b else []
            parts += [("+", " ".join(new[c:d]))] if c < d else []
    return parts


def _distance(aspect: Aspect, one: Decision, other: Decision) -> float:
    match aspect:
        case Aspect.OUTCOME:
            return float(one.outcome != other.outcome)
        case Aspect.MATCHES:
            return _apart(Counter(one.matches), Counter(other.matches))
        case Aspect.VERDICTS:
            return _apart(Counter(one.verdicts), Counter(other.verdicts))
        case Aspect.REPLY:
            # The same words in the same order are the same reply; SequenceMatcher is not symmetric, their order is.
            first, second = sorted((one.reply, other.reply))
            return 1.0 - difflib.SequenceMatcher(None, first.split(), second.split(), autojunk=False).ratio()


def _apart(one: "Counter[str]", other: "Counter[str]") -> float:
    """Jaccard's distance of two bags."""
    either = (one | other).total()
    return 1.0 - (one & other).total() / either if either else 0.0


def _typical(decisions: Sequence[Decision]) -> Decision:
    return _nearest(decisions, lambda one, other: fmean(_distance(aspect, one, other) for aspect in Aspect))


def _nearest(values: Sequence[V], distance: Callable[[V, V], float]) -> V:
    return min(values, key=lambda one: sum(distance(one, other) for other in values))
