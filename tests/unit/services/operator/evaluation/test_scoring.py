from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.evaluation.compare import compared
from services.operator.evaluation.scoring import TOTAL, pass_hat, scores


def test_pass_hat_is_the_share_of_subsets_that_are_all_right():
    assert pass_hat(3, 4, 2) == comb(3, 2) / comb(4, 2) == 0.5
    assert pass_hat(4, 4, 4) == 1
    assert pass_hat(3, 4, 4) == 0
    with pytest.raises(ValueError, match=r"pass\^5"):
        pass_hat(4, 4, 5)


@given(plays=st.integers(1, 12), data=st.data())
def test_pass_hat_falls_with_k_and_begins_at_the_share(plays, data):
    right = data.draw(st.integers(0, plays))
    found = [pass_hat(right, plays, k) for k in range(1, plays + 1)]
    assert found[0] == pytest.approx(right / plays)
    assert found == sorted(found, reverse=True)


def test_figures_of_a_small_run_are_those_counted_by_hand(make_result):
    results = [
        make_result("one", expected=("a", "b"), observed=("a",), calls=1, input_tokens=100),
        make_result("one", expected=("a", "b"), observed=("a", "b"), repeat=2, calls=1, input_tokens=300),
        make_result("two", expected=("a",), observed=("a", "c"), calls=2),
        make_result("two", expected=("a",), observed=(), failure="no_answer", repeat=2),
    ]
    area, total = scores(results)
    assert total.area == TOTAL
    assert (area.area, area.scenarios, area.plays, area.failures) == ("matching", 2, 4, 1)
    assert area.precision is not None
    assert area.recall is not None
    assert area.precision.value == pytest.approx(4 / 5)
    assert area.recall.value == pytest.approx(4 / 6)
    assert area.exact.value == pytest.approx(1 / 4)
    assert [estimate.value for estimate in area.passes] == pytest.approx([0.25, 0.0])
    assert (area.calls, area.input_tokens) == (1.0, 100.0)


def test_wilson_over_scenarios_is_not_narrowed_by_repeats(make_result):
    once = scores([make_result(f"s{n}", right=n < 8) for n in range(10)])[-1].exact
    often = scores([make_result(f"s{n}", right=n < 8, repeat=k) for n in range(10) for k in range(5)])[-1].exact
    assert (once.low, once.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson (1927), 8 of 10
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_perfect_precision_is_not_said_to_be_certain(make_result):
    score = scores([make_result(f"s{n}") for n in range(5)])[-1]
    assert score.precision is not None
    assert score.precision.value == 1
    assert score.precision.low < 0.7


def test_nothing_said_and_nothing_expected_has_no_precision_and_is_exact(make_result):
    score = scores([make_result(expected=(), observed=())])[-1]
    assert score.precision is None
    assert score.recall is None
    assert score.exact.value == 1
    assert scores([]) == ()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_intervals_hold_their_value(plays):
    from services.operator.evaluation.result import Result  # noqa: PLC0415  (fixtures of a function do not mix)

    results = [
        Result(
            fingerprint=f"f{name}",
            repeat=number,
            scenario=str(name),
            area="x",
            guidelines=1,
            expected=("a",),
            observed=("a",) if right else ("b",),
        )
        for number, (name, right) in enumerate(plays)
    ]
    score = scores(results)[-1]
    for estimate in (score.exact, score.precision, score.recall, *score.passes):
        assert estimate is not None
        assert 0 <= estimate.low <= estimate.value + 1e-9
        assert estimate.value <= estimate.high + 1e-9 <= 1 + 1e-6


def test_a_comparison_pairs_scenarios_and_is_exact(make_result):
    before = [make_result(f"s{n}", right=n >= 6) for n in range(10)] + [make_result("old")]
    after = [make_result(f"s{n}", right=n != 9) for n in range(10)]
    found = compared(before, after)
    assert (found.both, found.neither, found.unpaired) == (3, 0, 1)
    assert len(found.gained) == 6
    assert found.lost == ("s9 at 2 guidelines",)
    assert found.p_value == pytest.approx(2 * (1 + 7) / 2**7)  # binomial, 1 of 7 discordant


def test_a_run_against_itself_differs_in_nothing(make_result):
    run = [make_result(f"s{n}", right=n % 2 == 0) for n in range(6)]
    found = compared(run, run)
    assert (found.gained, found.lost, found.p_value, found.unpaired) == ((), (), 1.0, 0)


def test_a_scenario_is_passed_by_more_than_half_of_its_plays(make_result):
    half = [make_result(right=True), make_result(right=False, repeat=2)]
    most = [*half, make_result(right=True, repeat=3)]
    assert compared(half, most).gained == ("one at 2 guidelines",)
