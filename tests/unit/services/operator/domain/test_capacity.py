"""What a load needs follows from Little's law, and grows with what it grows with."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.domain.capacity import STAGES, Load, Means, Role, high, plan

ROLES = {
    "matcher": Role(0.8, 2.0, calls=1, input_tokens=2_000, output_tokens=200),
    "reasoner": Role(2.0, 5.0, calls=1, input_tokens=3_000, output_tokens=300),
    "verifier": Role(1.0, 2.5, calls=1.5, input_tokens=1_000, output_tokens=100),
}
MEANS = Means(cpu_ms=dict.fromkeys(STAGES, 2.0), input_price=1.0, output_price=4.0)


def test_turns_in_flight_are_rate_times_stay():
    need = plan(Load(10, peak_factor=2), {"matcher": Role(3.0, 3.0)}, Means(cpu_ms={}))

    assert need.stages["matcher"].in_flight == pytest.approx(60)
    assert need.calls_in_flight == pytest.approx(60)


def test_the_mean_of_a_latency_is_that_of_the_log_normal_with_its_percentiles():
    draw = random.Random(1)
    sigma = 0.6
    drawn = sorted(math.exp(draw.gauss(0.5, sigma)) for _ in range(40_000))

    role = Role(drawn[20_000], drawn[38_000])

    assert role.mean_seconds == pytest.approx(sum(drawn) / len(drawn), rel=0.03)


def test_the_high_mark_is_exceeded_a_thousandth_of_the_time():
    draw, mean = random.Random(2), 50.0
    # Independent arrivals over an hour of which each stays for its own time: M/G/∞.
    over = sum(_poisson(draw, mean) > high(mean) for _ in range(20_000)) / 20_000

    assert 0.0003 < over < 0.003


def _poisson(draw, mean):
    count, left = 0, draw.expovariate(1.0)
    while left < mean:
        count += 1
        left += draw.expovariate(1.0)
    return count


@pytest.mark.parametrize(
    ("rate", "cpu_ms", "latency", "processes", "bound_by"),
    [
        (1, 2.0, 1.0, 2, "availability"),
        (1_000, 3.0, 0.1, 5, "CPU"),
        (1_000, 0.1, 10.0, 6, "turns in flight"),
    ],
)
def test_processes_follow_from_whatever_binds(rate, cpu_ms, latency, processes, bound_by):
    need = plan(Load(rate, peak_factor=1), {"matcher": Role(latency, latency)}, Means(cpu_ms={"matcher": cpu_ms}))

    assert (need.stages["matcher"].processes, need.stages["matcher"].bound_by) == (processes, bound_by)
    assert need.partitions == max(12, 4 * processes)


def test_quota_is_of_the_peak_and_money_of_the_average():
    need = plan(Load(10, peak_factor=3, answered_share=0.5), ROLES, MEANS)

    assert need.requests_per_minute == pytest.approx(60 * 30 * 3.5)
    assert need.tokens_per_minute == pytest.approx(60 * 30 * 6_600)
    turn = (6_000 * 1.0 + 600 * 4.0) / 1e6
    assert need.cost_per_1000_replies == pytest.approx(1_000 * turn / 0.5)
    assert need.cost_per_day == pytest.approx(86_400 * 10 * turn)


def test_a_model_that_is_too_slow_for_the_deadline_is_told():
    assert "expired" in plan(Load(1), ROLES, MEANS, deadline_seconds=8).warnings[0]
    assert plan(Load(1), ROLES, MEANS, deadline_seconds=60).warnings == ()


@given(st.floats(0.1, 1e4), st.floats(1.0, 5.0))
def test_more_load_never_needs_less(rate, factor):
    less, more = plan(Load(rate), ROLES, MEANS), plan(Load(rate * factor), ROLES, MEANS)

    assert more.partitions >= less.partitions
    assert all(more.stages[stage].processes >= less.stages[stage].processes for stage in STAGES)
    assert all(need.utilisation <= MEANS.utilisation_max + 1e-9 for need in more.stages.values())
