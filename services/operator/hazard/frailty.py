"""
Hard answers or later claims? Heterogeneity between answers (frailty) against a hazard that changes within them.

When answers differ in difficulty, the hard ones fail early and leave the risk set, so the pooled hazard of the first
error falls although every answer's own hazard is constant. All claims of an answer, not only its first error, tell the
two apart: if its hazard is constant, its wrong claims stand anywhere in it with the same chance, however hard it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special, stats

from services.operator.hazard.answers import RIGHT, WRONG, Integers, Marks
from services.operator.hazard.bootstrap import LEVEL, cluster_sums, two_sided
from services.operator.hazard.firstfailure import Floats

NODES = 32
"""Of the quadrature over answers; exact for a constant hazard in answers of up to 63 claims."""
_RHO_MIN, _RHO_MAX = 1e-6, 0.98
_LOG_BETA_MAX = 2.5
_RHO_SHOWN_MIN = 1e-4
_STEP = 0.02
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class FrailtyFit:
    """
    Claim k of an answer is wrong with chance 1-(1-E)^(k^β-(k-1)^β), the answer's own E being Beta with mean `hazard`.

    `correlation` is that of two claims of an answer (0: all answers are alike).
    """

    hazard: float
    correlation: float
    beta: float
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class WithinAnswers:
    """
    Whether wrong claims stand early or late within their answers, given how many there are.

    Free of assumptions about how answers differ. `shift` < 0: early (a falling hazard); > 0: late (a rising one); in
    standard deviations of what an even scatter gives. `informative` answers have both right and wrong claims.
    """

    informative: int
    shift: float
    p_value: float


@dataclass(frozen=True, slots=True)
class FrailtyComparison:
    """Four models of all claims, nested: constant, frailty alone, β alone, both."""

    constant: FrailtyFit
    frailty: FrailtyFit
    weibull: FrailtyFit
    both: FrailtyFit
    p_heterogeneity: float
    """of a constant hazard alike in all answers, against one that differs between them (β = 1 in both)"""
    p_beta_given_frailty: float
    """of β = 1, answers being allowed to differ"""
    beta_interval: tuple[float, float]
    """of β in `both`, answers taken as independent"""
    within: WithinAnswers

    @property
    def p_heterogeneity_given_beta(self) -> float:
        """Of answers that are alike, the hazard being allowed to change within them."""
        return boundary_p_value(self.both, self.weibull)


def compare(marks: Marks, cluster: Integers, *, cluster_count: int) -> FrailtyComparison:
    """The comparison, from A×K *marks* and the conversation of each answer."""
    data = _data(marks)
    constant, frailty = heterogeneity(marks)
    weibull = _fitted(data, free_rho=False, free_beta=True, start=constant)
    both = _fitted(data, free_rho=True, free_beta=True, start=max((frailty, weibull), key=lambda f: f.log_likelihood))
    return FrailtyComparison(
        constant=constant,
        frailty=frailty,
        weibull=weibull,
        both=both,
        p_heterogeneity=boundary_p_value(frailty, constant),
        p_beta_given_frailty=float(stats.chi2.sf(max(0.0, 2 * (both.log_likelihood - frailty.log_likelihood)), 1)),
        beta_interval=_beta_interval(data, both),
        within=within_answers(marks, cluster, cluster_count=cluster_count),
    )


def heterogeneity(marks: Marks) -> tuple[FrailtyFit, FrailtyFit]:
    """The fits with β = 1: all answers alike, and answers that differ (the beta-binomial)."""
    # With a constant hazard the order of an answer's claims does not matter: sorted, few patterns are left.
    data = _data(np.sort(marks, axis=1)[:, ::-1])
    constant = _fitted(data, free_rho=False, free_beta=False)
    return constant, _fitted(data, free_rho=True, free_beta=False, start=constant)


def within_answers(marks: Marks, cluster: Integers, *, cluster_count: int) -> WithinAnswers:
    """
    The stratified position test: Σ over wrong claims of log k less the answer's mean, with the conversations' variance.
    """
    judged = (marks == RIGHT) | (marks == WRONG)
    wrong = marks == WRONG
    of, failures = judged.sum(axis=1), wrong.sum(axis=1)
    informative = (failures > 0) & (failures < of)
    score = np.where(judged, np.log(np.arange(1, marks.shape[1] + 1)), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = score.sum(axis=1) / of
    surplus = np.where(informative, (score * wrong).sum(axis=1) - failures * np.nan_to_num(mean), 0.0)
    sums = cluster_sums(surplus, cluster, cluster_count)[:, 0]
    spread = float(np.sqrt((sums**2).sum()))
    if spread == 0:
        return WithinAnswers(int(informative.sum()), float("nan"), float("nan"))
    shift = float(sums.sum()) / spread
    return WithinAnswers(int(informative.sum()), shift, two_sided(shift))


def boundary_p_value(larger: FrailtyFit, smaller: FrailtyFit) -> float:
    """Of a variance being zero: half the time the estimate lies on the boundary (Self and Liang 1987)."""
    ratio = 2 * (larger.log_likelihood - smaller.log_likelihood)
    return 1.0 if ratio <= 0 else float(stats.chi2.sf(ratio, 1)) / 2


Data = tuple[Floats, Floats, Floats]
"""Right and wrong claims of each pattern (P×K, 0 or 1), and how many answers show it (P)."""


def _data(marks: Marks) -> Data:
    patterns, counts = np.unique(_judged(marks), axis=0, return_counts=True)
    return (
        (patterns == RIGHT).astype(np.float64),
        (patterns == WRONG).astype(np.float64),
        counts.astype(np.float64),
    )


def _judged(marks: Marks) -> Marks:
    """*marks* without the answers of which nothing is known; one empty column where there are no claims at all."""
    known = marks[((marks == RIGHT) | (marks == WRONG)).any(axis=1)]
    return known if known.shape[1] else np.zeros((0, 1), dtype=np.int8)


def _beta_shape(hazard: float, correlation: float) -> tuple[float, float]:
    size = 1 / correlation - 1
    return hazard * size, (1 - hazard) * size


def _nodes(hazard: float, correlation: float) -> tuple[Floats, Floats]:
    """log(1-E) at the quadrature's nodes, and the log of their weights (Golub and Welsch 1969, Jacobi polynomials)."""
    if correlation <= _RHO_MIN:
        return np.array([np.log1p(-hazard)]), np.zeros(1)
    wrong, right = _beta_shape(hazard, correlation)
    a, b = right - 1, wrong - 1
    n = np.arange(NODES, dtype=np.float64)
    first = (b - a) / (a + b + 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        diagonal = (b**2 - a**2) / ((2 * n + a + b) * (2 * n + a + b + 2))
        m = n[1:]
        off = 4 * m * (m + a) * (m + b) * (m + a + b) / ((2 * m + a + b) ** 2 * ((2 * m + a + b) ** 2 - 1))
    diagonal[0] = first
    off[0] = 4 * (1 + a) * (1 + b) / ((2 + a + b) ** 2 * (3 + a + b))
    roots, vectors = linalg.eigh_tridiagonal(diagonal, np.sqrt(off))
    # A node is E = (1+x)/2; the rounding of the eigenvalues must not leave (0, 1).
    error = np.clip((1 + roots) / 2, 1e-15, 1 - 1e-15)
    return np.log1p(-error), np.log(np.maximum(vectors[0] ** 2, _TINY))


def _log_likelihood(data: Data, hazard: float, correlation: float, log_beta: float) -> float:
    right, wrong, counts = data
    k = np.arange(1, right.shape[1] + 1, dtype=np.float64)
    beta = np.exp(log_beta)
    increment = np.maximum(k**beta - (k - 1) ** beta, _TINY)
    log_right, log_weight = _nodes(hazard, correlation)
    each = increment[:, None] * log_right
    log_wrong = np.log(np.maximum(-np.expm1(each), _TINY))
    by_node = right @ each + wrong @ log_wrong + log_weight
    return float(counts @ special.logsumexp(by_node, axis=1))


def _fitted(data: Data, *, free_rho: bool, free_beta: bool, start: FrailtyFit | None = None) -> FrailtyFit:
    right, wrong, counts = data
    failures, claims = float(counts @ wrong.sum(axis=1)), float(counts @ (right + wrong).sum(axis=1))
    if not 0 < failures < claims:
        hazard = failures / claims if claims else float("nan")
        return FrailtyFit(hazard, 0.0, 1.0, 0.0)
    share = failures / claims
    if not (free_rho or free_beta):
        return FrailtyFit(share, 0.0, 1.0, _log_likelihood(data, share, 0.0, 0.0))
    free = [True, free_rho, free_beta]
    begin = start or FrailtyFit(share, 0.0, 1.0, -np.inf)
    begins = np.array(
        [special.logit(begin.hazard), special.logit(max(begin.correlation, 0.05)), np.log(begin.beta)],
    )

    def values(point: Floats) -> tuple[float, float, float]:
        full = begins.copy()
        full[free] = point
        rho = float(np.clip(special.expit(full[1]), _RHO_MIN, _RHO_MAX)) if free_rho else 0.0
        log_beta = float(np.clip(full[2], -_LOG_BETA_MAX, _LOG_BETA_MAX)) if free_beta else 0.0
        return float(np.clip(special.expit(full[0]), 1e-9, 1 - 1e-9)), rho, log_beta

    found = optimize.minimize(
        lambda point: -_log_likelihood(data, *values(point)),
        begins[free],
        method="Nelder-Mead",
        options={"xatol": 1e-4, "fatol": 1e-5, "maxiter": 600},
    )
    hazard, rho, log_beta = values(found.x)
    fitted = FrailtyFit(hazard, rho, float(np.exp(log_beta)), -float(found.fun))
    # A nested model is also a point of this one; the search may stop short of it at a boundary.
    return fitted if start is None or fitted.log_likelihood >= start.log_likelihood else start


def _beta_interval(data: Data, both: FrailtyFit) -> tuple[float, float]:
    """From the curvature of the log-likelihood at its top (Wald, in log β); a correlation of nought is held."""
    right, wrong, _ = data
    if not wrong.any() or not right.any():
        return float("nan"), float("nan")
    differ = both.correlation > _RHO_SHOWN_MIN
    top = np.array([special.logit(both.hazard), np.log(both.beta)] + [special.logit(both.correlation)] * differ)

    def height(point: Floats) -> float:
        rho = float(special.expit(point[2])) if differ else 0.0
        return _log_likelihood(data, float(special.expit(point[0])), rho, float(point[1]))

    error = _second_error(-_curvature(height, top))
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return float(both.beta * np.exp(-half)), float(both.beta * np.exp(half))


def _curvature(height: Callable[[Floats], float], top: Floats) -> Floats:
    """Second derivatives at *top* by central differences."""
    steps = _STEP * np.eye(len(top))
    return np.array(
        [
            [
                (height(top + a + b) - height(top + a - b) - height(top - a + b) + height(top - a - b)) / (4 * _STEP**2)
                for b in steps
            ]
            for a in steps
        ]
    )


def _second_error(information: Floats) -> float:
    """The standard error of the second parameter; NaN where the data do not tell it."""
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information).min() <= 0:
        return float("nan")
    return float(np.sqrt(np.linalg.inv(information)[1, 1]))
