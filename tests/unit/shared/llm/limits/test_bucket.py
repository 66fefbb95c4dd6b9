"""
The token bucket as a state machine with a clock that the test moves.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.llm.limits.bucket import TokenBucket

RATES = st.floats(min_value=0.01, max_value=1_000)
CAPACITIES = st.floats(min_value=1, max_value=1_000)
STEPS = st.lists(st.tuples(st.floats(min_value=0, max_value=60), st.floats(min_value=0, max_value=500)), max_size=40)


@given(RATES, CAPACITIES, STEPS)
def test_what_may_be_used_by_any_time_never_exceeds_capacity_and_rate(rate, capacity, steps):
    bucket = TokenBucket(rate=rate, capacity=capacity, now=0.0)
    now, used = 0.0, []
    for pause, amount in steps:
        now += pause
        used.append((now + bucket.take(amount, now), amount))
    for time, _ in used:
        by_then = sum(amount for when, amount in used if when <= time)
        assert by_then <= capacity + rate * time + 1e-6 * (1 + by_then)


@given(RATES, CAPACITIES, STEPS)
def test_takers_are_served_in_order(rate, capacity, steps):
    bucket = TokenBucket(rate=rate, capacity=capacity, now=0.0)
    now, last = 0.0, 0.0
    for pause, amount in steps:
        now += pause
        ready = now + bucket.take(amount, now)
        assert ready >= last - 1e-6 * (1 + last)
        last = ready


@given(RATES, CAPACITIES, STEPS)
def test_a_forecast_is_what_a_taker_then_waits(rate, capacity, steps):
    bucket = TokenBucket(rate=rate, capacity=capacity, now=0.0)
    now = 0.0
    for pause, amount in steps:
        now += pause
        assert bucket.wait(amount, now) == bucket.take(amount, now)


@given(RATES, CAPACITIES, st.floats(min_value=0, max_value=500))
def test_a_refund_undoes_a_take(rate, capacity, amount):
    bucket = TokenBucket(rate=rate, capacity=capacity, now=0.0)
    bucket.take(capacity, 0.0)
    before = bucket.wait(capacity, 0.0)
    bucket.take(amount, 0.0)
    bucket.refund(amount, 0.0)
    assert bucket.wait(capacity, 0.0) == pytest.approx(before)


def test_a_refund_never_fills_the_bucket_beyond_its_capacity():
    bucket = TokenBucket(rate=1.0, capacity=5.0, now=0.0)
    bucket.refund(100.0, 0.0)
    assert bucket.wait(6.0, 0.0) == 1.0


def test_more_than_the_capacity_is_granted_when_it_has_flowed_in():
    assert TokenBucket(rate=2.0, capacity=10.0, now=0.0).take(30.0, 0.0) == 10.0


def test_a_clock_read_earlier_changes_nothing():
    bucket = TokenBucket(rate=1.0, capacity=10.0, now=100.0)
    bucket.take(10.0, 100.0)
    assert bucket.wait(1.0, 50.0) == 1.0
    assert bucket.wait(1.0, 101.0) == 0.0
