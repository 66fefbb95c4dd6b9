"""
The relationships of a playbook version, indexed by who they bear on: made once a version, so that resolving a turn
costs what its matches have, not what the playbook has.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from shared.playbook.model import Relationship, RelationshipKind
from shared.playbook.references import Reference, ReferenceKind, reference

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Node:
    """A guideline as relationships see it; `journey` is the one that it is a step of."""

    id: str
    tags: tuple[str, ...] = ()
    priority: int = 0
    journey: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """
    A dependency: at least one of `targets`; `any_of` tells a declared alternative from a single target. `names` are the
    targets where all are guidelines, else empty.
    """

    targets: tuple[Reference, ...]
    any_of: bool
    names: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Know the names."""
        plain = all(target.kind is ReferenceKind.GUIDELINE for target in self.targets)
        object.__setattr__(self, "names", frozenset(target.name for target in self.targets if plain))


@dataclass(frozen=True, slots=True)
class Needs:
    """What a guideline depends on: all of `guidelines`, and each of `others`. Apart, because sets compare at once."""

    guidelines: frozenset[str]
    others: tuple[Need, ...]

    def all(self) -> tuple[Need, ...]:
        """Both, in one form."""
        single = (Need((Reference(_GUIDELINE, name),), any_of=False) for name in sorted(self.guidelines))
        return (*single, *self.others)


@dataclass(frozen=True, slots=True)
class Rivals:
    """Whose presence drops a guideline: any of `guidelines`, or of the tags and journeys among `others`."""

    guidelines: frozenset[str]
    others: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """
    Relationships by guideline id.

    * `steps`: the journey of each guideline that is a step.
    * `members`: who bears a tag; `counted`: which of a guideline's tags relationships speak of.
    * `needs`: what a guideline depends on, by itself, its tags and its journey.
    * `dependents`: who depends on a guideline, a tag or a journey, by its reference as text (which
      hashes ten times as fast as a `Reference`).
    * `rivals`: whose presence drops a guideline, by itself, its tags and its journey.
    * `tag_rivals`: the rivals of a tag's members: a priority of the tag is theirs, too, when no member is present.
    * `journey_rivals`: whose presence drops a journey.
    * `entails`: what follows from a guideline, by itself and its tags; tags stand for their members.
    """

    nodes: Mapping[str, Node]
    steps: Mapping[str, str]
    members: Mapping[str, tuple[str, ...]]
    counted: Mapping[str, tuple[str, ...]]
    needs: Mapping[str, Needs]
    dependents: Mapping[str, tuple[str, ...]]
    rivals: Mapping[str, Rivals]
    tag_rivals: Mapping[str, tuple[Reference, ...]]
    journey_rivals: Mapping[str, tuple[Reference, ...]]
    entails: Mapping[str, tuple[str, ...]]
    has_priorities: bool


def graph_of(nodes: Iterable[Node], relationships: Iterable[Relationship]) -> Graph:
    """
    The graph of *relationships* between *nodes*; what refers to no node has no effect (`playbook check` finds it).
    """
    by_id = {node.id: node for node in nodes}
    members: dict[str, list[str]] = defaultdict(list)
    for node in by_id.values():
        for tag in node.tags:
            members[tag].append(node.id)
    edges = _Edges.of(relationships)
    needs = _inherited(by_id, edges.needs)
    rivals = _inherited(by_id, edges.rivals)
    spoken_of = _tags_of(needs, rivals, edges)
    return Graph(
        nodes=by_id,
        steps={node.id: node.journey for node in by_id.values() if node.journey},
        members={tag: tuple(ids) for tag, ids in members.items()},
        counted=_counted(by_id.values(), spoken_of),
        needs={name: _needs(values) for name, values in needs.items()},
        dependents=_dependents(needs),
        rivals={name: _rivals(values, name) for name, values in rivals.items()},
        tag_rivals={tag: _joined(rivals.get(name, ()) for name in members.get(tag, ())) for tag in spoken_of},
        journey_rivals={key.name: tuple(sources) for key, sources in edges.rivals.items() if key.kind is _JOURNEY},
        entails=_entailments(by_id, members, edges.entails),
        has_priorities=any(node.priority for node in by_id.values()),
    )


_GUIDELINE, _TAG, _ANY, _JOURNEY = (
    ReferenceKind.GUIDELINE,
    ReferenceKind.TAG,
    ReferenceKind.ANY,
    ReferenceKind.JOURNEY,
)


