"""
What relationships make of a turn's matches: which guidelines stay, which go, which are added, and why.

Each round applies, in this order: dependencies (drop what lacks its targets), priorities (drop what a present rival
outranks, then what depends on the dropped), numeric priority (keep only the highest), entailment (add what follows).
Rounds repeat while one of them changed what another looks at. What a priority dropped never comes back; what a
dependency dropped may, when entailment adds its target. So every round either drops by priority or adds by
entailment, and the rounds end.

The semantics are those of Parlant's resolver (research notes of the project name its behaviours); where that one
depends on the order of its inputs, such as guidelines that depend on each other, the reading here does not.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.matcher.domain.relationships import Graph, Need, Needs
from shared.playbook.references import Reference, ReferenceKind


class DecisionKind(StrEnum):
    """What was decided about a guideline or a journey."""

    DEPRIORITIZED = "deprioritized"
    UNMET_DEPENDENCY_ALL = "unmet_dependency_all"
    UNMET_DEPENDENCY_ANY = "unmet_dependency_any"
    ENTAILED = "entailed"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision and what caused it: the rivals, the unmet targets, or the guideline that entails."""

    kind: DecisionKind
    cause: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    What is active, in the order of the matches, entailed ones last; the journeys that stay; and the decisions by
    guideline id or `journey:id`. What has no decision passed unchanged.
    """

    active: tuple[str, ...]
    journeys: tuple[str, ...]
    decisions: Mapping[str, tuple[Decision, ...]]


def resolve(graph: Graph, matched: Sequence[str], journeys: Mapping[str, int]) -> Resolved:
    """
    Apply *graph* to the *matched* guidelines (ids) and the active *journeys* (id → numeric priority).

    Deterministic; time is linear in the relationships of what is present, times the rounds (three or fewer in
    practice).
    """
    state = _State(dict.fromkeys(matched), dict(journeys))
    while True:
        before = state.progress
        present = [name for name in (*state.matched, *state.entailed) if name not in state.outranked]
        surviving = _meet_dependencies(graph, present, state)
        surviving = _apply_priorities(graph, surviving, state)
        surviving = _keep_highest(graph, surviving, state)
        _entail(graph, surviving, state)
        if state.progress == before:
            return Resolved(tuple(surviving), tuple(state.journeys), state.decisions())


@dataclass(slots=True)
class _State:
    """What carries over from round to round."""

    matched: dict[str, None]
    journeys: dict[str, int]
    entailed: dict[str, str] = field(default_factory=dict)
    outranked: dict[str, Decision] = field(default_factory=dict)
    journeys_outranked: dict[str, Decision] = field(default_factory=dict)
    unmet: dict[str, Needs] = field(default_factory=dict)

    @property
    def progress(self) -> tuple[int, int, int]:
        """Grows with every change that another round could see."""
        return len(self.entailed), len(self.outranked), len(self.journeys_outranked)

    def outrank(self, name: str, cause: str) -> None:
        self.outranked.setdefault(name, Decision(DecisionKind.DEPRIORITIZED, cause))

    def outrank_journey(self, name: str, cause: str) -> None:
        self.journeys.pop(name)
        self.journeys_outranked[name] = Decision(DecisionKind.DEPRIORITIZED, cause)

    def decisions(self) -> dict[str, tuple[Decision, ...]]:
        found: dict[str, list[Decision]] = {}
        for name, source in self.entailed.items():
            found.setdefault(name, []).append(Decision(DecisionKind.ENTAILED, source))
        for name, decision in self.outranked.items():
            found.setdefault(name, []).append(decision)
        for name, unmet in self.unmet.items():
            found.setdefault(name, []).extend(map(_unmet, unmet.all()))
        for name, decision in self.journeys_outranked.items():
            found[str(Reference(ReferenceKind.JOURNEY, name))] = [decision]
        return {name: tuple(decisions) for name, decisions in found.items()}


class _Census:
    """Who is present, and how many of each tag and of each journey's steps."""

    def __init__(self, graph: Graph, present: Iterable[str], journeys: Iterable[str]) -> None:
        self.graph = graph
        self.present = set(present)
        self.journeys = frozenset(journeys)
        counted = graph.counted
        self.tags = Counter(tag for name in self.present & counted.keys() for tag in counted[name])
        self.steps = Counter(graph.steps[name] for name in self.present & graph.steps.keys())
        self._had_steps = frozenset(self.steps)

    def meets(self, needs: Needs) -> bool:
        """Whether everything that *needs* asks for is present."""
        if not needs.guidelines <= self.present:
            return False
        return not needs.others or all(map(self.has_any, needs.others))

    def has_any(self, need: Need) -> bool:
        """Whether one of *need*'s targets is present."""
        if need.names:
            return not need.names.isdisjoint(self.present)
        return any(map(self.has, need.targets))

    def unmet(self, needs: Needs) -> Needs:
        """What of *needs* is not present."""
        return Needs(needs.guidelines - self.present, tuple([need for need in needs.others if not self.has_any(need)]))

    def has(self, target: Reference) -> bool:
        """Whether what a dependency on *target* asks for is present."""
        match target.kind:
            case ReferenceKind.GUIDELINE:
                return target.name in self.present
            case ReferenceKind.ANY:
                return self.tags[target.name] > 0
            case ReferenceKind.TAG:
                return 0 < self.tags[target.name] == len(self.graph.members.get(target.name, ()))
            case ReferenceKind.JOURNEY:
                # A journey whose matched steps have all been dropped is as good as inactive.
                lost = target.name in self._had_steps and not self.steps[target.name]
                return target.name in self.journeys and not lost

    def remove(self, name: str) -> Iterator[str]:
        """Take *name* out; the targets (as text) that may have become unmet by it."""
        self.present.discard(name)
        yield name
        for tag in self.graph.counted.get(name, ()):
            self.tags[tag] -= 1
            if self.tags[tag] in (0, len(self.graph.members[tag]) - 1):
                yield f"{ReferenceKind.TAG}:{tag}"
        if journey := self.graph.steps.get(name):
            self.steps[journey] -= 1
            if not self.steps[journey]:
                yield f"{ReferenceKind.JOURNEY}:{journey}"


