"""Models fitted to short answers predict long ones: the right model wins, and none wins where (1-E)^N is true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.hazard.models import MODELS, fitted, frailty_all_right, sums_of, two_state
from services.operator.hazard.prediction import border, out_of_sample
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers

DRAWS = 200


def predicted(process, *, answers=6_000, seed=4, corrected=False):
    found = to_answers(simulate(PROCESSES[process], answers, np.random.default_rng(seed)))
    if corrected:
        found = found.of_arm("corrected")
    marks = found.sent if corrected else found.draft
    return out_of_sample(marks, found, np.random.default_rng(0), draws=DRAWS)


def test_where_e_is_constant_the_product_holds_and_nothing_beats_it():
    found = predicted("constant")

    low, high = found.of("constant").surplus_interval
    assert low <= 0 <= high
    assert all(found.of(model).gain_interval[0] <= 0 for model in MODELS)


@pytest.mark.parametrize(
    ("process", "answers", "winner", "corrected"),
    [
        ("falling", 6_000, "weibull", False),
        ("mixed", 25_000, "frailty", False),
        ("recovering", 6_000, "two_state", True),
    ],
)
def test_where_it_is_not_the_product_is_too_pessimistic_and_the_true_model_is_among_the_best(
    process, answers, winner, corrected
):
    found = predicted(process, answers=answers, corrected=corrected)

    assert found.of("constant").p_surplus < 0.05
    assert found.of(winner).log_score > max(one.log_score for one in found.predictions) - 0.002
    assert found.of(winner).gain_interval[0] > 0
    assert found.of(winner).surplus_interval[0] <= 0 <= found.of(winner).surplus_interval[1]


def test_the_plateau_of_recovery_is_recovered():
    limit = predicted("recovering", corrected=True).of("two_state").parameter_intervals["limit"]

    assert limit[0] <= 0.4 / 0.45 <= limit[1]


def test_too_few_or_equally_long_answers_are_not_predicted():
    constant = to_answers(simulate(PROCESSES["constant"], 50, np.random.default_rng(1)))
    alike = constant.where(constant.claims == 5)

    for answers in (constant, alike, constant.where(constant.claims < 0)):
        assert out_of_sample(answers.draft, answers, np.random.default_rng(0), draws=DRAWS) is None


def test_all_right_or_all_wrong_short_answers_are_nothing_to_fit():
    answers = to_answers(simulate(PROCESSES["constant"], 400, np.random.default_rng(1)))

    for code in (0, 1):
        marks = np.where(answers.draft >= 0, code, answers.draft).astype(np.int8)
        assert out_of_sample(marks, answers, np.random.default_rng(0), draws=DRAWS) is None


def test_the_border_leaves_a_quarter_beyond():
    assert border(np.array([1, 2, 3, 4])) == 3
    assert border(np.array([2] * 9 + [3])) == 2
    assert border(np.array([5, 5])) == 0


@given(st.floats(0.001, 0.9), st.floats(0.0, 0.9))
def test_the_two_state_chain_starts_right_and_tends_to_its_limit(e, c):
    chances = two_state(np.array([e]), np.array([c]), np.array([0.0, 1.0, 2.0, 10_000.0]))[0]

    assert chances[0] == pytest.approx(1)
    assert chances[1] == pytest.approx(1 - e)
    assert chances[2] == pytest.approx((1 - e) ** 2 + e * c)
    assert chances[3] == pytest.approx(c / (c + e), abs=1e-3)


@given(st.floats(0.001, 0.5), st.floats(1e-3, 0.9), st.integers(1, 60))
def test_answers_that_differ_come_out_all_right_at_least_as_often(mean, correlation, claims):
    """Jensen: E[(1-E_i)^N] ≥ (1-E)^N."""
    chance = frailty_all_right(np.array([mean]), np.array([correlation]), np.array([float(claims)]))[0, 0]

    assert (1 - mean) ** claims - 1e-9 <= chance <= 1


@pytest.mark.parametrize("model", MODELS)
def test_chances_are_chances_and_fall_with_length(model):
    answers = to_answers(simulate(PROCESSES["mixed"], 800, np.random.default_rng(2)))
    layout, sums = sums_of(answers.draft, answers.claims, answers.cluster, answers.conversations)

    chances = fitted(model, layout, sums.sum(axis=0, keepdims=True), refine=True).chances(np.arange(1.0, 60.0))[0]

    assert ((chances >= 0) & (chances <= 1)).all()
    assert (np.diff(chances) <= 1e-12).all()
