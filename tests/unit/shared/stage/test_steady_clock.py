"""
A clock that is not stopped by a step of the machine's clock.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.stage.steady_clock import SteadyClock

BEGUN = 1_800_000_000.0


class Machine:
    """Its clock, which can be set, and its uptime, which cannot."""

    def __init__(self):
        self.wall, self.uptime = BEGUN, 0.0

    def passes(self, seconds):
        self.wall += seconds
        self.uptime += seconds


@pytest.fixture
def machine():
    return Machine()


def _clock(machine):
    return SteadyClock(lambda: machine.wall, lambda: machine.uptime)


def test_it_tells_the_machine_s_time(machine):
    clock = _clock(machine)
    machine.passes(7.5)
    assert clock() == machine.wall


def test_after_a_step_back_of_an_hour_it_goes_on(machine):
    clock = _clock(machine)
    machine.passes(10.0)
    assert clock() == BEGUN + 10.0

    machine.wall -= 3_600.0
    machine.passes(20.0)

    assert clock() == pytest.approx(BEGUN + 30.0, abs=0.3)


def test_it_comes_back_to_the_machine_s_time_in_the_end(machine):
    clock = _clock(machine)
    machine.wall -= 60.0
    for _ in range(7_000):
        machine.passes(1.0)
        clock()

    assert clock() == machine.wall


def test_a_step_forward_is_followed(machine):
    clock = _clock(machine)
    machine.wall += 600.0
    assert clock() == machine.wall


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-7_200, 7_200)), max_size=30))
def test_it_never_goes_back(steps):
    machine = Machine()
    clock = _clock(machine)
    told = [clock()]
    for passed, set_by in steps:
        machine.passes(passed)
        machine.wall += set_by
        told.append(clock())
    assert told == sorted(told)
