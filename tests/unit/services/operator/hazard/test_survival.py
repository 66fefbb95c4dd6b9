"""E(k), S(k) and their intervals: equal to independent implementations, within bounds, honest without failures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from scipy.stats import binomtest

from services.operator.hazard.bootstrap import (
    cluster_sums,
    percentile_interval,
    proportion_interval,
    resampled_sums,
    zero_failures_bound,
)
from services.operator.hazard.firstfailure import first_failures
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers
from services.operator.hazard.survival import (
    hazard_by_position,
    kaplan_meier,
    log_rank,
    product_limit,
    right_by_length,
)


@pytest.fixture(scope="module")
def answers():
    return to_answers(simulate(PROCESSES["falling"], 1_500, np.random.default_rng(1)))


def test_survival_agrees_with_lifelines(answers):
    failures = first_failures(answers.draft)
    other = KaplanMeierFitter().fit(failures.time, failures.failed)

    points = kaplan_meier(answers.draft, answers, np.random.default_rng(0), draws=100)

    for point in points:
        assert point.survival == pytest.approx(float(other.predict(point.claims)), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_survival_lies_between_zero_and_one_and_never_rises(counts):
    at_risk = np.array([[float(max(pair)) for pair in counts]])
    failed = np.array([[float(min(pair)) for pair in counts]])

    curve = product_limit(at_risk, failed)[0]

    assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(curve) <= 1e-12).all()


def test_survival_intervals_hold_their_estimates_and_leave_room_where_nothing_failed():
    constant = to_answers(simulate(PROCESSES["constant"], 40, np.random.default_rng(2)))
    nothing_failed = np.where(constant.draft == 1, 0, constant.draft).astype(np.int8)

    for marks in (constant.draft, nothing_failed):
        for point in kaplan_meier(marks, constant, np.random.default_rng(0), draws=200):
            assert point.low <= point.survival <= point.high
    assert point.low < 1


def test_a_shares_interval_is_wilsons_where_every_conversation_has_one_trial():
    hits = np.array([1.0] * 6 + [0.0] * 94)[:, None]

    low, high = proportion_interval(hits, np.ones_like(hits))
    wilson = binomtest(6, 100).proportion_ci(method="wilson")

    # The clusters' variance has n - 1 where the binomial's has n.
    assert (low[0], high[0]) == (pytest.approx(wilson.low, abs=1e-3), pytest.approx(wilson.high, abs=1e-3))


def test_trials_that_resemble_each_other_count_less():
    alike = np.array([10.0] * 5 + [0.0] * 45)[:, None]
    scattered = np.array([1.0] * 50)[:, None]
    trials = np.full((50, 1), 10.0)

    wide, narrow = (np.subtract(*proportion_interval(hits, trials)[::-1])[0] for hits in (alike, scattered))

    assert wide > 2 * narrow


def test_without_failures_an_interval_is_not_a_point():
    low, high = proportion_interval(np.zeros((30, 1)), np.ones((30, 1)))

    assert low[0] == 0
    assert high[0] > 0.05
    assert zero_failures_bound(299, level=0.9) == pytest.approx(0.99, abs=1e-4)  # the rule of three, one-sided 95 %


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**20))
def test_resamples_draw_as_many_conversations_as_there_are(clusters, columns, seed):
    rng = np.random.default_rng(seed)
    sums = np.concatenate([np.ones((clusters, 1)), rng.random((clusters, columns))], axis=1)

    drawn = resampled_sums(sums, rng, draws=20)

    assert np.allclose(drawn[:, 0], clusters)
    assert (drawn[:, 1:] <= clusters * sums[:, 1:].max(axis=0) + 1e-9).all()


def test_resampling_reproduces_the_clusters_spread():
    sums = cluster_sums(np.arange(60.0), np.arange(60) // 2, 30)

    drawn = resampled_sums(sums, np.random.default_rng(1), draws=4_000)[:, 0]

    assert drawn.mean() == pytest.approx(sums.sum(), rel=0.01)
    assert drawn.std() == pytest.approx(np.sqrt(30) * sums.std(), rel=0.05)


def test_what_is_never_defined_has_no_interval():
    assert np.isnan(percentile_interval(np.array([np.nan, np.nan]))).all()


def test_hazards_and_shares_add_up(answers):
    hazard = hazard_by_position(answers.draft, answers)
    by_length = right_by_length(answers.draft, answers)

    assert sum(share.hits for share in hazard) == (answers.draft == 1).sum()
    assert hazard[0].trials == len(answers)
    assert sum(share.trials for share in by_length) == len(answers)
    assert all(share.low <= share.share <= share.high for share in hazard + by_length)


def test_like_answers_show_no_difference_and_unlike_ones_do(answers):
    half = np.arange(len(answers)) % 2 == 0
    worse = to_answers(simulate(PROCESSES["recovering"], 1_500, np.random.default_rng(3)))

    assert log_rank(answers.draft[half], answers.draft[~half]) > 0.01
    assert log_rank(answers.draft, worse.draft) < 0.01
    assert np.isnan(log_rank(answers.draft[:0], worse.draft))
