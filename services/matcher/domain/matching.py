"""
From the model's answer to the verdicts of a turn, and what stands for them where the model had none.
"""

from collections.abc import Collection, Iterable, Sequence

from services.matcher.domain.blueprints import Check, MatchAnswer, Reapplication
from services.matcher.domain.candidates import Candidate, Kind
from services.matcher.domain.resolving import Resolved
from shared.events.turns import Match, MatchVerdict, Resolution
from shared.playbook.model import Criticality, Guideline

COMPLAINT_IDS_MAX = 5
_RANK = {Criticality.HIGH: 0, Criticality.MEDIUM: 1, Criticality.LOW: 2}


def complaint(answer: MatchAnswer, candidates: Sequence[Candidate], applied: Collection[str]) -> str | None:
    """
    What is wrong with *answer*: every candidate must be judged once, by the queries of its kind; None if that is so.

    A principle may also be judged among the checks: that says more than was asked for.
    """
    kinds = {candidate.number: candidate.kind for candidate in candidates}
    principles = {number for number, kind in kinds.items() if kind is Kind.PRINCIPLE}
    checks = [check.guideline for check in answer.checks]
    judged = [number for number in checks if number not in principles]
    return (
        _differ("checks", judged, kinds.keys() - principles - set(applied))
        or _differ("reapplications", [item.guideline for item in answer.reapplications], set(applied))
        or _stray("principles", set(answer.principles) - principles)
    )


def verdicts(answer: MatchAnswer, candidates: Sequence[Candidate]) -> tuple[Match, ...]:
    """The judgement of each of *candidates*, in their order; *answer* has passed `complaint`."""
    answers: tuple[Check | Reapplication, ...] = (*answer.checks, *answer.reapplications)
    judged = {item.guideline: item for item in answers}
    named = frozenset(answer.principles)
    found: list[Match] = []
    for candidate in candidates:
        item = judged.get(candidate.number)
        applies = candidate.number in named if item is None else item.verdict == "applies"
        found.append(
            Match(
                guideline_id=candidate.guideline.id,
                evidence="" if item is None else item.evidence,
                verdict=MatchVerdict.APPLIES if applies else MatchVerdict.NOT_NOW,
            )
        )
    return tuple(found)


def unknown(candidates: Iterable[Candidate]) -> tuple[Match, ...]:
    """The judgement where the model gave none."""
    return tuple(Match(guideline_id=candidate.guideline.id, verdict=MatchVerdict.UNKNOWN) for candidate in candidates)


def taken_as_applying(
    matches: Iterable[Match], guidelines: Iterable[Guideline], unknown_applies: Collection[Criticality]
) -> tuple[str, ...]:
    """The ids of what applies, counting the unknown by their criticality (the playbook's policy)."""
    criticality = {guideline.id: guideline.criticality for guideline in guidelines}
    return tuple(
        match.guideline_id
        for match in matches
        if match.verdict is MatchVerdict.APPLIES
        or (match.verdict is MatchVerdict.UNKNOWN and criticality[match.guideline_id] in unknown_applies)
    )


def resolutions(resolved: Resolved) -> tuple[Resolution, ...]:
    """The decisions of *resolved* as they stand in the turn's record, one an entity; who passed unchanged has none."""
    active = frozenset(resolved.active)
    return tuple(
        Resolution(
            guideline_id=name,
            active=name in active,
            reason="; ".join(f"{decision.kind}: {decision.cause}" for decision in decisions),
        )
        for name, decisions in resolved.decisions.items()
    )


def by_importance(guidelines: Iterable[Guideline]) -> tuple[Guideline, ...]:
    """*guidelines* with the most critical first, else in the order given."""
    return tuple(sorted(guidelines, key=lambda guideline: _RANK[guideline.criticality]))


def _differ(name: str, given: Sequence[str], expected: Collection[str]) -> str | None:
    seen = set(given)
    if missing := set(expected) - seen:
        return f"{name}: missing {_told(missing)}"
    if len(given) > len(seen):
        return f"{name}: more than once {_told({number for number in given if given.count(number) > 1})}"
    return _stray(name, seen - set(expected))


def _stray(name: str, strays: Collection[str]) -> str | None:
    return f"{name}: not to be judged there {_told(strays)}" if strays else None


def _told(numbers: Collection[str]) -> str:
    shown = sorted(numbers, key=lambda number: (len(number), number))
    more = len(shown) - COMPLAINT_IDS_MAX
    return ", ".join(shown[:COMPLAINT_IDS_MAX]) + (f" and {more} more" if more > 0 else "")
