"""
What the model is asked about guidelines: one structured call for all candidates.

The order of the keys is the method (ARQ, arXiv 2503.03669): the condition is restated right before it is judged,
evidence comes before the verdict, and each guideline's verdict right after its own evidence, not all verdicts at the
end.
"""

from functools import lru_cache
from typing import Final, Literal

from shared.arq.blueprint import Blueprint, Queries

BLUEPRINTS_KEPT_MAX = 1_024
NOWHERE: Final = "none"

Judgement = Literal["applies", "not_now"]
YesNo = Literal["yes", "no"]
Outstanding = Literal["nothing", "manner", "substance", "customer"]
Course = Literal["goes_on", "revises", "begins_anew", "set_aside"]
Completion = Literal["completed", "needs_customer", "needs_agent", "needs_tool"]


class Check(Queries):
    """Whether a guideline that was not yet performed, an observation, or a journey's beginning holds now."""

    guideline: str
    condition: str
    evidence: str
    verdict: Judgement


class Reapplication(Queries):
    """Whether a guideline that a reply has already performed is to be performed again."""

    guideline: str
    condition: str
    evidence: str
    met_again: YesNo
    outstanding: Outstanding
    verdict: Judgement


class Choice(Queries):
    """Whether it is unclear which of several things the customer wants; `options` are those that fit what is known."""

    guideline: str
    evidence: str
    asked_before: YesNo
    settled: YesNo
    options: tuple[str, ...]
    verdict: Literal["ask", "clear"]


class Step(Queries):
    """Whether a state of a journey is completed, and where the way leads from it."""

    state: str
    evidence: str
    completed: Completion
    leads_to: str


class JourneyCheck(Queries):
    """How a journey under way goes on: from which state the way is walked, and the states on it."""

    journey: str
    situation: str
    course: Course
    back_to: str
    steps: tuple[Step, ...]


class PlainAnswer(Queries):
    """The answer about a playbook without journeys and choices: of `principles` only those that apply."""

    checks: tuple[Check, ...]
    reapplications: tuple[Reapplication, ...]
    principles: tuple[str, ...]


class FullAnswer(Queries):
    """The answer about a playbook with journeys or choices."""

    checks: tuple[Check, ...]
    reapplications: tuple[Reapplication, ...]
    principles: tuple[str, ...]
    choices: tuple[Choice, ...]
    journeys: tuple[JourneyCheck, ...]


MatchAnswer = PlainAnswer | FullAnswer


@lru_cache(maxsize=BLUEPRINTS_KEPT_MAX)
def plain_blueprint(candidates: int) -> Blueprint[PlainAnswer]:
    """
    The blueprint for *candidates* guidelines, which the prompt numbers `G1` to `Gn`: an endpoint compiles each new
    schema, and numbers recur from turn to turn where the authors' ids would not.
    """
    values = numbers("G", candidates)
    return Blueprint("match_guidelines_v1", PlainAnswer, (("guideline", values), ("principles", values)))


@lru_cache(maxsize=BLUEPRINTS_KEPT_MAX)
def full_blueprint(candidates: int, journeys: int, states: int) -> Blueprint[FullAnswer]:
    """The same with journeys (`J1` …) and their states (`S1` … over all of them)."""
    guidelines, places = numbers("G", candidates), numbers("S", states)
    choices = (
        ("guideline", guidelines),
        ("principles", guidelines),
        ("options", guidelines),
        ("journey", numbers("J", journeys)),
        ("state", places),
        ("back_to", (*places, NOWHERE)),
        ("leads_to", (*places, "end", NOWHERE)),
    )
    # A restriction to no value at all would be an empty enum, which endpoints reject.
    return Blueprint("match_situations_v1", FullAnswer, tuple(choice for choice in choices if choice[1]))


def numbers(letter: str, count: int) -> tuple[str, ...]:
    """`G1` to `Gn`."""
    return tuple(f"{letter}{place}" for place in range(1, count + 1))
