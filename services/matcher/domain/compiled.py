"""
A playbook version made ready for matching: made once a version, kept for the turns that follow.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.matcher.domain.candidates import Candidate, of_guideline, of_journey
from services.matcher.domain.journeys import step_id
from services.matcher.domain.prompts import catalogue, fixed_sections, is_short
from services.matcher.domain.relationships import Graph, Node, graph_of
from services.matcher.domain.retrieval import ALL_MAX, DEFAULT, Limits, Retriever
from shared.arq.prompt import Section
from shared.playbook.model import Guideline, Journey, Playbook, Relationship, RelationshipKind, Term
from shared.playbook.references import ReferenceKind, reference

ENTITY_BYTES = 3_200
CHAR_BYTES = 4
RELATIONSHIP_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Compiled:
    """
    What does not change from turn to turn.

    `candidates` are asked about in every turn: the guidelines that belong to no journey, and the journeys' beginnings;
    `scoped` are the guidelines of each journey, asked about while it is under way. `rules` is the prompt's fixed part
    without, `static` the one with the candidates; where they are too many, `retriever` chooses those of a turn, and
    the two are the same. `glossary` holds the terms that are shown only where they are used.
    """

    playbook: Playbook
    guidelines: dict[str, Guideline]
    journeys: dict[str, Journey]
    candidates: tuple[Candidate, ...]
    scoped: dict[str, tuple[Candidate, ...]]
    graph: Graph
    rules: tuple[Section, ...]
    static: tuple[Section, ...]
    retriever: Retriever | None
    glossary: tuple[Term, ...]

    @property
    def bytes_held(self) -> int:
        """About what it holds in memory: measured at 10,000 guidelines, 3.6 kB each with 110 characters of text."""
        chars = sum(len(item.condition) + len(item.action) + len(item.description) for item in self.guidelines.values())
        entities = len(self.guidelines) + len(self.journeys)
        return ENTITY_BYTES * entities + CHAR_BYTES * chars + RELATIONSHIP_BYTES * len(self.playbook.relationships)

    @property
    def has_situations(self) -> bool:
        """Whether there are journeys or choices, which are asked about by queries of their own."""
        return bool(self.journeys) or any(candidate.options for candidate in self.candidates)


def compiled(playbook: Playbook, limits: Limits = DEFAULT) -> Compiled:
    """*playbook* made ready; of more than `ALL_MAX` candidates, *limits* say how many are asked about."""
    journeys = {journey.id: journey for journey in playbook.journeys if journey.enabled}
    guidelines = [g for g in playbook.guidelines if g.enabled and (g.journey is None or g.journey in journeys)]
    options = _options(playbook.relationships, guidelines, journeys)
    asked = {guideline.id: of_guideline(guideline, options.get(guideline.id, ())) for guideline in guidelines}
    candidates = (
        *(asked[guideline.id] for guideline in guidelines if guideline.journey is None),
        *map(of_journey, journeys.values()),
    )
    rules = fixed_sections(
        playbook.glossary, with_situations=bool(journeys) or any(candidate.options for candidate in candidates)
    )
    graph = _graph(playbook.relationships, guidelines, journeys)
    fits = len(candidates) <= ALL_MAX
    pinned = (guideline.id for guideline in guidelines if guideline.pinned)
    return Compiled(
        playbook=playbook,
        guidelines={guideline.id: guideline for guideline in guidelines},
        journeys=journeys,
        candidates=candidates,
        scoped={name: tuple(asked[g.id] for g in guidelines if g.journey == name) for name in journeys},
        graph=graph,
        rules=rules,
        static=(*rules, catalogue(candidates)) if fits else rules,
        retriever=None if fits else Retriever(candidates, graph, pinned, playbook.glossary, limits),
        glossary=() if is_short(playbook.glossary) else playbook.glossary,
    )


def _graph(
    relationships: Iterable[Relationship], guidelines: Iterable[Guideline], journeys: dict[str, Journey]
) -> Graph:
    """A guideline of a journey depends on it; a journey's states bear its tags."""
    guidelines = list(guidelines)
    steps = (
        Node(step_id(journey.id, state.id), journey.tags, journey.priority, journey.id)
        for journey in journeys.values()
        for state in journey.states
    )
    scopes = (
        Relationship(kind=RelationshipKind.DEPENDENCY, source=g.id, targets=(f"journey:{g.journey}",))
        for g in guidelines
        if g.journey is not None
    )
    nodes = (Node(guideline.id, guideline.tags, guideline.priority) for guideline in guidelines)
    return graph_of((*nodes, *steps), (*relationships, *scopes))


def _options(
    relationships: Iterable[Relationship], guidelines: Iterable[Guideline], journeys: dict[str, Journey]
) -> dict[str, tuple[str, ...]]:
    """What each head of a disambiguation is a choice between, as ids of candidates; tags stand for their members."""
    guidelines = list(guidelines)
    known = {guideline.id for guideline in guidelines}
    found: dict[str, tuple[str, ...]] = {}
    for relationship in relationships:
        if relationship.kind is RelationshipKind.DISAMBIGUATION:
            names: dict[str, None] = dict.fromkeys(found.get(relationship.source, ()))
            for target in map(reference, relationship.targets):
                match target.kind:
                    case ReferenceKind.GUIDELINE if target.name in known:
                        names[target.name] = None
                    case ReferenceKind.JOURNEY if target.name in journeys:
                        names[str(target)] = None
                    case ReferenceKind.TAG | ReferenceKind.ANY:
                        names |= dict.fromkeys(g.id for g in guidelines if target.name in g.tags)
                    case _:
                        continue
            found[relationship.source] = tuple(names)
    return found
