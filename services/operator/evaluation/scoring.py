"""
How often decisions are right, with intervals: pure.

A scenario's repeats are no independent evidence (intra-task correlation of agents is about 0.4), so scenarios are the
units of every interval. Sources: pass^k of tau-bench (arXiv 2406.12045), Wilson (1927).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt
from statsmodels.stats.proportion import proportion_confint

from services.operator.evaluation.result import Result

Counts = npt.NDArray[np.int_]

LEVEL = 0.95
DRAWS = 2_000
SEED = 1
TOTAL = "all"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """
    An area's figures. `precision` and `recall` are over all single decisions, None where nothing was said or expected;
    `exact` is the share of plays whose whole set is right; `passes` is pass^k for k = 1 … the fewest repeats.
    """

    area: str
    scenarios: int
    plays: int
    failures: int
    unknown: int
    strays: int
    precision: Estimate | None
    recall: Estimate | None
    exact: Estimate
    passes: tuple[Estimate, ...]
    calls: float
    input_tokens: float
    output_tokens: float
    seconds: float


def scores(results: Iterable[Result]) -> tuple[Score, ...]:
    """The figures of each area by name, and of all of them last; costs and seconds are means a play."""
    areas: dict[str, list[Result]] = defaultdict(list)
    every = list(results)
    for result in every:
        areas[result.area].append(result)
    found = [_score(name, areas[name]) for name in sorted(areas)]
    return (*found, _score(TOTAL, every)) if every else ()


def pass_hat(right: int, plays: int, k: int) -> float:
    """
    The unbiased estimate of the chance that *k* plays are all right: C(right, k) / C(plays, k).

    Raises:
        ValueError: k is not within 1 … plays.

    """
    if not 1 <= k <= plays:
        raise ValueError(f"pass^{k} of {plays} plays is not defined")
    return comb(right, k) / comb(plays, k)


def by_scenario(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The plays of each scenario; with several sizes of playbook, of each size."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result.fingerprint].append(result)
    return dict(groups)


def _score(area: str, results: Sequence[Result]) -> Score:
    groups = list(by_scenario(results).values())
    right = [sum(result.is_right for result in group) for group in groups]
    fewest = min(len(group) for group in groups)
    counts = np.array([[sum(column) for column in zip(*map(_counts, group), strict=True)] for group in groups])
    return Score(
        area=area,
        scenarios=len(groups),
        plays=len(results),
        failures=sum(bool(result.failure) for result in results),
        unknown=sum(result.unknown for result in results),
        strays=sum(result.strays for result in results),
        precision=_ratio(counts[:, 0], counts[:, 1]),
        recall=_ratio(counts[:, 0], counts[:, 2]),
        exact=share([count / len(group) for count, group in zip(right, groups, strict=True)]),
        passes=tuple(
            share([pass_hat(count, len(group), k) for count, group in zip(right, groups, strict=True)])
            for k in range(1, fewest + 1)
        ),
        calls=_mean([result.calls for result in results]),
        input_tokens=_mean([result.input_tokens for result in results]),
        output_tokens=_mean([result.output_tokens for result in results]),
        seconds=_mean([result.seconds for result in results]),
    )


def _counts(result: Result) -> tuple[int, int, int]:
    """True positives, all that was said, all that was expected."""
    expected, said = set(result.expected), set(result.observed)
    return len(expected & said), len(said), len(expected)


def share(values: Sequence[float]) -> Estimate:
    """Wilson's interval of a mean of shares over scenarios: wide enough, as no share varies more than a yes or no."""
    count = float(sum(values))
    low, high = proportion_confint(count, len(values), alpha=1 - LEVEL, method="wilson")
    return Estimate(count / len(values), float(low), float(high))


def _ratio(part: Counts, whole: Counts) -> Estimate | None:
    """
    A ratio of sums with a percentile interval from resampled scenarios; where all or nothing is right, which no
    resample would change, with Wilson's over the scenarios that have a say.
    """
    if not whole.sum():
        return None
    if part.sum() in {0, whole.sum()}:
        return share((part[whole > 0] > 0).astype(float).tolist())
    drawn = np.random.default_rng(SEED).integers(len(whole), size=(DRAWS, len(whole)))
    parts, wholes = part[drawn].sum(axis=1), whole[drawn].sum(axis=1)
    ratios = parts[wholes > 0] / wholes[wholes > 0]
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(part.sum() / whole.sum()), float(low), float(high))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
