"""
E(k), the share of wrong claims at position k, and S(k), the share of answers without a wrong claim up to k.
"""

from dataclasses import dataclass

import numpy as np

from services.operator.hazard.answers import RIGHT, WRONG, Answers, Marks
from services.operator.hazard.bootstrap import (
    LEVEL,
    cluster_sums,
    proportion_interval,
    resampled_sums,
    zero_failures_bound,
)
from services.operator.hazard.firstfailure import Floats, all_right, first_failures, risk_sets

BIN_CLAIMS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500)
"""Upper ends of the bins of answer length, in claims: fine where answers are many."""


@dataclass(frozen=True, slots=True)
class Share:
    """Σhits of Σtrials at `at` (a position, or a mean length in claims), with a 95 % interval."""

    at: float
    hits: int
    trials: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SurvivalPoint:
    """S(k): the share of answers of at least k claims with none wrong among the first k, censoring accounted for."""

    claims: int
    at_risk: int
    survival: float
    low: float
    high: float


def hazard_by_position(marks: Marks, answers: Answers) -> tuple[Share, ...]:
    """E(k) over all judged claims at k, whatever came before; intervals by conversation."""
    count = answers.conversations
    wrong = cluster_sums(marks == WRONG, answers.cluster, count)
    judged = cluster_sums((marks == WRONG) | (marks == RIGHT), answers.cluster, count)
    return shares(wrong, judged, np.arange(1, marks.shape[1] + 1, dtype=np.float64))


def right_by_length(marks: Marks, answers: Answers) -> tuple[Share, ...]:
    """P(all right | N): the share of answers of about N claims in which every claim is right."""
    good, known = all_right(marks)
    count = answers.conversations
    ends = np.asarray(BIN_CLAIMS)
    bins = np.searchsorted(ends, answers.claims)
    chosen = (bins[:, None] == np.arange(len(ends))) & known[:, None]
    trials = cluster_sums(chosen, answers.cluster, count)
    hits = cluster_sums(chosen & good[:, None], answers.cluster, count)
    lengths = (chosen * answers.claims[:, None]).sum(axis=0)
    with np.errstate(invalid="ignore"):
        at = lengths / trials.sum(axis=0)
    return shares(hits, trials, at)


def shares(hits: Floats, trials: Floats, at: Floats) -> tuple[Share, ...]:
    """A share for each column of *hits* and *trials* (C×J) that has trials."""
    low, high = proportion_interval(hits, trials)
    x, n = hits.sum(axis=0), trials.sum(axis=0)
    return tuple(
        Share(float(at[j]), int(x[j]), int(n[j]), float(x[j] / n[j]), float(low[j]), float(high[j]))
        for j in np.flatnonzero(n > 0)
    )


def kaplan_meier(marks: Marks, answers: Answers, rng: np.random.Generator, *, draws: int) -> tuple[SurvivalPoint, ...]:
    """
    The product-limit estimate (Kaplan and Meier 1958), with intervals from *draws* resamples of the conversations.

    An answer that ends without an error is censored at its end. Where no error was seen, the lower end is what so many
    answers without one leave open, not 1.
    """
    at_risk, failed = risk_sets(
        first_failures(marks), answers.cluster, group_count=answers.conversations, width=marks.shape[1]
    )
    n, d = at_risk.sum(axis=0), failed.sum(axis=0)
    width = int((n > 0).sum())
    curve = product_limit(n[None, :width], d[None, :width])[0]
    sums = resampled_sums(np.concatenate([at_risk[:, :width], failed[:, :width]], axis=1), rng, draws=draws)
    curves = product_limit(sums[:, :width], sums[:, width:])
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(curves, [tail, 1 - tail], axis=0) if width else (np.zeros(0), np.zeros(0))
    unbroken = np.cumsum(d[:width]) == 0
    low = np.where(unbroken, [zero_failures_bound(float(count)) for count in n[:width]], low)
    return tuple(SurvivalPoint(k + 1, int(n[k]), float(curve[k]), float(low[k]), float(high[k])) for k in range(width))


def product_limit(at_risk: Floats, failed: Floats) -> Floats:
    """S at each position for R data sets, R×K; where nobody is at risk any more it stays."""
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = np.where(at_risk > 0, failed / at_risk, 0.0)
    return np.asarray(np.cumprod(1 - hazard, axis=1))


def log_rank(first: Marks, second: Marks) -> float:
    """The p-value of the log-rank test that two sets of answers have the same S(k); NaN where either is empty."""
    from lifelines.statistics import logrank_test  # noqa: PLC0415  (half a second to import, and only this needs it)

    if not len(first) or not len(second):
        return float("nan")
    one, other = first_failures(first), first_failures(second)
    if not one.failed.any() and not other.failed.any():
        return float("nan")
    return float(logrank_test(one.time, other.time, one.failed, other.failed).p_value)
