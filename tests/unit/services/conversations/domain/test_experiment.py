from collections import Counter

import pytest

from services.conversations.domain.experiment import arm_of
from shared.events.envelope import Address
from shared.playbook.model import Arm, Experiment


def experiment(name="modes", **weights):
    return Experiment(name=name, arms={arm: Arm(weight=weight) for arm, weight in weights.items()})


def arms(chosen):
    return [arm_of(chosen, Address("bank", f"c-{number}")) for number in range(4_000)]


def test_without_an_experiment_there_is_no_arm():
    assert arm_of(None, Address("bank", "c")) == ""


def test_conversations_divide_in_proportion_to_the_weights():
    counts = Counter(arms(experiment(a=1, b=3)))
    assert counts["a"] / 4_000 == pytest.approx(0.25, abs=0.03)


def test_the_order_of_writing_does_not_matter():
    assert arms(experiment(a=1, b=3)) == arms(experiment(b=3, a=1))


def test_two_experiments_divide_independently():
    both = Counter(zip(arms(experiment("one", a=1, b=1)), arms(experiment("two", a=1, b=1)), strict=True))
    assert all(count / 4_000 == pytest.approx(0.25, abs=0.04) for count in both.values())
