"""
What a review asks of a model: how guidelines are to be asked about, and whether two of them contradict.

The classification is Parlant's at indexing (research notes of the project, §3.11: continuous, customer-dependent, agent
intention), in one question a guideline instead of three.
"""

from typing import Final, Literal, get_args

from shared.arq.blueprint import Blueprint, Queries

Kind = Literal["continuous", "customer_dependent", "agent_intention"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class ClassifiedGuideline(Queries):
    """
    A guideline restated, with the words that speak for each kind (empty: none do), and then the kinds that it is of.
    """

    guideline: str
    condition: str
    agent_is_about_to: str
    action: str
    goes_on_for_ever: str
    customer_has_to_give: str
    verdict: tuple[Kind, ...]


class Classifications(Queries):
    """All guidelines of one call."""

    guidelines: tuple[ClassifiedGuideline, ...]


class ComparedPair(Queries):
    """Two guidelines: when both apply (empty: never), what each then asks, and whether both can be done."""

    pair: str
    both_apply_when: str
    first_asks: str
    second_asks: str
    evidence: str
    verdict: Literal["contradict", "compatible", "never_together"]


class Comparisons(Queries):
    """All pairs of one call."""

    pairs: tuple[ComparedPair, ...]


def classifications_blueprint(guidelines: int) -> Blueprint[Classifications]:
    """*guidelines* guidelines, `G1` …"""
    return Blueprint("classify_guidelines_v1", Classifications, (("guideline", _numbers("G", guidelines)),))


def comparisons_blueprint(pairs: int) -> Blueprint[Comparisons]:
    """*pairs* pairs, `P1` …"""
    return Blueprint("compare_guidelines_v1", Comparisons, (("pair", _numbers("P", pairs)),))


def _numbers(letter: str, count: int) -> tuple[str, ...]:
    return tuple(f"{letter}{number}" for number in range(1, count + 1))
