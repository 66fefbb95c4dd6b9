"""Relationships: what stays, what goes, what is added, and why."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.domain.relationships import Graph, Node, graph_of
from services.matcher.domain.resolving import DecisionKind, Resolved, resolve
from shared.playbook.model import Relationship


def node(text: str) -> Node:
    """`a`, `a:tag1,tag2`, `a@journey` or `a#5` (a numeric priority)."""
    text, _, priority = text.partition("#")
    text, _, journey = text.partition("@")
    name, _, tags = text.partition(":")
    return Node(name, tuple(filter(None, tags.split(","))), int(priority or 0), journey)


def graph(nodes: str, *relationships: str) -> Graph:
    """*nodes* as above, divided by spaces; relationships as `kind source target…`."""
    parts = [text.split() for text in relationships]
    return graph_of(
        map(node, nodes.split()),
        [Relationship(kind=kind, source=source, targets=tuple(targets)) for kind, source, *targets in parts],
    )


def run(found: Graph, matched: str, journeys: str = "") -> Resolved:
    active = {name: int(rank or 0) for name, _, rank in (text.partition("#") for text in journeys.split())}
    return resolve(found, matched.split(), active)


def why(resolved: Resolved, name: str) -> list[tuple[str, str]]:
    return [(str(decision.kind), decision.cause) for decision in resolved.decisions.get(name, ())]


def test_without_relationships_everything_stays_in_order_and_nothing_is_said() -> None:
    resolved = run(graph("a b c"), "c a")
    assert (resolved.active, resolved.decisions) == (("c", "a"), {})


@pytest.mark.parametrize(
    ("relationship", "matched", "active"),
    [
        ("priority a b", "a b", "a"),
        ("priority a b", "b", "b"),
        ("priority a tag:t", "a c d", "a"),
        ("priority tag:t a", "a c", "c"),
        ("priority any:t a", "a c", "c"),
        ("priority tag:t a", "a b", "a b"),
        ("priority c tag:t", "c d", "c"),
        ("dependency a b", "a", ""),
        ("dependency a b", "a b", "a b"),
        ("dependency a b c", "a b", "b"),
        ("dependency a tag:t", "a c", "c"),
        ("dependency a tag:t", "a c d", "a c d"),
        ("dependency a any:t", "a c", "a c"),
        ("dependency a any:t", "a", ""),
        ("dependency a tag:nobody", "a", ""),
        ("dependency a any:nobody", "a", ""),
        ("dependency_any a b c", "a", ""),
        ("dependency_any a b c", "a c", "a c"),
        ("dependency tag:t a", "c d b", "b"),
        ("entailment a b", "a", "a b"),
        ("entailment a tag:t", "a", "a c d"),
        ("entailment tag:t a", "c", "c a"),
        ("entailment a b", "b", "b"),
    ],
)
def test_one_relationship(relationship: str, matched: str, active: str) -> None:
    assert sorted(run(graph("a b c:t d:t", relationship), matched).active) == sorted(active.split())


def test_the_report_names_kind_and_cause() -> None:
    found = graph(
        "a b c d e f g:t",
        "priority a b",
        "dependency c f",
        "dependency_any d f any:t",
        "entailment a e",
    )
    resolved = run(found, "a b c d")
    assert why(resolved, "a") == []
    assert why(resolved, "b") == [("deprioritized", "a")]
    assert why(resolved, "c") == [("unmet_dependency_all", "f")]
    assert why(resolved, "d") == [("unmet_dependency_any", "f or any:t")]
    assert why(resolved, "e") == [("entailed", "a")]


def test_a_rival_that_does_not_apply_itself_drops_nobody() -> None:
    """Dependencies are settled first."""
    assert run(graph("a b c", "priority a b", "dependency a c"), "a b").active == ("b",)


def test_what_was_outranked_stays_away_when_its_rival_goes_later() -> None:
    found = graph("a b c d", "priority a b", "dependency a d", "priority c d")
    assert run(found, "a b c d").active == ("c",)


def test_dependents_of_the_outranked_go_with_them_and_theirs_lack_them() -> None:
    resolved = run(graph("a b c d", "dependency a b", "dependency b c", "priority d c"), "a b c d")
    assert resolved.active == ("d",)
    assert why(resolved, "b") == [("deprioritized", "depends on c")]
    assert why(resolved, "a") == [("unmet_dependency_all", "b")]


def test_a_dependency_that_entailment_meets_holds() -> None:
    resolved = run(graph("a b c", "dependency a c", "entailment b c"), "a b")
    assert sorted(resolved.active) == ["a", "b", "c"]
    assert why(resolved, "a") == []


def test_entailment_runs_along_chains_and_through_tags() -> None:
    found = graph("a b c:t d:t e", "entailment a b", "entailment b tag:t", "entailment tag:t e")
    assert sorted(run(found, "a").active) == list("abcde")


def test_what_a_priority_dropped_is_not_entailed() -> None:
    assert run(graph("a b c", "priority a b", "entailment c b"), "a b c").active == ("a", "c")
    assert run(graph("a b c", "priority a b", "entailment c b"), "a c").active == ("a", "c")


def test_the_entailed_do_not_outrank_by_number_what_entails_them() -> None:
    assert run(graph("a b#9", "entailment a b"), "a").active == ("a", "b")


def test_only_the_highest_numeric_priority_stays() -> None:
    resolved = run(graph("a#1 b#5 c#5 d"), "a b c d")
    assert resolved.active == ("b", "c")
    assert why(resolved, "a") == [("deprioritized", "priority 1 below 5")]


def test_a_guideline_outranks_what_a_tag_outranks_that_it_outranks() -> None:
    found = graph("a b m:t", "priority a tag:t", "priority tag:t b")
    assert run(found, "a b").active == ("a",)
    assert run(found, "b").active == ("b",)


def test_priority_does_not_pass_through_a_guideline_that_does_not_match() -> None:
    assert run(graph("a b c", "priority a b", "priority b c"), "a c").active == ("a", "c")


def test_journeys_outrank_and_are_outranked() -> None:
    steps = "s1@j1 s2@j2 g"
    over = run(graph(steps, "priority journey:j1 journey:j2"), "s1 s2", "j1 j2")
    assert (over.active, over.journeys) == (("s1",), ("j1",))
    assert why(over, "journey:j2") == [("deprioritized", "s2")]
    by_guideline = run(graph(steps, "priority g journey:j1"), "g", "j1 j2")
    assert by_guideline.journeys == ("j2",)
    assert run(graph(steps, "priority journey:j1 g"), "g", "").active == ("g",)
    assert run(graph(steps, "priority journey:j1 g"), "g", "j1").active == ()


def test_a_dependency_on_a_journey_ends_with_its_last_step() -> None:
    found = graph("s@j g x", "dependency g journey:j", "dependency journey:j x")
    assert run(found, "s g", "j").active == ()
    assert run(found, "s g x", "j").active == ("s", "g", "x")
    assert run(found, "g x", "j").active == ("g", "x")
    assert run(found, "g x", "").active == ("x",)


def test_a_steps_number_is_its_journeys() -> None:
    found = graph("s@j#1 g#5")
    assert run(found, "s g", "j#9").active == ("s",)
    assert run(found, "s g", "j#5").active == ("s", "g")
    low = run(found, "s g", "j#2")
    assert (low.active, low.journeys) == (("g",), ())


@pytest.mark.parametrize("kind", ["dependency", "dependency_any"])
def test_guidelines_that_depend_on_each_other_stand_and_fall_together(kind: str) -> None:
    found = graph("a b c", f"{kind} a b", f"{kind} b a")
    assert run(found, "a b").active == ("a", "b")
    assert run(found, "a c").active == ("c",)
    assert run(graph("a b c", f"{kind} a b", f"{kind} b a", "dependency b c"), "a b").active == ()


def test_guidelines_that_outrank_each_other_both_go() -> None:
    """A contradiction of the authors', which `playbook check` finds: neither may be said to have won."""
    assert run(graph("a b c", "priority a b", "priority b a"), "a b c").active == ("c",)


