from collections.abc import Callable

import pytest

from services.operator.evaluation.result import Result
from services.operator.evaluation.scenario import Scenario


@pytest.fixture
def make_scenario() -> Callable[..., Scenario]:
    def make(**changes):
        data = {
            "id": "one",
            "area": "matching",
            "guidelines": [
                {"id": "a", "condition": "the customer says hello", "action": "greet"},
                {"id": "b", "condition": "the customer asks for the price", "action": "state it"},
            ],
            "conversation": [{"source": "customer", "text": "Hello"}],
            "expected": {"ids": ["a"]},
        }
        return Scenario.model_validate(data | changes)

    return make


@pytest.fixture
def make_result() -> Callable[..., Result]:
    def make(scenario="one", *, right=True, repeat=1, **changes):
        data = {
            "fingerprint": f"f-{scenario}",
            "repeat": repeat,
            "scenario": scenario,
            "area": "matching",
            "guidelines": 2,
            "expected": ("a",),
            "observed": ("a",) if right else ("b",),
        }
        return Result.model_validate(data | changes)

    return make