def _meet_dependencies(graph: Graph, present: Sequence[str], state: _State) -> list[str]:
    """
    Drop what lacks a target, then what lacked those, until the rest is sound (its greatest sound part, if cyclic).
    """
    state.unmet.clear()
    pending = deque(name for name in present if name in graph.needs)
    if not pending:
        return list(present)
    census = _Census(graph, present, state.journeys)
    while pending:
        name = pending.popleft()
        needs = graph.needs[name]
        if name in census.present and not census.meets(needs):
            state.unmet[name] = census.unmet(needs)
            for target in census.remove(name):
                pending.extend(graph.dependents.get(target, ()))
    return [name for name in present if name in census.present]


def _unmet(need: Need) -> Decision:
    kind = DecisionKind.UNMET_DEPENDENCY_ANY if need.any_of else DecisionKind.UNMET_DEPENDENCY_ALL
    return Decision(kind, " or ".join(map(str, need.targets)))


def _apply_priorities(graph: Graph, present: Sequence[str], state: _State) -> list[str]:
    """Drop what a present rival outranks; with it the journeys outranked, and what depends on either."""
    contested = [name for name in present if name in graph.rivals]
    if not contested and graph.journey_rivals.keys().isdisjoint(state.journeys):
        return list(present)
    census = _Census(graph, present, state.journeys)
    dropped: set[str] = set()
    for name in contested:
        if rival := _rival_of(census, name):
            dropped.add(name)
            state.outrank(name, rival)
    lost = _outranked_journeys(graph, census, dropped)
    for journey, cause in lost.items():
        state.outrank_journey(journey, cause)
    remaining = [name for name in present if name not in dropped]
    if not dropped and not lost:
        return remaining
    return _without_dependents(graph, remaining, dropped, frozenset(lost), state)


def _rival_of(census: _Census, name: str) -> str:
    """A present rival of guideline *name*; empty if there is none."""
    rivals = census.graph.rivals[name]
    if found := rivals.guidelines & census.present:
        return min(found)
    return _present_rival(census, rivals.others, name) if rivals.others else ""


