"""
What `holdfast bench matching` plays with and judges.
"""

import pytest

from services.operator.adapters.samples import bank_playbook
from services.operator.benchmarks.matching import Cost, playbook, rows
from shared.playbook.checking import check
from shared.playbook.finding import errors


@pytest.mark.parametrize("size", [1, 10, 100, 500, 10_000])
def test_a_playbook_of_any_size_is_sound_and_of_that_size(size):
    made = playbook(bank_playbook(), size)

    assert len(made.guidelines) == size
    known = {one.id for one in made.guidelines}
    if size < len(bank_playbook().guidelines):
        assert all(known.issuperset((one.source, *one.targets)) for one in made.relationships)
    else:
        assert made.relationships == bank_playbook().relationships
    if size <= 500:
        assert not errors(check(made))


def cost(guidelines=100, **changes):
    figures = {"calls": 1.0, "input_tokens": 3_000.0, "cpu_ms": 4.0, "resident_bytes": 100_000_000}
    return Cost(guidelines=guidelines, **(figures | changes))


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (cost(), []),
        (cost(calls=1.01), ["calls"]),
        (cost(10, input_tokens=4_001.0), ["input tokens"]),
        (cost(100, input_tokens=6_000.0), []),
        (cost(100, cpu_ms=5.1), ["CPU"]),
        (cost(10_000, cpu_ms=14.9), []),
        (cost(10_000, cpu_ms=15.1, resident_bytes=150_000_001), ["CPU", "memory"]),
    ],
)
def test_a_goal_that_is_not_reached_is_named(found, missed):
    assert found.missed == missed


def test_each_size_stands_above_what_the_other_engine_was_measured_at():
    shown = rows([cost(100), cost(10_000)])

    assert [row[0] for row in shown] == ["100", "Parlant 3.3.2, 100", "10,000"]
    assert shown[0][2] == "3,000 (6,000)"
    assert shown[0][3] == "4.00 (5)"
