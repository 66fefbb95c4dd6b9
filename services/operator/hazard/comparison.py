"""
With correction against without: the same answers before and after, and arms against each other.
"""

from dataclasses import dataclass

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

from services.operator.hazard.answers import Answers, Marks
from services.operator.hazard.bootstrap import cluster_sums, percentile_interval, resampled_sums
from services.operator.hazard.firstfailure import Floats, all_right
from services.operator.hazard.survival import log_rank


@dataclass(frozen=True, slots=True)
class BeforeAndAfter:
    """
    The same answers as drafted and as sent. `gained` became all right, `spoilt` ceased to be; `p_value` is McNemar's
    exact one, which takes answers as independent; the interval of `difference` does not.
    """

    answers: int
    before: float
    after: float
    gained: int
    spoilt: int
    difference: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True, slots=True)
class BetweenArms:
    """
    All-right answers as sent, of `arm` less `baseline`, with an interval by conversation.

    It is the effect of the arm only if conversations were assigned to arms by chance. `p_drafts` is the log-rank test
    of the drafts' survival.
    """

    arm: str
    baseline: str
    difference: float
    interval: tuple[float, float]
    p_drafts: float


def before_and_after(
    draft: Marks, sent: Marks, answers: Answers, rng: np.random.Generator, *, draws: int
) -> BeforeAndAfter | None:
    """The comparison over answers of which both are known; None where there are none."""
    (was, was_known), (now, now_known) = all_right(draft), all_right(sent)
    known = was_known & now_known
    if not known.any():
        return None
    was, now = was & known, now & known
    gained, spoilt = int((now & ~was).sum()), int((was & ~now).sum())
    columns = np.stack([was, now, known], axis=1)
    totals = resampled_sums(cluster_sums(columns, answers.cluster, answers.conversations), rng, draws=draws)
    table = [[int((was & now).sum()), spoilt], [gained, int((known & ~was & ~now).sum())]]
    return BeforeAndAfter(
        answers=int(known.sum()),
        before=float(was.sum() / known.sum()),
        after=float(now.sum() / known.sum()),
        gained=gained,
        spoilt=spoilt,
        difference=(float(now.sum()) - float(was.sum())) / float(known.sum()),
        interval=percentile_interval(_quotient(totals[:, 1] - totals[:, 0], totals[:, 2])),
        p_value=float(mcnemar(table, exact=True).pvalue),
    )


def between_arms(
    arm: str, baseline: str, answers: Answers, rng: np.random.Generator, *, draws: int
) -> BetweenArms | None:
    """*arm* against *baseline*; None where either has no answer whose outcome is known."""
    one, other = answers.of_arm(arm), answers.of_arm(baseline)
    good_one, good_other = _all_right_draws(one, rng, draws), _all_right_draws(other, rng, draws)
    if good_one is None or good_other is None:
        return None
    return BetweenArms(
        arm=arm,
        baseline=baseline,
        difference=good_one[0] - good_other[0],
        interval=percentile_interval(good_one[1] - good_other[1]),
        p_drafts=log_rank(one.draft, other.draft),
    )


def _all_right_draws(answers: Answers, rng: np.random.Generator, draws: int) -> tuple[float, Floats] | None:
    right, known = all_right(answers.sent)
    if not known.any():
        return None
    sums = cluster_sums(np.stack([right, known], axis=1), answers.cluster, answers.conversations)
    totals = resampled_sums(sums, rng, draws=draws)
    return float(right.sum() / known.sum()), _quotient(totals[:, 0], totals[:, 1])


def _quotient(one: Floats, other: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(one / other)