def _present_rival(census: _Census, rivals: Iterable[Reference], name: str = "") -> str:
    """
    The first of *rivals* that is present. A tag is so by any of its members but *name*; one without a present member
    passes on the rivals of its members (so a guideline that outranks a tag outranks what the tag does).
    """
    pending, seen = deque(rivals), set[Reference]()
    while pending:
        rival = pending.popleft()
        if rival in seen:
            continue
        seen.add(rival)
        match rival.kind:
            case ReferenceKind.GUIDELINE if rival.name in census.present and rival.name != name:
                return str(rival)
            case ReferenceKind.JOURNEY if rival.name in census.journeys:
                return str(rival)
            case ReferenceKind.TAG | ReferenceKind.ANY:
                if census.tags[rival.name] > (rival.name in census.graph.counted.get(name, ())):
                    return str(rival)
                pending.extend(census.graph.tag_rivals.get(rival.name, ()))
            case _:
                continue
    return ""


def _outranked_journeys(graph: Graph, census: _Census, dropped: set[str]) -> dict[str, str]:
    """The active journeys that a rival outranks, or a step of which was; with the cause."""
    steps = ((graph.nodes[name].journey, name) for name in sorted(dropped))
    lost = {journey: name for journey, name in steps if journey in census.journeys}
    if graph.journey_rivals.keys().isdisjoint(census.journeys):
        return lost
    standing = _Census(graph, census.present - dropped, census.journeys)
    for journey in sorted(census.journeys - lost.keys()):
        own = Reference(ReferenceKind.JOURNEY, journey)
        rivals = [rival for rival in graph.journey_rivals.get(journey, ()) if rival != own]
        if rival := _present_rival(standing, rivals):
            lost[journey] = rival
    return lost


def _without_dependents(
    graph: Graph, present: Sequence[str], dropped: set[str], journeys: frozenset[str], state: _State
) -> list[str]:
    """Drop what depends on what was outranked: on one target of many only if all of them were."""
    for name in present:
        needs = graph.needs.get(name)
        if needs is None or (not needs.others and needs.guidelines.isdisjoint(dropped)):
            continue
        if (broken := _broken(graph, needs, dropped, journeys)) is not None:
            state.outrank(name, f"depends on {' or '.join(map(str, broken.targets))}")
    return [name for name in present if name not in state.outranked]


def _broken(graph: Graph, needs: Needs, dropped: set[str], journeys: frozenset[str]) -> Need | None:
    """The first of *needs* all of whose targets are among the *dropped* guidelines or *journeys*."""

    def is_dropped(target: Reference) -> bool:
        match target.kind:
            case ReferenceKind.GUIDELINE:
                return target.name in dropped
            case ReferenceKind.JOURNEY:
                return target.name in journeys
            case _:
                members = graph.members.get(target.name, ())
                return bool(members) and dropped.issuperset(members)

    if lost := needs.guidelines & dropped:
        return Need((Reference(ReferenceKind.GUIDELINE, min(lost)),), any_of=False)
    for need in needs.others:
        if need.names <= dropped if need.names else all(map(is_dropped, need.targets)):
            return need
    return None


def _keep_highest(graph: Graph, present: Sequence[str], state: _State) -> list[str]:
    """
    Keep those of the highest numeric priority. A journey's step has its journey's; the entailed take no part, so that
    they cannot drop what entails them.
    """
    if not graph.has_priorities and not any(state.journeys.values()):
        return list(present)
    ranks = {name: _rank(graph, name, state.journeys) for name in present if name not in state.entailed}
    highest = max((*ranks.values(), *state.journeys.values()), default=0)
    for name, rank in ranks.items():
        if rank < highest:
            state.outrank(name, f"priority {rank} below {highest}")
    for journey, rank in list(state.journeys.items()):
        if rank < highest:
            state.outrank_journey(journey, f"priority {rank} below {highest}")
    return [name for name in present if name not in state.outranked]


def _rank(graph: Graph, name: str, journeys: Mapping[str, int]) -> int:
    node = graph.nodes[name]
    return journeys.get(node.journey, node.priority)


def _entail(graph: Graph, present: Iterable[str], state: _State) -> None:
    """Note what follows from the present, and from what follows, unless a priority dropped it."""
    standing = set(present)
    pending = deque(name for name in present if name in graph.entails)
    while pending:
        source = pending.popleft()
        for target in graph.entails.get(source, ()):
            if target not in standing and target not in state.outranked:
                standing.add(target)
                pending.append(target)
                if target not in state.matched:
                    state.entailed.setdefault(target, source)
