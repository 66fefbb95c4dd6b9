"""
One question to the model: what is asked about, how it is called in the prompt, and what a complete answer is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from services.matcher.domain import matching
from services.matcher.domain.blueprints import FullAnswer, MatchAnswer, PlainAnswer, full_blueprint, plain_blueprint
from services.matcher.domain.candidates import Candidate, already_applied
from services.matcher.domain.prompts import described, journey_data, turn_sections
from shared.arq.blueprint import Blueprint
from shared.arq.prompt import Prompt, Section
from shared.events.turns import TurnOpened
from shared.playbook.model import Journey, Term


@dataclass(frozen=True, slots=True)
class Underway:
    """A journey and the states that it passed; without a path it has just begun."""

    journey: Journey
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The most `guidelines` that one call asks about, and the `chars` of their texts."""

    guidelines: int
    chars: int


@dataclass(frozen=True)
class Inquiry:
    """
    `fixed` are shown by the prompt's `static` part, which is the same in every turn; `more` are shown for this turn
    only.
    """

    opened: TurnOpened
    static: tuple[Section, ...]
    fixed: tuple[Candidate, ...]
    more: tuple[Candidate, ...] = ()
    underway: tuple[Underway, ...] = ()
    terms: Sequence[Term] = ()
    with_situations: bool = False
    states: Mapping[tuple[str, str], str] = field(init=False)

    def __post_init__(self) -> None:
        """Number the states over all journeys."""
        names = [(item.journey.id, state.id) for item in self.underway for state in item.journey.states]
        object.__setattr__(self, "states", {name: f"S{place}" for place, name in enumerate(names, start=1)})

    @cached_property
    def candidates(self) -> dict[str, Candidate]:
        """Everything asked about, by number."""
        return {f"G{place}": item for place, item in enumerate((*self.fixed, *self.more), start=1)}

    @cached_property
    def numbers(self) -> dict[str, str]:
        """The numbers by id."""
        return {candidate.id: number for number, candidate in self.candidates.items()}

    @cached_property
    def applied(self) -> tuple[str, ...]:
        """The numbers of what replies have performed already."""
        done = already_applied(self.candidates.values(), self.opened.applied)
        return tuple(number for number, candidate in self.candidates.items() if candidate.id in done)

    @cached_property
    def journeys(self) -> dict[str, Underway]:
        """The journeys by number."""
        return {f"J{place}": item for place, item in enumerate(self.underway, start=1)}

    def blueprint(self) -> Blueprint[PlainAnswer] | Blueprint[FullAnswer]:
        """What is to be answered."""
        if self.with_situations:
            return full_blueprint(len(self.candidates), len(self.journeys), len(self.states))
        return plain_blueprint(len(self.candidates))

    def prompt(self) -> Prompt:
        """What is shown."""
        sections = []
        if self.more:
            # Under the same name the two would hide each other from whoever reads the prompt's data.
            name = "more_guidelines" if self.fixed else "guidelines"
            sections.append(Section(name, data=described(self.more, self.numbers)))
        if self.underway:
            shown = [
                journey_data(number, item.journey, item.path, self.numbers_of(item.journey))
                for number, item in self.journeys.items()
            ]
            sections.append(Section("journeys", data=shown))
        return Prompt(self.static, (*sections, *turn_sections(self.opened, self.applied, self.terms)))

    def split(self, rules: tuple[Section, ...], limits: CallLimits) -> tuple["Inquiry", ...]:
        """
        The inquiry, or several that ask the same between them where it is too large for one call by *limits*. *rules*
        is the prompt's fixed part without candidates. A choice stays with its options, and journeys with the first.
        """
        parts = _parts(tuple(self.candidates.values()), limits)
        if len(parts) <= 1:
            return (self,)
        return tuple(
            replace(self, static=rules, fixed=(), more=part, underway=() if place else self.underway)
            for place, part in enumerate(parts)
        )

    def complaint(self, answer: MatchAnswer) -> str | None:
        """What is wrong with *answer*; None if it is complete."""
        return matching.complaint(answer, self.candidates, self.applied, self.journeys)

    def numbers_of(self, journey: Journey) -> dict[str, str]:
        """The numbers of a journey's states, by id."""
        return {state.id: self.states[journey.id, state.id] for state in journey.states}


def _parts(candidates: Sequence[Candidate], limits: CallLimits) -> list[tuple[Candidate, ...]]:
    """*candidates* in order, as few parts as fit *limits*; what is too large by itself is a part of its own."""
    parts: list[list[Candidate]] = []
    count = chars = 0
    for together in _groups(candidates):
        size = sum(len(item.condition) + len(item.action) + len(item.note) for item in together)
        if not parts or count + len(together) > limits.guidelines or chars + size > limits.chars:
            parts.append([])
            count = chars = 0
        parts[-1] += together
        count, chars = count + len(together), chars + size
    return [tuple(part) for part in parts]


def _groups(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """What cannot be asked about apart: choices with their options, also over several choices; else each one alone."""
    group_of: dict[str, list[Candidate]] = {candidate.id: [candidate] for candidate in candidates}
    for head in candidates:
        for option in head.options:
            one, other = group_of[head.id], group_of.get(option)
            if other is not None and other is not one:
                one += other
                group_of |= dict.fromkeys((item.id for item in other), one)
    return list({id(group): group for group in group_of.values()}.values())
