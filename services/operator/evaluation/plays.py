"""
What is to be played: scenarios in sizes and repeats.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.operator.evaluation.result import Result
from services.operator.evaluation.scenario import Scenario
from shared.events.envelope import derived_id

TENANT = "evaluation"


@dataclass(frozen=True, slots=True)
class Play:
    """One scenario to be played for the *repeat*-th time, padded to *guidelines*."""

    scenario: Scenario
    guidelines: int
    repeat: int
    fingerprint: str

    @property
    def agent(self) -> str:
        """Whose playbook it is played with: that of its fingerprint."""
        return f"s-{self.fingerprint}"

    @property
    def turn(self) -> str:
        """The turn's id, the same whenever it is played again, so that recorded answers are found by it."""
        return derived_id("evaluation", self.fingerprint, self.repeat)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to play: *turn_seconds_max* from a turn's opening to its deadline, *open_max* turns at once."""

    model: str
    repeats: int = 1
    sizes: tuple[int, ...] = (0,)
    open_max: int = 16
    turn_seconds_max: float = 60.0


def plays(scenarios: Iterable[Scenario], plan: Plan, done: Mapping[tuple[str, int], Result]) -> list[Play]:
    """What is to be played: every scenario in every size and repeat, but for what *done* holds a final result of."""
    found = []
    for scenario in scenarios:
        for size in dict.fromkeys(max(size, len(scenario.guidelines)) for size in plan.sizes):
            fingerprint = scenario.fingerprint(size, plan.model)
            for repeat in range(1, plan.repeats + 1):
                earlier = done.get((fingerprint, repeat))
                if earlier is None or not earlier.is_final:
                    found.append(Play(scenario, size, repeat, fingerprint))
    return found
