"""
What the model is asked about guidelines: one structured call for all candidates.

The order of the keys is the method (ARQ, arXiv 2503.03669): the condition is restated right before it is judged,
evidence comes before the verdict, and each guideline's verdict right after its own evidence, not all verdicts at the
end.
"""

from functools import lru_cache
from typing import Literal

from shared.arq.blueprint import Blueprint, Queries

NAME = "match_guidelines_v1"

Judgement = Literal["applies", "not_now"]
YesNo = Literal["yes", "no"]
Outstanding = Literal["nothing", "manner", "substance", "customer"]


class Check(Queries):
    """Whether a guideline that was not yet performed, or an observation, holds now."""

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


class MatchAnswer(Queries):
    """The model's answer: every candidate in exactly one of the lists; of `principles` only those that apply."""

    checks: tuple[Check, ...]
    reapplications: tuple[Reapplication, ...]
    principles: tuple[str, ...]


@lru_cache(maxsize=256)
def match_blueprint(candidates: int) -> Blueprint[MatchAnswer]:
    """
    The blueprint for *candidates* guidelines, which the prompt numbers `G1` to `Gn`: an endpoint compiles each new
    schema, and numbers recur from turn to turn where the authors' ids would not.
    """
    values = numbers(candidates)
    return Blueprint(NAME, MatchAnswer, (("guideline", values), ("principles", values)))


def numbers(count: int) -> tuple[str, ...]:
    """`G1` to `Gn`."""
    return tuple(f"G{place}" for place in range(1, count + 1))
