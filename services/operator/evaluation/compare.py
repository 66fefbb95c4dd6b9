"""
Two evaluations of the same scenarios against each other: which scenarios changed, and whether that is more than chance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from statsmodels.stats.contingency_tables import mcnemar

from services.operator.evaluation.result import Result


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    The scenarios of both runs. One is passed where more than half of its plays are right. `gained` are passed in the
    second run alone, `lost` in the first alone; `p_value` is McNemar's exact one (1947).
    """

    both: int
    neither: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    p_value: float
    unpaired: int


def compared(first: Iterable[Result], second: Iterable[Result]) -> Comparison:
    """*second* against *first*, scenario by scenario and size by size; `unpaired` were played in one run only."""
    before, after = _passed(first), _passed(second)
    common = sorted(before.keys() & after.keys())
    gained = tuple(_label(key) for key in common if after[key] and not before[key])
    lost = tuple(_label(key) for key in common if before[key] and not after[key])
    both = sum(before[key] and after[key] for key in common)
    neither = len(common) - both - len(gained) - len(lost)
    p_value = 1.0
    if gained or lost:
        p_value = float(mcnemar([[both, len(lost)], [len(gained), neither]], exact=True).pvalue)
    return Comparison(both, neither, gained, lost, p_value, len(before.keys() ^ after.keys()))


def _passed(results: Iterable[Result]) -> Mapping[tuple[str, int], bool]:
    plays: dict[tuple[str, int], list[bool]] = {}
    for result in results:
        plays.setdefault((result.scenario, result.guidelines), []).append(result.is_right)
    return {key: 2 * sum(right) > len(right) for key, right in plays.items()}


def _label(key: tuple[str, int]) -> str:
    scenario, guidelines = key
    return f"{scenario} at {guidelines} guidelines"
