"""
A playbook version made ready for matching.
"""

from dataclasses import dataclass

from services.matcher.domain.candidates import Candidate, enabled, numbered
from services.matcher.domain.prompts import is_short, static_sections
from services.matcher.domain.relationships import Graph, Node, graph_of
from shared.arq.prompt import Section
from shared.playbook.model import Guideline, Playbook, Term


@dataclass(frozen=True, slots=True)
class Compiled:
    """What does not change from turn to turn; `glossary` holds the terms that are shown only where they are used."""

    playbook: Playbook
    guidelines: dict[str, Guideline]
    candidates: tuple[Candidate, ...]
    graph: Graph
    static: tuple[Section, ...]
    glossary: tuple[Term, ...]


def compiled(playbook: Playbook) -> Compiled:
    """*playbook* made ready."""
    guidelines = enabled(playbook)
    candidates = numbered(guidelines)
    return Compiled(
        playbook=playbook,
        guidelines={guideline.id: guideline for guideline in guidelines},
        candidates=candidates,
        graph=graph_of(map(_node, guidelines), playbook.relationships),
        static=static_sections(candidates, playbook.glossary),
        glossary=() if is_short(playbook.glossary) else playbook.glossary,
    )


def _node(guideline: Guideline) -> Node:
    return Node(guideline.id, guideline.tags, guideline.priority)
