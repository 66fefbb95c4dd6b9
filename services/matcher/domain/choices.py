"""
Disambiguation: where a request fits several guidelines or journeys, the customer is asked which one they mean.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.matcher.domain.blueprints import Choice
from services.matcher.domain.candidates import Candidate
from shared.events.turns import Instruction

OPTIONS_MIN = 2


@dataclass(frozen=True, slots=True)
class Question:
    """
    An open choice: what the reply has to ask, and the ids that it stands in for (the head and all it chooses from).
    """

    head: str
    instruction: Instruction
    replaced: frozenset[str]


def question(head: Candidate, choice: Choice, candidates: Mapping[str, Candidate]) -> Question | None:
    """
    What to ask by *choice* of the model; *candidates* by their numbers. None where the choice is not open: with fewer
    than two of the declared options left, there is nothing to ask.
    """
    named = (candidates[number] for number in dict.fromkeys(choice.options) if number in candidates)
    options = [candidate for candidate in named if candidate.id in head.options]
    if choice.verdict != "ask" or len(options) < OPTIONS_MIN:
        return None
    return Question(
        head.id,
        Instruction(id=f"{head.id}.choice", condition=head.condition, action=_action(options)),
        frozenset({head.id, *head.options}),
    )


def _action(options: Sequence[Candidate]) -> str:
    listed = "; ".join(f"({place}) {_label(option)}" for place, option in enumerate(options, start=1))
    return f"Ask the customer which of these they mean, offer exactly these, and do nothing else yet: {listed}"


def _label(option: Candidate) -> str:
    return option.condition.strip().rstrip(".")


def replaced(questions: Collection[Question]) -> dict[str, str]:
    """The ids that *questions* stand in for, each with the head of its question."""
    return {name: item.head for item in questions for name in sorted(item.replaced)}
