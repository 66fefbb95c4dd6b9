"""
The direct test of (1-E)^N: fit on short answers, predict P(all right | N) of long ones, compare with what happened.

Every model is fitted to short answers alone. (1-E)^N gets the E that fits the first failures best, which is its best
case. Intervals come from resampling conversations, short and long answers together, and refitting every model in every
resample: they carry the uncertainty of the fit as well as that of the long answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.operator.hazard.answers import Answers, Integers, Marks
from services.operator.hazard.bootstrap import cluster_sums, percentile_interval, resampled_sums, two_sided
from services.operator.hazard.firstfailure import Floats, all_right
from services.operator.hazard.models import MODELS, Layout, Model, fitted, sums_of
from services.operator.hazard.survival import BIN_CLAIMS, Share, shares

LONG_SHARE_MIN = 0.25
"""The longest answers that make up at least this share are the long ones, unless a border is given."""
ANSWERS_MIN = 30
"""Of each side of the border; with fewer there is nothing to fit or to hold it against."""
_CHANCE_MIN = 1e-6
"""A predicted chance is held this far from 0 and 1, so that one surprise does not decide a mean log score."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """
    One model on the long answers.

    `log_score` is the mean log chance that it gave to what happened (nearer 0 is better); `gain` is the difference to
    (1-E)^N. `expected` is the share of all-right answers that it predicts, `surplus` what was measured less that.
    """

    model: Model
    parameters: dict[str, float]
    parameter_intervals: dict[str, tuple[float, float]]
    log_score: float
    gain: float
    gain_interval: tuple[float, float]
    expected: float
    expected_interval: tuple[float, float]
    surplus: float
    surplus_interval: tuple[float, float]
    p_surplus: float
    """of a surplus of 0, from the resamples' spread"""
    by_length: tuple[float, ...]
    """expected in the bins of `OutOfSample.measured`"""


