"""
What is independent is the conversation: intervals by the cluster bootstrap, and by the clusters' own variance.

Every statistic here is a function of sums over conversations, so a resample is a vector of multiplicities and a
thousand resamples are one matrix product.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from services.operator.hazard.answers import Integers
from services.operator.hazard.firstfailure import Floats

DRAWS = 2_000
LEVEL = 0.95
_CELLS_MAX = 20_000_000
"""Multiplicities held at once: 80 MB."""


def cluster_sums(values: Any, cluster: Integers, cluster_count: int) -> Floats:
    """*values* (A or A×J) summed within clusters: C×J."""
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    sums = np.zeros((cluster_count, array.shape[1]))
    np.add.at(sums, cluster, array)
    return sums


def resampled_sums(sums: Floats, rng: np.random.Generator, *, draws: int = DRAWS) -> Floats:
    """Totals of *sums* (C×J) over *draws* resamples of the C clusters with replacement: draws×J."""
    return np.concatenate([weights @ sums for weights in _multiplicities(len(sums), rng, draws)])


def percentile_interval(values: Floats, *, level: float = LEVEL) -> tuple[float, float]:
    """The middle *level* of *values*; NaNs (resamples in which the statistic does not exist) are left out."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def share_interval(share: float, drawn: Floats, trials: float, *, level: float = LEVEL) -> tuple[float, float]:
    """
    An interval of a *share* made of several others, from its resamples: normal on the logit scale.

    Shares near 0 and 1 are skewed, and percentiles of few events come out too short. At 0 and 1 themselves resamples do
    not vary; what *trials* without an event leave open stands in.
    """
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(share) or known.size == 0:
        return float("nan"), float("nan")
    if share <= 0 or share >= 1:
        bound = zero_failures_bound(trials, level=level)
        return (0.0, 1 - bound) if share <= 0 else (bound, 1.0)
    inside = known[(known > 0) & (known < 1)]
    half = float(stats.norm.ppf((1 + level) / 2)) * float(np.std(special.logit(inside))) if inside.size else 0.0
    centre = special.logit(share)
    return float(special.expit(centre - half)), float(special.expit(centre + half))


def proportion_interval(hits: Floats, trials: Floats, *, level: float = LEVEL) -> tuple[Floats, Floats]:
    """
    Intervals of the shares Σhits/Σtrials, from sums by cluster (C×J): Wilson's, on the effective number of trials.

    The effective number is the trials divided by the design effect, the variance over clusters against the binomial's
    (Korn and Graubard 1998), so neither clustering nor zero failures make an interval too short. NaN without trials.
    """
    n, x = trials.sum(axis=0), hits.sum(axis=0)
    clusters = (trials > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = x / n
        spread = ((hits - p * trials) ** 2).sum(axis=0) * clusters / (clusters - 1) / n**2
        effect = spread / (p * (1 - p) / n)
    effective = n / np.where(np.isfinite(effect), np.maximum(effect, 1.0), 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = proportion_confint(np.where(n > 0, p, 0) * effective, effective, alpha=1 - level, method="wilson")
    absent = n <= 0
    return np.where(absent, np.nan, low), np.where(absent, np.nan, high)


def zero_failures_bound(trials: float, *, level: float = LEVEL) -> float:
    """The least success chance that *trials* independent successes without a failure leave open (two-sided)."""
    return float(((1 - level) / 2) ** (1 / trials)) if trials > 0 else 0.0


def two_sided(z: float) -> float:
    """The two-sided p-value of a standard normal *z*."""
    return float(2 * stats.norm.sf(abs(z)))


def _multiplicities(clusters: int, rng: np.random.Generator, draws: int) -> Iterator[Floats]:
    if clusters == 0:
        yield np.zeros((draws, 0))
        return
    at_once = max(1, min(draws, _CELLS_MAX // clusters))
    for begin in range(0, draws, at_once):
        count = min(at_once, draws - begin)
        picked = rng.integers(0, clusters, size=(count, clusters)) + clusters * np.arange(count)[:, None]
        yield np.bincount(picked.ravel(), minlength=count * clusters).reshape(count, clusters).astype(np.float64)