@dataclass(frozen=True, slots=True)
class _Edges:
    """The relationships as declared, by the guideline, tag or journey that they bear on."""

    needs: Mapping[Reference, list[Need]]
    rivals: Mapping[Reference, list[Reference]]
    entails: Mapping[Reference, list[Reference]]

    @classmethod
    def of(cls, relationships: Iterable[Relationship]) -> "_Edges":
        needs: dict[Reference, list[Need]] = defaultdict(list)
        rivals: dict[Reference, list[Reference]] = defaultdict(list)
        entails: dict[Reference, list[Reference]] = defaultdict(list)
        for relationship in relationships:
            source = reference(relationship.source)
            targets = tuple(map(reference, relationship.targets))
            match relationship.kind:
                case RelationshipKind.DEPENDENCY:
                    needs[_key(source)] += [Need((target,), any_of=False) for target in targets]
                case RelationshipKind.DEPENDENCY_ANY:
                    needs[_key(source)].append(Need(targets, any_of=True))
                case RelationshipKind.PRIORITY:
                    for target in targets:
                        rivals[_key(target)].append(source)
                case RelationshipKind.ENTAILMENT:
                    entails[_key(source)] += map(_key, targets)
                case RelationshipKind.DISAMBIGUATION:
                    pass  # Decided before anything is resolved: see disambiguation.
        return cls(needs, rivals, entails)


def _key(target: Reference) -> Reference:
    """*target* as a key: `any:x` and `tag:x` name the same guidelines, and differ only as what is depended on."""
    return Reference(_TAG, target.name) if target.kind is _ANY else target


def _keys(node: Node) -> list[Reference]:
    keys = [Reference(_GUIDELINE, node.id), *(Reference(_TAG, tag) for tag in node.tags)]
    return [*keys, Reference(_JOURNEY, node.journey)] if node.journey else keys


def _inherited(nodes: Mapping[str, Node], edges: Mapping[Reference, list[T]]) -> dict[str, tuple[T, ...]]:
    found = {name: _joined(edges.get(key, ()) for key in _keys(node)) for name, node in nodes.items()}
    return {name: values for name, values in found.items() if values}


def _joined(parts: Iterable[Iterable[T]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(value for part in parts for value in part))


def _tags_of(
    needs: Mapping[str, tuple[Need, ...]], rivals: Mapping[str, tuple[Reference, ...]], edges: "_Edges"
) -> frozenset[str]:
    """The tags whose members' presence is asked for."""
    targets = (target for values in needs.values() for need in values for target in need.targets)
    sources = (source for values in (*rivals.values(), *edges.rivals.values()) for source in values)
    return frozenset(item.name for item in (*targets, *sources) if item.kind in (_TAG, _ANY))


def _counted(nodes: Iterable[Node], spoken_of: frozenset[str]) -> dict[str, tuple[str, ...]]:
    found = {node.id: tuple(tag for tag in node.tags if tag in spoken_of) for node in nodes}
    return {name: tags for name, tags in found.items() if tags}


def _needs(values: Iterable[Need]) -> Needs:
    single = {value for value in values if len(value.targets) == 1 and value.targets[0].kind is _GUIDELINE}
    return Needs(
        frozenset(value.targets[0].name for value in single), tuple(value for value in values if value not in single)
    )


def _rivals(values: Iterable[Reference], name: str) -> Rivals:
    """A guideline whose tag it outranks itself is no rival of its own."""
    guidelines = frozenset(value.name for value in values if value.kind is _GUIDELINE)
    return Rivals(guidelines - {name}, tuple(value for value in values if value.kind is not _GUIDELINE))


def _dependents(needs: Mapping[str, tuple[Need, ...]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for name, alternatives in needs.items():
        for need in alternatives:
            for target in need.targets:
                found[str(_key(target))][name] = None
    return {key: tuple(names) for key, names in found.items()}


def _entailments(
    nodes: Mapping[str, Node], members: Mapping[str, list[str]], entails: Mapping[Reference, list[Reference]]
) -> dict[str, tuple[str, ...]]:
    """
    Direct ones by guideline; chains are followed when a turn is resolved. A tag that entails does so for its members.
    """
    reached = {key: _guidelines_of(targets, nodes, members, entails) for key, targets in entails.items()}
    found = {
        name: tuple(dict.fromkeys(target for key in _keys(node) for target in reached.get(key, ()) if target != name))
        for name, node in nodes.items()
    }
    return {name: targets for name, targets in found.items() if targets}


def _guidelines_of(
    targets: Iterable[Reference],
    nodes: Mapping[str, Node],
    members: Mapping[str, list[str]],
    entails: Mapping[Reference, list[Reference]],
) -> list[str]:
    """The guidelines among *targets*, those of their tags, and what the tags themselves entail."""
    found: dict[str, None] = {}
    pending, seen = list(targets), set[Reference]()
    while pending:
        target = pending.pop()
        if target in seen:
            continue
        seen.add(target)
        if target.kind is _GUIDELINE:
            if target.name in nodes:
                found[target.name] = None
        elif target.kind is _TAG:
            found |= dict.fromkeys(members.get(target.name, ()))
            pending += entails.get(target, ())
    return list(found)