def test_entailment_in_a_circle_ends() -> None:
    assert run(graph("a b c", "entailment a b", "entailment b c", "entailment c a"), "b").active == ("b", "c", "a")


def test_what_names_nobody_has_no_effect_but_on_those_who_need_it() -> None:
    found = graph("a b", "priority ghost a", "entailment a ghost", "dependency b ghost")
    assert run(found, "a b").active == ("a",)


NAMES = "abcdefgh"
REFERENCES = st.sampled_from([*NAMES, "tag:t", "any:t", "tag:u", "any:u", "journey:j", "journey:k"])
RELATIONSHIPS = st.lists(
    st.builds(
        Relationship,
        kind=st.sampled_from(["entailment", "priority", "dependency", "dependency_any"]),
        source=REFERENCES,
        targets=st.lists(REFERENCES, min_size=1, max_size=3).map(tuple),
    ),
    max_size=14,
)
NODES = st.builds(
    lambda tags, ranks, journeys: [
        Node(name, tuple(own), rank, journey)
        for name, own, rank, journey in zip(NAMES, tags, ranks, journeys, strict=True)
    ],
    st.lists(st.sets(st.sampled_from("tu")), min_size=8, max_size=8),
    st.lists(st.sampled_from([0, 0, 0, 1]), min_size=8, max_size=8),
    st.lists(st.sampled_from(["", "", "", "j", "k"]), min_size=8, max_size=8),
)
MATCHED = st.lists(st.sampled_from(NAMES), unique=True)
JOURNEYS = st.dictionaries(st.sampled_from("jk"), st.sampled_from([0, 0, 1]))


@given(NODES, RELATIONSHIPS, MATCHED, JOURNEYS, st.randoms())
def test_any_relationships_end_in_a_sound_and_explained_result(
    nodes: list[Node],
    relationships: list[Relationship],
    matched: Sequence[str],
    journeys: dict[str, int],
    random: object,
) -> None:
    found = graph_of(nodes, relationships)
    resolved = resolve(found, matched, journeys)
    active = set(resolved.active)
    assert len(active) == len(resolved.active)
    assert set(resolved.journeys) <= journeys.keys()
    # Whoever came or went has a decision that says so.
    gone = {DecisionKind.DEPRIORITIZED, DecisionKind.UNMET_DEPENDENCY_ALL, DecisionKind.UNMET_DEPENDENCY_ANY}
    kinds = {name: {decision.kind for decision in found} for name, found in resolved.decisions.items()}
    for name in set(matched) - active:
        assert kinds[name] & gone
    for name in active - set(matched):
        assert DecisionKind.ENTAILED in kinds[name]
    for name in active:
        assert not kinds.get(name, set()) & gone
    # Nobody is left without what it needs, or beside a guideline that outranks it.
    for name in active:
        if name in found.needs:
            assert found.needs[name].guidelines <= active
        if name in found.rivals:
            assert not found.rivals[name].guidelines & active
    # The order of the matches decides nothing.
    shuffled = list(matched)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = resolve(found, shuffled, journeys)
    assert set(again.active) == active
    assert set(again.journeys) == set(resolved.journeys)
