"""
The guidelines of one playbook version as the matcher works with them: made once a version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.events.turns import Applied
from shared.playbook.model import Criticality, Guideline, Playbook


class Kind(StrEnum):
    """How a guideline is asked about; the words stand in the prompt."""

    ACTION = "action"
    OBSERVATION = "observation"
    INTENTION = "intention"
    PRINCIPLE = "principle"
    APPLIED = "applied"


def kind_of(guideline: Guideline) -> Kind:
    """
    The kind of *guideline* as long as no reply has performed it.

    One of low criticality is a principle: asked for with the others, answered by its number alone.
    """
    if not guideline.action:
        return Kind.OBSERVATION
    if guideline.agent_intention:
        return Kind.INTENTION
    return Kind.PRINCIPLE if guideline.criticality is Criticality.LOW else Kind.ACTION


def is_tracked(guideline: Guideline) -> bool:
    """Whether it matters that a reply has performed *guideline* before."""
    return (
        bool(guideline.action)
        and guideline.track
        and not guideline.continuous
        and guideline.criticality is not Criticality.LOW
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A guideline to be asked about, with its number in the prompt."""

    number: str
    guideline: Guideline
    kind: Kind

    def described(self) -> dict[str, Any]:
        """The candidate as data of the prompt."""
        guideline = self.guideline
        data: dict[str, Any] = {"id": self.number}
        if self.kind is not Kind.ACTION:
            data["kind"] = str(self.kind)
        data["when"] = guideline.condition
        if guideline.action:
            data["do"] = guideline.action
        if guideline.description:
            data["note"] = guideline.description
        if guideline.customer_dependent:
            data["needs_customer"] = True
        return data


def numbered(guidelines: tuple[Guideline, ...]) -> tuple[Candidate, ...]:
    """*guidelines* as candidates, in their order."""
    return tuple(
        Candidate(f"G{place}", guideline, kind_of(guideline)) for place, guideline in enumerate(guidelines, start=1)
    )


def already_applied(candidates: tuple[Candidate, ...], applied: Mapping[str, Applied]) -> frozenset[str]:
    """The numbers of those that a reply has performed, where that matters."""
    return frozenset(
        candidate.number
        for candidate in candidates
        if candidate.guideline.id in applied and is_tracked(candidate.guideline)
    )


def enabled(playbook: Playbook) -> tuple[Guideline, ...]:
    """The guidelines that may match, in the authors' order."""
    return tuple(guideline for guideline in playbook.guidelines if guideline.enabled)
