"""
Is the chance of the first error the same at every claim? The discrete Weibull S(k) = exp(-a·k^β) against β = 1.

Positions are integers, so an error at claim k is known only to lie in (k-1, k]: the likelihood is the interval-censored
one (Nakagawa and Osaki 1975). A continuous Weibull fitted to integer positions rejects a hazard that is constant in
40 to 100 % of data sets.

The answers enter through the numbers at risk and failing at each position; every function here takes R data sets at
once, as R×K arrays.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from services.operator.hazard.bootstrap import LEVEL, proportion_interval
from services.operator.hazard.firstfailure import Floats

LOG_BETA_MAX = 3.0
"""|log β| beyond this says no more than `extreme`."""
_STEPS_MAX = 60
_HALVINGS_MAX = 12
_TOLERANCE = 1e-9
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class WeibullFits:
    """R fits of S(k) = exp(-a·k^β): log a, log β, information (R×2×2) and log-likelihood, with and without β = 1."""

    log_a: Floats
    log_beta: Floats
    information: Floats
    log_likelihood: Floats
    log_likelihood_constant: Floats
    constant_hazard: Floats

    @property
    def likelihood_ratio(self) -> Floats:
        """Of β ≠ 1 against β = 1; χ² with one degree of freedom if the hazard is constant."""
        return np.maximum(2 * (self.log_likelihood - self.log_likelihood_constant), 0.0)

    @property
    def p_values(self) -> Floats:
        """Of the likelihood-ratio test; NaN where β cannot be told."""
        return np.asarray(stats.chi2.sf(self.likelihood_ratio, 1), dtype=np.float64)

    def survival(self, claims: Floats) -> Floats:
        """S at *claims* (N) for every fit: R×N."""
        return np.asarray(np.exp(-np.exp(self.log_a)[:, None] * claims ** np.exp(self.log_beta)[:, None]))


@dataclass(frozen=True, slots=True)
class ConstantHazardTest:
    """
    The test of β = 1 for one set of answers.

    `p_clustered` is a score test whose variance comes from the conversations, so it holds when answers of one
    conversation resemble each other; `p_independent` is the likelihood ratio, which assumes that they do not.
    """

    failures: int
    claims_at_risk: int
    hazard: float
    hazard_interval: tuple[float, float]
    beta: float
    beta_interval: tuple[float, float]
    p_independent: float
    p_clustered: float


def constant_hazard_test(at_risk: Floats, failed: Floats) -> ConstantHazardTest:
    """The test, from C×K numbers at risk and first failing in each conversation."""
    n, d = at_risk.sum(axis=0, keepdims=True), failed.sum(axis=0, keepdims=True)
    fits = fit(n, d)
    low, high = proportion_interval(failed.sum(axis=1, keepdims=True), at_risk.sum(axis=1, keepdims=True))
    log_beta = float(fits.log_beta[0])
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * _clustered_error(fits, at_risk, failed)
    return ConstantHazardTest(
        failures=int(d.sum()),
        claims_at_risk=int(n.sum()),
        hazard=float(fits.constant_hazard[0]),
        hazard_interval=(float(low[0]), float(high[0])),
        beta=float(np.exp(log_beta)),
        beta_interval=(float(np.exp(log_beta - half)), float(np.exp(log_beta + half))),
        p_independent=float(fits.p_values[0]),
        p_clustered=float(clustered_p_values(at_risk[None], failed[None])[0]),
    )


def fit(at_risk: Floats, failed: Floats) -> WeibullFits:
    """
    Fits to R data sets (R×K), by Fisher scoring.

    β is NaN where it cannot be told: no failures, or nobody at risk beyond the first claim.
    """
    n, d = np.asarray(at_risk, dtype=np.float64), np.asarray(failed, dtype=np.float64)
    total, at_all = d.sum(axis=1), n.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = np.where(at_all > 0, total / at_all, np.nan)
    bounded = np.clip(np.nan_to_num(hazard, nan=0.5), 1e-12, 1 - 1e-9)
    start = np.stack([np.log(-np.log1p(-bounded)), np.zeros(len(n))], axis=1)
    tellable = (total > 0) & (total < at_all) & (n[:, 1:].sum(axis=1) > 0)
    values, log_likelihood = _climb(start, n, d)
    constant = _log_likelihood(start, n, d)
    lost = ~tellable
    values[lost, 1] = np.nan
    information = _information(np.nan_to_num(values), n)
    log_likelihood[lost] = np.nan
    return WeibullFits(values[:, 0], values[:, 1], information, log_likelihood, constant, hazard)


def clustered_p_values(at_risk: Floats, failed: Floats) -> Floats:
    """
    Score tests of β = 1 with the conversations' own variance, of R data sets of C conversations (R×C×K).

    Under β = 1 the fit is the share of failures, so nothing is iterated.
    """
    n, d = at_risk.sum(axis=1), failed.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = d.sum(axis=1) / n.sum(axis=1)
        start = np.stack([np.log(-np.log1p(-hazard)), np.zeros(len(n))], axis=1)
        information = _information(start, n)
        scores = _scores(start, at_risk, failed)
        slope = information[:, 0, 1] / information[:, 0, 0]
        residual = scores[:, :, 1] - slope[:, None] * scores[:, :, 0]
        statistic = residual.sum(axis=1) ** 2 / (residual**2).sum(axis=1)
    return np.asarray(stats.chi2.sf(statistic, 1), dtype=np.float64)


def log_beta_errors(fits: WeibullFits) -> Floats:
    """Standard errors of log β if answers are independent."""
    with np.errstate(invalid="ignore", divide="ignore"):
        determinant = np.linalg.det(fits.information)
        return np.asarray(np.sqrt(fits.information[:, 0, 0] / determinant))


def _clustered_error(fits: WeibullFits, at_risk: Floats, failed: Floats) -> float:
    """The sandwich standard error of log β."""
    if not np.isfinite(fits.log_beta[0]) or np.linalg.cond(fits.information[0]) > 1 / np.finfo(float).eps:
        return float("nan")
    values = np.stack([fits.log_a, fits.log_beta], axis=1)
    scores = _scores(values, at_risk[None], failed[None])[0]
    bread = np.linalg.inv(fits.information[0])
    return float(np.sqrt((bread @ (scores.T @ scores) @ bread)[1, 1]))


def _increments(log_beta: Floats, width: int) -> tuple[Floats, Floats]:
    """w(k) = k^β - (k-1)^β and d log w / d log β, R×K."""
    k = np.arange(1, width + 1, dtype=np.float64)
    logs = np.log(k)
    before = np.concatenate([[0.0], logs[:-1]])
    beta = np.exp(log_beta)[:, None]
    upper, lower = np.exp(beta * logs), np.where(k > 1, np.exp(beta * before), 0.0)
    increment = np.maximum(upper - lower, _TINY)
    return increment, beta * (upper * logs - lower * before) / increment


def _log_likelihood(values: Floats, n: Floats, d: Floats) -> Floats:
    increment, _ = _increments(values[:, 1], n.shape[1])
    c = np.exp(values[:, 0])[:, None] * increment
    return np.asarray((d * np.log(np.maximum(-np.expm1(-c), _TINY)) - (n - d) * c).sum(axis=1))


def _weights(values: Floats, width: int) -> tuple[Floats, Floats, Floats]:
    increment, by_log_beta = _increments(values[:, 1], width)
    c = np.exp(values[:, 0])[:, None] * increment
    return c, np.maximum(-np.expm1(-c), _TINY), np.stack([np.ones_like(by_log_beta), by_log_beta], axis=2)


def _scores(values: Floats, n: Floats, d: Floats) -> Floats:
    """Gradient by (log a, log β) of each conversation: R×C×2 from R×C×K."""
    c, h, design = _weights(values, n.shape[2])
    pull = c[:, None] * (d / h[:, None] - n)
    return np.asarray(pull @ design)


def _information(values: Floats, n: Floats) -> Floats:
    c, h, design = _weights(values, n.shape[1])
    weight = n * c**2 * (1 - h) / h
    return np.asarray(np.einsum("rk,rki,rkj->rij", weight, design, design))


def _climb(values: Floats, n: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Maximum-likelihood values (R×2) and their log-likelihoods; steps that do not climb are halved."""
    values = values.copy()
    best = _log_likelihood(values, n, d)
    ridge = 1e-9 * np.eye(2)
    for _ in range(_STEPS_MAX):
        gradient = _scores(values, n[:, None], d[:, None])[:, 0]
        step = np.linalg.solve(_information(values, n) + ridge, gradient[:, :, None])[:, :, 0]
        step = np.clip(step, -2.0, 2.0)
        gained = np.zeros(len(values))
        waiting = np.ones(len(values), dtype=bool)
        for _ in range(_HALVINGS_MAX):
            tried = values[waiting] + step[waiting]
            tried[:, 1] = np.clip(tried[:, 1], -LOG_BETA_MAX, LOG_BETA_MAX)
            reached = _log_likelihood(tried, n[waiting], d[waiting])
            climbs = reached > best[waiting]
            rows = np.flatnonzero(waiting)[climbs]
            gained[rows] = reached[climbs] - best[rows]
            values[rows], best[rows] = tried[climbs], reached[climbs]
            waiting[rows] = False
            if not waiting.any():
                break
            step = step / 2
        if gained.max(initial=0.0) < _TOLERANCE:
            break
    return values, best