@dataclass(frozen=True, slots=True)
class OutOfSample:
    """Predictions of answers with more than `short_max` claims from those with at most as many."""

    short_max: int
    short_answers: int
    long_answers: int
    observed: float
    measured: tuple[Share, ...]
    predictions: tuple[Prediction, ...]

    def of(self, model: Model) -> Prediction:
        """The prediction of *model*."""
        return next(one for one in self.predictions if one.model == model)


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """Long answers of R data sets by length: how many, and how many all right (R×N)."""

    lengths: Floats
    answers: Floats
    right: Floats

    def score(self, chances: Floats) -> Floats:
        held = np.clip(chances, _CHANCE_MIN, 1 - _CHANCE_MIN)
        total = self.right * np.log(held) + (self.answers - self.right) * np.log1p(-held)
        return self._mean(total)

    def expected(self, chances: Floats) -> Floats:
        return self._mean(self.answers * chances)

    @property
    def observed(self) -> Floats:
        return self._mean(self.right)

    def _mean(self, total: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(total.sum(axis=1) / self.answers.sum(axis=1))


def border(claims: Integers) -> int:
    """The largest number of claims that leaves LONG_SHARE_MIN of the answers beyond it; 0 where all are alike."""
    lengths = np.unique(claims)
    beyond = [int(length) for length in lengths[:-1] if (claims > length).mean() >= LONG_SHARE_MIN]
    return beyond[-1] if beyond else int(lengths[-2]) if len(lengths) > 1 else 0


def out_of_sample(
    marks: Marks,
    answers: Answers,
    rng: np.random.Generator,
    *,
    draws: int,
    short_max: int | None = None,
    models: Sequence[Model] = MODELS,
) -> OutOfSample | None:
    """
    The comparison of *models* ((1-E)^N comes first), over answers all of whose claims were judged.

    None with fewer than ANSWERS_MIN of them on either side of the border, or where the short ones are all right or all
    wrong: then there is nothing to fit.
    """
    right, known = all_right(marks)
    if not known.any():
        return None
    m0 = border(answers.claims[known]) if short_max is None else short_max
    short, long = known & (answers.claims <= m0), known & (answers.claims > m0)
    if min(short.sum(), long.sum()) < ANSWERS_MIN or right[short].all() or not right[short].any():
        return None
    count = answers.conversations
    layout, fit_sums = sums_of(marks[short][:, :m0], answers.claims[short], answers.cluster[short], count)
    lengths = np.unique(answers.claims[long])
    of_length = (answers.claims[long][:, None] == lengths).astype(np.float64)
    of_right = of_length * right[long][:, None]
    sums = np.concatenate(
        [fit_sums, *(cluster_sums(one, answers.cluster[long], count) for one in (of_length, of_right))], axis=1
    )
    measured = _in_bins(lengths, *np.split(sums[:, layout.columns :], 2, axis=1))
    return OutOfSample(
        short_max=m0,
        short_answers=int(short.sum()),
        long_answers=int(long.sum()),
        observed=float(right[long].mean()),
        measured=measured,
        predictions=_predictions(
            models, layout, lengths.astype(np.float64), sums, resampled_sums(sums, rng, draws=draws)
        ),
    )


def _predictions(
    models: Sequence[Model], layout: Layout, lengths: Floats, sums: Floats, drawn: Floats
) -> tuple[Prediction, ...]:
    total = sums.sum(axis=0, keepdims=True)
    outcomes, outcomes_drawn = _outcomes(layout, lengths, total), _outcomes(layout, lengths, drawn)
    found = []
    base = base_drawn = np.zeros(1)
    for model in models:
        best = fitted(model, layout, total[:, : layout.columns], refine=True)
        chances = best.chances(lengths)
        redone = fitted(model, layout, drawn[:, : layout.columns], refine=False)
        chances_drawn = redone.chances(lengths)
        score, score_drawn = outcomes.score(chances), outcomes_drawn.score(chances_drawn)
        if model == "constant":
            base, base_drawn = score, score_drawn
        expected, expected_drawn = outcomes.expected(chances), outcomes_drawn.expected(chances_drawn)
        surplus, surplus_drawn = float((outcomes.observed - expected)[0]), outcomes_drawn.observed - expected_drawn
        found.append(
            Prediction(
                model=model,
                parameters={name: float(value[0]) for name, value in best.parameters.items()},
                parameter_intervals={name: percentile_interval(value) for name, value in redone.parameters.items()},
                log_score=float(score[0]),
                gain=float((score - base)[0]),
                gain_interval=percentile_interval(score_drawn - base_drawn),
                expected=float(expected[0]),
                expected_interval=percentile_interval(expected_drawn),
                surplus=surplus,
                surplus_interval=percentile_interval(surplus_drawn),
                p_surplus=two_sided(surplus / float(np.nanstd(surplus_drawn))),
                by_length=_expected_in_bins(lengths, outcomes.answers[0], chances[0]),
            )
        )
    return tuple(found)


def _outcomes(layout: Layout, lengths: Floats, sums: Floats) -> _Outcomes:
    answers, right = np.split(sums[:, layout.columns :], 2, axis=1)
    return _Outcomes(lengths, answers, right)


def _bins(lengths: Floats | Integers) -> Floats:
    """Which length lies in which bin, N×B of 0 and 1."""
    return np.asarray(np.searchsorted(np.asarray(BIN_CLAIMS), lengths)[:, None] == np.arange(len(BIN_CLAIMS)), float)


def _in_bins(lengths: Integers, answers: Floats, right: Floats) -> tuple[Share, ...]:
    bins = _bins(lengths)
    trials = answers @ bins
    with np.errstate(invalid="ignore"):
        at = (answers.sum(axis=0) * lengths) @ bins / trials.sum(axis=0)
    return shares(right @ bins, trials, at)


def _expected_in_bins(lengths: Floats, answers: Floats, chances: Floats) -> tuple[float, ...]:
    bins = _bins(lengths)
    trials = answers @ bins
    return tuple(float(one) for one in ((answers * chances) @ bins)[trials > 0] / trials[trials > 0])
