"""
What is to be played: scenarios in sizes and repeats.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.operator.evaluation.result import Result
from services.operator.evaluation.scenario import Judged, Scenario
from shared.errors import Fatal
from shared.events.claims import ReasoningMode
from shared.events.envelope import Address, derived_id

TENANT = "evaluation"
DRAFTED = frozenset({Judged.REPLIED, Judged.CALLS})
"""What is judged of scenarios in which a reply is reasoned."""


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

    @property
    def address(self) -> Address:
        """The conversation that it is."""
        return Address(TENANT, f"{self.fingerprint}-{self.repeat}")


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


def in_modes(scenarios: Sequence[Scenario], modes: str) -> list[Scenario]:
    """
    Each of *scenarios* of which a draft is judged, once in every one of *modes*, which are divided by commas.

    Raises:
        Fatal: a mode is not known or named twice, or no scenario is about a draft.

    """
    named = [mode.strip() for mode in modes.split(",")]
    if len(set(named)) < len(named) or not set(named) <= set(ReasoningMode):
        raise Fatal(f"--arms {modes}: name each of {', '.join(ReasoningMode)} once at most, divided by commas")
    drafted = [one for one in scenarios if one.expected.judged in DRAFTED]
    if not drafted:
        raise Fatal("no scenario judges a reply, and only replies are reasoned in a mode")
    return [one.model_copy(update={"mode": ReasoningMode(mode)}) for mode in named for one in drafted]
