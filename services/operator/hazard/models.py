"""
Four models of P(all right | N), fitted to the short answers of R data sets at once.

* constant: (1-E)^N, E from the first failures;
* weibull: exp(-a·N^β), from the first failures (discrete.py);
* frailty: E[(1-E_i)^N], E_i Beta over answers, from the number of wrong claims of each answer (beta-binomial);
* two_state: c/(c+e) + e/(c+e)·(1-e-c)^N, from which answers were all right: the one that does not tend to 0.

The first two are climbed; the last two are looked for on a grid of their two parameters, the same for all data sets, so
that refitting thousands of resamples is one matrix product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, special

from services.operator.hazard.answers import RIGHT, WRONG, Integers, Marks
from services.operator.hazard.bootstrap import cluster_sums
from services.operator.hazard.discrete import fit
from services.operator.hazard.firstfailure import Floats, all_right, first_failures, risk_sets

Model = Literal["constant", "weibull", "frailty", "two_state"]
MODELS: tuple[Model, ...] = ("constant", "weibull", "frailty", "two_state")

_GRID = 48
_CHANCE_MIN = 1e-9


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a data set's sums stand for: positions, lengths, and (claims, wrong claims) of answers."""

    width: int
    lengths: Floats
    cells: Floats

    @property
    def columns(self) -> int:
        """How many there are."""
        return 2 * self.width + 2 * len(self.lengths) + len(self.cells)

    def split(self, sums: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """*sums* (R×columns) as at risk, failed, answers and all-right answers by length, answers by cell."""
        ends = np.cumsum([self.width, self.width, len(self.lengths), len(self.lengths)])
        at_risk, failed, answers, right, cells = np.split(sums, ends, axis=1)
        return at_risk, failed, answers, right, cells


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model's parameters, and P(all right | N) for R data sets at the lengths asked for (R×N)."""

    parameters: dict[str, Floats]
    chances: Callable[[Floats], Floats]


def sums_of(marks: Marks, claims: Integers, cluster: Integers, cluster_count: int) -> tuple[Layout, Floats]:
    """What the models need of fully judged answers, summed by conversation: C×columns."""
    width = marks.shape[1]
    at_risk, failed = risk_sets(first_failures(marks), cluster, group_count=cluster_count, width=width)
    right, _ = all_right(marks)
    lengths, of_length = np.unique(claims, return_inverse=True)
    is_length = of_length[:, None] == np.arange(len(lengths))
    judged = ((marks == RIGHT) | (marks == WRONG)).sum(axis=1)
    pairs = np.stack([judged, (marks == WRONG).sum(axis=1)], axis=1)
    cells, of_cell = np.unique(pairs, axis=0, return_inverse=True)
    is_cell = of_cell.reshape(-1, 1) == np.arange(len(cells))
    parts = [
        at_risk,
        failed,
        cluster_sums(is_length, cluster, cluster_count),
        cluster_sums(is_length & right[:, None], cluster, cluster_count),
        cluster_sums(is_cell, cluster, cluster_count),
    ]
    return Layout(width, lengths.astype(np.float64), cells.astype(np.float64)), np.concatenate(parts, axis=1)


def fitted(model: Model, layout: Layout, sums: Floats, *, refine: bool) -> Fitted:
    """*model* fitted to R data sets (R×columns); with *refine*, the grid's best point is climbed from."""
    at_risk, failed, answers, right, cells = layout.split(sums)
    if model == "two_state":
        return _two_state(layout.lengths, answers, right, refine=refine)
    if model == "frailty":
        return _frailty(layout.cells, cells, refine=refine)
    fits = fit(at_risk, failed)
    if model == "constant":
        hazard = fits.constant_hazard
        return Fitted({"E": hazard}, lambda at: np.asarray((1 - hazard[:, None]) ** at))
    first = np.asarray(-np.expm1(-np.exp(fits.log_a)))
    return Fitted({"E(1)": first, "beta": np.exp(fits.log_beta)}, fits.survival)


def two_state(e: Floats, c: Floats, claims: Floats) -> Floats:
    """P(right at N) of the two-state chain that begins right, for R pairs of chances: R×N."""
    e, c = np.asarray(e, dtype=np.float64)[:, None], np.asarray(c, dtype=np.float64)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        limit = np.where(e + c > 0, c / (c + e), 1.0)
    return np.asarray(limit + (1 - limit) * (1 - e - c) ** np.asarray(claims, dtype=np.float64))


def frailty_all_right(mean: Floats, correlation: Floats, claims: Floats) -> Floats:
    """E[(1-E_i)^N] for R Beta distributions of E_i: R×N."""
    size = 1 / correlation[:, None] - 1
    wrong, good = mean[:, None] * size, (1 - mean[:, None]) * size
    return np.asarray(np.exp(special.betaln(wrong, good + claims) - special.betaln(wrong, good)))


def _two_state(lengths: Floats, answers: Floats, right: Floats, *, refine: bool) -> Fitted:
    e, c = _mesh(np.geomspace(3e-4, 0.6, _GRID), np.concatenate([[0.0], np.geomspace(2e-3, 0.95, _GRID - 1)]))

    def gains(e: Floats, c: Floats) -> tuple[Floats, Floats]:
        chance = np.clip(two_state(e, c, lengths), _CHANCE_MIN, 1 - _CHANCE_MIN)
        return np.log(chance), np.log1p(-chance)

    e, c = _best(e, c, gains, right, answers - right, refine=refine)
    with np.errstate(invalid="ignore", divide="ignore"):
        limit = c / (c + e)
    return Fitted({"e": e, "c": c, "limit": limit}, lambda at: two_state(e, c, at))


def _frailty(pairs: Floats, cells: Floats, *, refine: bool) -> Fitted:
    claims, wrong = pairs[:, 0], pairs[:, 1]
    mean, correlation = _mesh(np.geomspace(3e-4, 0.9, _GRID), np.geomspace(1e-5, 0.9, _GRID))

    def gains(mean: Floats, correlation: Floats) -> tuple[Floats, Floats]:
        size = 1 / correlation[:, None] - 1
        a, b = mean[:, None] * size, (1 - mean[:, None]) * size
        scores = special.betaln(a + wrong, b + claims - wrong) - special.betaln(a, b)
        return scores, np.zeros_like(scores)

    mean, correlation = _best(mean, correlation, gains, cells, np.zeros_like(cells), refine=refine)
    return Fitted({"E": mean, "correlation": correlation}, lambda at: frailty_all_right(mean, correlation, at))


Gains = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Two parameters of P points → log chances of either outcome in every cell, P×J each."""


def _mesh(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    first, second = np.meshgrid(one, other, indexing="ij")
    return first.ravel(), second.ravel()


def _best(
    first: Floats, second: Floats, gains: Gains, yes: Floats, no: Floats, *, refine: bool
) -> tuple[Floats, Floats]:
    """For R data sets (R×J counts of either outcome) the likeliest point of the grid, climbed from with *refine*."""
    for_yes, for_no = gains(first, second)
    scores = yes @ for_yes.T + no @ for_no.T
    rows, top = np.arange(len(scores)), scores.argmax(axis=1)
    one, other = first[top], second[top]
    if not refine:
        return one, other
    for row in rows:

        def loss(point: Floats, row: int = int(row)) -> float:
            if (point <= 0).any() or (point >= 1).any():
                return float("inf")
            for_yes, for_no = gains(point[:1], point[1:])
            return -float(yes[row] @ for_yes[0] + no[row] @ for_no[0])

        begin = np.maximum([one[row], other[row]], 1e-4)
        found = optimize.minimize(loss, begin, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-7})
        if -found.fun > scores[row, top[row]]:
            one[row], other[row] = found.x
    return one, other
