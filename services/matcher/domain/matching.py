"""
From the model's answer to the verdicts of a turn, and what stands for them where the model had none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from services.matcher.domain.blueprints import Check, FullAnswer, MatchAnswer, Reapplication
from services.matcher.domain.candidates import Candidate, Kind
from services.matcher.domain.resolving import Resolved
from shared.events.turns import Match, MatchVerdict, Resolution
from shared.playbook.model import Criticality

COMPLAINT_IDS_MAX = 5
_RANK = {Criticality.HIGH: 0, Criticality.MEDIUM: 1, Criticality.LOW: 2}


def complaint(
    answer: MatchAnswer, candidates: Mapping[str, Candidate], applied: Collection[str], journeys: Collection[str]
) -> str | None:
    """
    What is wrong with *answer*: everything asked must be judged once, by the queries of its kind; None if that is so.

    All are named by their numbers: the *candidates*, which of them are *applied* already, the *journeys*. A principle
    may also be judged among the checks: that says more than was asked for.
    """
    principles = {number for number, candidate in candidates.items() if candidate.kind is Kind.PRINCIPLE}
    heads = {number for number, candidate in candidates.items() if candidate.kind is Kind.CHOICE}
    checks = [check.guideline for check in answer.checks if check.guideline not in principles]
    found = (
        _differ("checks", checks, candidates.keys() - principles - heads - set(applied))
        or _differ("reapplications", [item.guideline for item in answer.reapplications], set(applied))
        or _stray("principles", set(answer.principles) - principles)
    )
    if found is None and isinstance(answer, FullAnswer):
        found = _differ("choices", [item.guideline for item in answer.choices], heads)
        found = found or _differ("journeys", [item.journey for item in answer.journeys], set(journeys))
    return found


def verdicts(answer: MatchAnswer, candidates: Mapping[str, Candidate]) -> tuple[Match, ...]:
    """The judgement of each of *candidates* (by number), in their order; *answer* has passed `complaint`."""
    answers: tuple[Check | Reapplication, ...] = (*answer.checks, *answer.reapplications)
    judged = {item.guideline: (item.evidence, item.verdict == "applies") for item in answers}
    if isinstance(answer, FullAnswer):
        judged |= {item.guideline: (item.evidence, item.verdict == "ask") for item in answer.choices}
    named = frozenset(answer.principles)
    found: list[Match] = []
    for number, candidate in candidates.items():
        evidence, applies = judged.get(number, ("", number in named))
        verdict = MatchVerdict.APPLIES if applies else MatchVerdict.NOT_NOW
        found.append(Match(guideline_id=candidate.id, evidence=evidence, verdict=verdict))
    return tuple(found)


def unknown(candidates: Iterable[Candidate]) -> tuple[Match, ...]:
    """The judgement where the model gave none."""
    return tuple(Match(guideline_id=candidate.id, verdict=MatchVerdict.UNKNOWN) for candidate in candidates)


def applying(
    matches: Iterable[Match], candidates: Iterable[Candidate], unknown_applies: Collection[Criticality]
) -> tuple[str, ...]:
    """
    The ids of what applies, counting unknown guidelines by their criticality (the playbook's policy). An unknown
    choice is not opened, and an unknown journey not begun.
    """
    counted = {
        candidate.id
        for candidate in candidates
        if candidate.criticality in unknown_applies and candidate.kind not in (Kind.CHOICE, Kind.BEGINNING)
    }
    return tuple(
        match.guideline_id
        for match in matches
        if match.verdict is MatchVerdict.APPLIES
        or (match.verdict is MatchVerdict.UNKNOWN and match.guideline_id in counted)
    )


def resolutions(resolved: Resolved, choices: Mapping[str, str]) -> tuple[Resolution, ...]:
    """
    The decisions of a turn as they stand in its record, one an entity; who passed unchanged has none. *choices* are
    the ids that an open choice stands in for, each with its head.
    """
    active = frozenset(resolved.active)
    opened = tuple(
        Resolution(guideline_id=name, active=False, reason=f"ambiguous: {head}") for name, head in choices.items()
    )
    return opened + tuple(
        Resolution(
            guideline_id=name,
            active=name in active,
            reason="; ".join(f"{decision.kind}: {decision.cause}" for decision in decisions),
        )
        for name, decisions in resolved.decisions.items()
    )


def by_importance(names: Iterable[str], criticality: Mapping[str, Criticality]) -> tuple[str, ...]:
    """
    *names* with the most critical first, else in the order given; who has no criticality of its own is of medium one.
    """
    return tuple(sorted(names, key=lambda name: _RANK[criticality.get(name, Criticality.MEDIUM)]))


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
