"""
Laws of resolving: each kind of relationship against a plain reading of what was declared, and kinds that meet.

The readings below know nothing of the graph that the product indexes: they go through the declarations, however slowly.
"""

from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.domain.relationships import Node, graph_of
from services.matcher.domain.resolving import DecisionKind, resolve
from shared.playbook.model import Relationship

NAMES = "abcdefgh"
TARGETS = st.sampled_from([*NAMES, "tag:t", "any:t", "tag:u", "any:u", "journey:j", "journey:k"])
SOURCES = st.sampled_from([*NAMES, "tag:t", "tag:u", "journey:j", "journey:k"])
MATCHED = st.lists(st.sampled_from(NAMES), unique=True)
JOURNEYS = st.sets(st.sampled_from("jk"))
RANKS = st.sampled_from([-1, 0, 0, 1, 2])
NODES = st.builds(
    lambda tags, journeys: [
        Node(name, tuple(sorted(own)), 0, journey) for name, own, journey in zip(NAMES, tags, journeys, strict=True)
    ],
    st.lists(st.sets(st.sampled_from("tu")), min_size=8, max_size=8),
    st.lists(st.sampled_from(["", "", "", "j", "k"]), min_size=8, max_size=8),
)


def declared(*kinds: str) -> st.SearchStrategy[list[Relationship]]:
    targets = st.lists(TARGETS, min_size=1, max_size=3).map(tuple)
    return st.lists(st.builds(Relationship, kind=st.sampled_from(kinds), source=SOURCES, targets=targets), max_size=12)


def is_source(text: str, node: Node) -> bool:
    """Whether a relationship of *text* is one of *node*'s: its own, its tag's or its journey's."""
    kind, _, name = text.rpartition(":")
    return name in {"": (node.id,), "tag": node.tags, "any": node.tags, "journey": (node.journey,)}[kind]


def holds(text: str, nodes: Sequence[Node], present: set[str], matched: Iterable[str], journeys: set[str]) -> bool:
    """Whether what a dependency on *text* asks for is there."""
    kind, _, name = text.rpartition(":")
    if kind == "journey":
        steps = {node.id for node in nodes if node.journey == name} & set(matched)
        return name in journeys and (not steps or bool(steps & present))
    members = {node.id for node in nodes if name in node.tags} if kind else {name}
    return bool(members & present) if kind == "any" else bool(members) and members <= present


def sound_part(
    nodes: Sequence[Node], relationships: Sequence[Relationship], matched: Sequence[str], journeys: set[str]
) -> set[str]:
    """What is left of *matched* once everything that lacks a target has gone, and what lacked that."""
    by_id, present = {node.id: node for node in nodes}, set(matched)
    while True:
        lacking = {
            name
            for name in present
            for item in relationships
            if is_source(item.source, by_id[name])
            and not (any if item.kind == "dependency_any" else all)(
                holds(target, nodes, present, matched, journeys) for target in item.targets
            )
        }
        if not lacking:
            return present
        present -= lacking


def reached(nodes: Sequence[Node], relationships: Sequence[Relationship], matched: Iterable[str]) -> set[str]:
    """*matched* and all that follows; a tag that follows stands for its members, and for what the tag entails."""
    by_id = {node.id: node for node in nodes}
    tags_of = {name: {f"tag:{tag}" for tag in node.tags} for name, node in by_id.items()}
    journey_of = {name: {f"journey:{node.journey}"} for name, node in by_id.items() if node.journey}
    found = set(matched)
    while True:
        following = {key for name in found for key in ({name} | tags_of[name] | journey_of.get(name, set()))}
        targets: set[str] = set()
        while True:
            more = {
                target.replace("any:", "tag:")
                for item in relationships
                if item.source in following | {key for key in targets if key.startswith("tag:")}
                for target in item.targets
                if not target.startswith("journey:")
            }
            if more <= targets:
                break
            targets |= more
        members = {name for name in NAMES for key in targets if key == name or key in tags_of[name]}
        if members <= found:
            return found
        found |= members


@given(NODES, declared("dependency", "dependency_any"), MATCHED, JOURNEYS)
def test_of_dependencies_alone_the_greatest_sound_part_stays(
    nodes: list[Node], relationships: list[Relationship], matched: list[str], journeys: set[str]
) -> None:
    resolved = resolve(graph_of(nodes, relationships), matched, dict.fromkeys(journeys, 0))
    expected = sound_part(nodes, relationships, matched, journeys)
    assert resolved.active == tuple(name for name in matched if name in expected)
    assert set(resolved.journeys) == journeys
    assert resolved.decisions.keys() == set(matched) - expected


@given(NODES, declared("entailment"), MATCHED)
def test_of_entailments_alone_all_that_follows_is_active(
    nodes: list[Node], relationships: list[Relationship], matched: list[str]
) -> None:
    resolved = resolve(graph_of(nodes, relationships), matched, {})
    expected = reached(nodes, relationships, matched)
    assert set(resolved.active) == expected
    assert resolved.active[: len(matched)] == tuple(matched)
    assert resolved.decisions.keys() == expected - set(matched)


