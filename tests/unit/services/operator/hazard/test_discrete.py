"""The constant-hazard test: right on known data, equal to an independent fitter, defined at every edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import WeibullFitter

from services.operator.hazard.discrete import clustered_p_values, constant_hazard_test, fit, log_beta_errors
from services.operator.hazard.firstfailure import first_failures, risk_sets
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers


def risk(answers, *, by_conversation=False):
    groups = answers.cluster if by_conversation else np.zeros(len(answers), dtype=np.int64)
    return risk_sets(
        first_failures(answers.draft), groups, group_count=int(groups.max()) + 1, width=answers.draft.shape[1]
    )


@pytest.fixture(scope="module")
def falling():
    return to_answers(simulate(PROCESSES["falling"], 4_000, np.random.default_rng(1)))


def test_it_agrees_with_lifelines_interval_censored_fit(falling):
    failures = first_failures(falling.draft)
    seen = failures.time > 0
    time, failed = failures.time[seen].astype(float), failures.failed[seen]
    other = WeibullFitter().fit_interval_censoring(
        np.where(failed, np.maximum(time - 1, 1e-10), time), np.where(failed, time, np.inf)
    )

    fits = fit(*risk(falling))

    assert np.exp(fits.log_beta[0]) == pytest.approx(other.rho_, rel=1e-3)
    assert log_beta_errors(fits)[0] * other.rho_ == pytest.approx(other.summary["se(coef)"]["rho_"], rel=0.02)


def test_a_falling_hazard_is_recovered(falling):
    test = constant_hazard_test(*risk(falling, by_conversation=True))

    assert test.beta_interval[0] <= 0.6 <= test.beta_interval[1]
    assert max(test.p_independent, test.p_clustered) < 1e-6


def test_a_constant_hazard_is_recovered_and_not_rejected():
    answers = to_answers(simulate(PROCESSES["constant"], 4_000, np.random.default_rng(2)))

    test = constant_hazard_test(*risk(answers, by_conversation=True))

    assert test.hazard_interval[0] <= 0.03 <= test.hazard_interval[1]
    assert test.beta_interval[0] <= 1 <= test.beta_interval[1]
    assert min(test.p_independent, test.p_clustered) > 0.05


def test_many_data_sets_at_once_are_each_alone(falling):
    at_risk, failed = risk(falling, by_conversation=True)
    half = len(at_risk) // 2
    both = fit(
        np.stack([at_risk[:half].sum(axis=0), at_risk[half:].sum(axis=0)]),
        np.stack([failed[:half].sum(axis=0), failed[half:].sum(axis=0)]),
    )
    alone = fit(at_risk[half:].sum(axis=0, keepdims=True), failed[half:].sum(axis=0, keepdims=True))

    assert both.log_beta[1] == pytest.approx(alone.log_beta[0], abs=1e-6)


@pytest.mark.parametrize(
    ("at_risk", "failed"),
    [([[0.0, 0.0]], [[0.0, 0.0]]), ([[9.0, 8.0]], [[0.0, 0.0]]), ([[9.0, 0.0]], [[9.0, 0.0]]), ([[9.0]], [[3.0]])],
    ids=["nobody", "all right", "all wrong", "one claim each"],
)
def test_where_nothing_can_be_told_nothing_is_said(at_risk, failed):
    test = constant_hazard_test(np.array(at_risk), np.array(failed))

    assert np.isnan(test.beta)
    assert np.isnan(test.p_independent)


def test_a_repeated_conversation_does_not_count_as_more_evidence():
    """Every answer ten times over in its conversation: the clustered test must not take that for ten times the data."""
    rng = np.random.default_rng(3)
    answers = to_answers(simulate(PROCESSES["falling"], 150, rng))
    failures = first_failures(answers.draft)
    rows = np.arange(len(answers))
    at_risk, failed = risk_sets(failures, rows, group_count=len(answers), width=answers.draft.shape[1])

    once, tenfold = (
        clustered_p_values(n[None], d[None])[0] for n, d in ((at_risk, failed), (10 * at_risk, 10 * failed))
    )

    assert tenfold == pytest.approx(once, rel=1e-6)
    assert fit(10 * at_risk.sum(axis=0, keepdims=True), 10 * failed.sum(axis=0, keepdims=True)).p_values[0] < once


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=8),
)
def test_the_fit_is_never_worse_than_a_constant_hazard(counts):
    failed = np.array([[min(pair) for pair in counts]], dtype=float)
    at_risk = np.array([[max(pair) for pair in counts]], dtype=float)

    fits = fit(at_risk, failed)

    assert np.isnan(fits.log_beta[0]) or fits.log_likelihood[0] >= fits.log_likelihood_constant[0] - 1e-9
    assert np.isnan(fits.p_values[0]) or 0 <= fits.p_values[0] <= 1
