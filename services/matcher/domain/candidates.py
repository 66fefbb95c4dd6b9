"""
What the matcher asks about: guidelines, and the beginnings of journeys.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.events.turns import Applied
from shared.playbook.model import Criticality, Guideline, Journey
from shared.playbook.references import Reference, ReferenceKind


class Kind(StrEnum):
    """How a candidate is asked about; the words stand in the prompt."""

    ACTION = "action"
    OBSERVATION = "observation"
    INTENTION = "intention"
    PRINCIPLE = "principle"
    CHOICE = "choice"
    BEGINNING = "beginning"


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    Something to ask about. `id` is a guideline's, or `journey:x` for a journey's beginning; `options` are the ids
    that a choice is between; `tracked` says that it matters whether a reply has performed it.
    """

    id: str
    kind: Kind
    condition: str
    action: str = ""
    note: str = ""
    needs_customer: bool = False
    criticality: Criticality = Criticality.MEDIUM
    tracked: bool = False
    options: tuple[str, ...] = ()

    def described(self, number: str, number_of: Mapping[str, str]) -> dict[str, Any]:
        """The candidate as data of the prompt, where it is called *number*."""
        data: dict[str, Any] = {"id": number}
        if self.kind is not Kind.ACTION:
            data["kind"] = str(self.kind)
        data["when"] = self.condition
        if self.action:
            data["do"] = self.action
        if self.note:
            data["note"] = self.note
        if self.needs_customer:
            data["needs_customer"] = True
        if self.options:
            data["options"] = [number_of[option] for option in self.options if option in number_of]
        return data


def of_guideline(guideline: Guideline, options: tuple[str, ...] = ()) -> Candidate:
    """*guideline* as a candidate; *options* are what it is a choice between, where it heads a disambiguation."""
    return Candidate(
        id=guideline.id,
        kind=_kind(guideline, options),
        condition=guideline.condition,
        action=guideline.action,
        note=guideline.description,
        needs_customer=guideline.customer_dependent,
        criticality=guideline.criticality,
        tracked=_is_tracked(guideline),
        options=options,
    )


def of_journey(journey: Journey) -> Candidate:
    """The beginning of *journey* as a candidate."""
    return Candidate(
        id=journey_reference(journey.id),
        kind=Kind.BEGINNING,
        condition=" — or: ".join(journey.conditions),
        note=journey.title,
    )


def journey_reference(name: str) -> str:
    """`journey:x`."""
    return str(Reference(ReferenceKind.JOURNEY, name))


def already_applied(candidates: Iterable[Candidate], applied: Mapping[str, Applied]) -> frozenset[str]:
    """The ids of those that a reply has performed, where that matters."""
    return frozenset(candidate.id for candidate in candidates if candidate.tracked and candidate.id in applied)


def _kind(guideline: Guideline, options: tuple[str, ...]) -> Kind:
    """A guideline of low criticality is a principle: asked about with the others, answered by its number alone."""
    if options:
        return Kind.CHOICE
    if not guideline.action:
        return Kind.OBSERVATION
    if guideline.agent_intention:
        return Kind.INTENTION
    return Kind.PRINCIPLE if guideline.criticality is Criticality.LOW else Kind.ACTION


def _is_tracked(guideline: Guideline) -> bool:
    can_be_done = bool(guideline.action) and not guideline.continuous
    return can_be_done and guideline.track and guideline.criticality is not Criticality.LOW