@given(st.lists(RANKS, min_size=8, max_size=8), MATCHED, st.dictionaries(st.sampled_from("jk"), RANKS))
def test_of_numbers_alone_all_that_share_the_highest_stay_journeys_included(
    ranks: list[int], matched: list[str], journeys: dict[str, int]
) -> None:
    graph = graph_of([Node(name, (), rank) for name, rank in zip(NAMES, ranks, strict=True)], [])
    resolved = resolve(graph, matched, journeys)
    rank_of = dict(zip(NAMES, ranks, strict=True))
    highest = max((*(rank_of[name] for name in matched), *journeys.values()), default=0)
    assert resolved.active == tuple(name for name in matched if rank_of[name] == highest)
    assert set(resolved.journeys) == {name for name, rank in journeys.items() if rank == highest}


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12), MATCHED)
def test_of_priorities_alone_whoever_has_a_matched_rival_goes_even_along_chains_and_in_circles(
    pairs: list[tuple[str, str]], matched: list[str]
) -> None:
    relationships = [Relationship(kind="priority", source=one, targets=(other,)) for one, other in pairs]
    resolved = resolve(graph_of(map(Node, NAMES), relationships), matched, {})
    outranked = {other for one, other in pairs if one != other and one in matched}
    assert set(resolved.active) == set(matched) - outranked


@given(
    NODES,
    declared("entailment", "priority", "dependency", "dependency_any"),
    MATCHED,
    st.dictionaries(st.sampled_from("jk"), st.just(0)),
)
def test_a_match_that_nothing_speaks_of_changes_nothing_for_the_others(
    nodes: list[Node], relationships: list[Relationship], matched: list[str], journeys: Mapping[str, int]
) -> None:
    graph = graph_of([*nodes, Node("z")], relationships)
    alone, beside = resolve(graph, matched, journeys), resolve(graph, [*matched, "z"], journeys)
    assert set(beside.active) == {*alone.active, "z"}
    assert beside.journeys == alone.journeys
    assert beside.decisions == alone.decisions


def settled(nodes: str, relationships: Sequence[str], matched: str, journeys: str = "") -> str:
    """What is active, in the order of names; a node is `name`, `name:tag@journey`, `name#priority` or between."""
    made = []
    for text in nodes.split():
        text, _, rank = text.partition("#")  # noqa: PLW2901 - taken apart from its end
        text, _, journey = text.partition("@")  # noqa: PLW2901
        name, _, tag = text.partition(":")
        made.append(Node(name, (tag,) if tag else (), int(rank or 0), journey))
    parts = [text.split() for text in relationships]
    edges = [Relationship(kind=kind, source=source, targets=tuple(targets)) for kind, source, *targets in parts]
    return "".join(sorted(resolve(graph_of(made, edges), list(matched), dict.fromkeys(journeys.split(), 0)).active))


@pytest.mark.parametrize(
    ("nodes", "relationships", "matched", "journeys", "active"),
    [
        pytest.param("a b c", ["entailment a b", "priority b c"], "ac", "", "ab", id="the-entailed-outranks"),
        pytest.param("a b c", ["entailment a b", "priority c b"], "ac", "", "ac", id="the-entailed-is-outranked"),
        pytest.param("a b c", ["entailment a b", "dependency b c"], "a", "", "a", id="the-entailed-lacks-its-target"),
        pytest.param("a b c", ["entailment a b", "dependency c b"], "ac", "", "abc", id="the-entailed-is-a-target"),
        pytest.param("a b c d", ["priority a b", "dependency_any c b d"], "abcd", "", "acd", id="a-sibling-survives"),
        pytest.param("a b c d", ["priority a b", "dependency_any c b d"], "abc", "", "a", id="no-sibling-survives"),
        pytest.param(
            "a b:t c:t d", ["dependency d tag:t", "priority a c"], "abcd", "", "ab", id="all-of-a-tag-but-one-outranked"
        ),
        pytest.param(
            "a b:t c:t d", ["dependency d any:t", "priority a c"], "abcd", "", "abd", id="any-of-a-tag-one-outranked"
        ),
        pytest.param(
            "a:t b:u c", ["dependency tag:t any:u", "dependency tag:u c"], "ab", "", "", id="tags-that-need-tags"
        ),
        pytest.param(
            "a:t b:u c", ["dependency tag:t any:u", "dependency tag:u c"], "abc", "", "abc", id="tags-that-have-tags"
        ),
        pytest.param("a b@j", ["dependency a journey:j"], "ab", "", "b", id="a-journey-that-is-not-active"),
        pytest.param("a b@j c", ["dependency a journey:j", "priority c journey:j"], "abc", "j", "c", id="outranked"),
        pytest.param(
            "a b@j c@k", ["dependency_any a journey:j journey:k", "priority journey:k journey:j"], "abc", "j k", "ac",
            id="one-of-two-journeys-outranked",
        ),
        pytest.param("a b:t@j", ["priority a tag:t"], "ab", "j", "a", id="a-tagged-journey-outranked"),
        pytest.param("a#1 b c#1", ["dependency c b"], "abc", "", "a", id="numbers-drop-a-target-and-its-dependent"),
        pytest.param("a#1 b#1 c", ["priority a b"], "abc", "", "a", id="numbers-among-what-priorities-left"),
        pytest.param("a b#1 c", ["priority a b", "entailment a c"], "ab", "", "ac", id="the-highest-was-outranked"),
    ],
)  # fmt: skip
def test_where_kinds_meet(nodes: str, relationships: list[str], matched: str, journeys: str, active: str) -> None:
    assert settled(nodes, relationships, matched, journeys) == active


def test_a_decision_names_only_the_direct_cause() -> None:
    nodes = [Node(name) for name in "abcd"]
    edges = [Relationship(kind="dependency", source=one, targets=(other,)) for one, other in (("a", "b"), ("b", "c"))]
    resolved = resolve(graph_of(nodes, edges), ["a", "b"], {})
    assert [(one.kind, one.cause) for one in resolved.decisions["a"]] == [(DecisionKind.UNMET_DEPENDENCY_ALL, "b")]
    assert [(one.kind, one.cause) for one in resolved.decisions["b"]] == [(DecisionKind.UNMET_DEPENDENCY_ALL, "c")]
