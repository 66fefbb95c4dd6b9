"""A small edition of `holdfast lab hazard --check`: goals are measured, met, and can be missed."""

import pytest

from services.operator.hazard.check import Effort, Goal, goals


@pytest.fixture(scope="module")
def measured():
    return goals(Effort(tests=200, findings=6, intervals=16, draws=100), seed=1)


def test_the_report_recovers_the_truth_and_does_not_cry_wolf(measured):
    """Bounds widened by what so few data sets scatter: four standard deviations of their count."""
    for goal in measured:
        room = 4 * (0.05 * 0.95 / goal.data_sets) ** 0.5
        assert goal.low - room <= goal.share <= goal.high + room, goal.name


def test_every_goal_of_the_brief_is_among_them(measured):
    names = " ".join(goal.name for goal in measured)

    for part in ("constant E is rejected", "β = 0.6 is found", "95% interval holds the truth", "reported as falling"):
        assert part in names


def test_a_goal_can_be_missed():
    assert not Goal("x", 0.4, 0.03, 0.07, 100).met
    assert Goal("x", 0.05, 0.03, 0.07, 100).met
