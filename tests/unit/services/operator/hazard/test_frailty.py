"""Easy and hard answers are told from a hazard that changes within answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from services.operator.hazard import frailty
from services.operator.hazard.answers import ABSENT, RIGHT, UNKNOWN, WRONG
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers


def compared(process, answers, seed=1):
    found = to_answers(simulate(PROCESSES[process], answers, np.random.default_rng(seed)))
    return frailty.compare(found.draft, found.cluster, cluster_count=found.conversations)


def marks(*rows):
    return np.array(rows, dtype=np.int8)


@given(st.floats(0.001, 0.6), st.floats(1e-4, 0.9), st.integers(1, 63))
def test_the_quadrature_is_exact_for_a_constant_hazard(hazard, correlation, claims):
    log_right, log_weight = frailty._nodes(hazard, correlation)
    wrong, right = frailty._beta_shape(hazard, correlation)

    closed = np.exp(special.betaln(wrong, right + claims) - special.betaln(wrong, right))

    assert np.exp(log_weight).sum() == pytest.approx(1)
    assert (np.exp(log_weight + claims * log_right)).sum() == pytest.approx(closed, rel=1e-4)


def test_a_mixture_is_found_and_not_called_a_change():
    found = compared("mixed", 3_000)

    assert found.p_heterogeneity < 1e-6
    assert found.within.p_value > 0.05
    assert found.beta_interval[0] <= 1 <= found.beta_interval[1]


def test_a_falling_hazard_is_found_and_not_called_a_mixture():
    found = compared("falling", 3_000)

    assert found.within.shift < -4
    assert found.beta_interval[0] <= 0.6 <= found.beta_interval[1]
    assert found.p_heterogeneity_given_beta > 0.05


def test_errors_that_bring_errors_stand_late_though_the_first_error_shows_nothing():
    assert compared("rising", 3_000).within.shift > 3


def test_nested_models_are_never_better_than_those_that_hold_them():
    found = compared("mixed", 800)

    assert found.frailty.log_likelihood >= found.constant.log_likelihood
    assert found.both.log_likelihood >= max(found.frailty.log_likelihood, found.weibull.log_likelihood) - 1e-3


@pytest.mark.parametrize(
    "rows",
    [marks(), marks([RIGHT, RIGHT]), marks([WRONG, WRONG]), marks([WRONG]), marks([UNKNOWN, ABSENT])],
    ids=["no answers", "all right", "all wrong", "one claim", "nothing judged"],
)
def test_where_nothing_can_be_told_nothing_is_said(rows):
    rows = rows.reshape(len(rows), -1) if len(rows) else np.zeros((0, 0), dtype=np.int8)
    found = frailty.compare(rows, np.zeros(len(rows), dtype=np.int64), cluster_count=min(1, len(rows)))

    assert np.isnan(found.within.p_value)
    assert found.p_heterogeneity == 1
    assert np.isnan(found.beta_interval[0])


def test_the_position_test_does_not_see_how_hard_answers_are():
    """Its surplus is zero by symmetry where every order of an answer's claims occurs as often as its mirror."""
    rows = marks([WRONG, RIGHT, RIGHT], [RIGHT, WRONG, RIGHT], [RIGHT, RIGHT, WRONG])

    assert frailty.within_answers(rows, np.arange(3), cluster_count=3).shift == pytest.approx(0, abs=1e-12)


@given(st.integers(1, 6), st.integers(1, 6))
def test_errors_before_all_else_are_early_and_after_all_else_late(wrong, right):
    answer = np.array([WRONG] * wrong + [RIGHT] * right, dtype=np.int8)[None]
    mirrored = answer[:, ::-1].copy()

    assert frailty.within_answers(answer, np.zeros(1, dtype=np.int64), cluster_count=1).shift < 0
    assert frailty.within_answers(mirrored, np.zeros(1, dtype=np.int64), cluster_count=1).shift > 0
