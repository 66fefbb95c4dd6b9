import json

import pytest

from services.operator.evaluation.recorded import translated
from services.operator.evaluation.scenario import Judged, read_scenarios
from shared.errors import Fatal


def recorded(area, **changes):
    return {
        "id": "R-1",
        "area": area,
        "name": "a name",
        "guidelines": [
            {"id": "Book_It", "condition": "wants to book", "action": "book"},
            {"id": "book_it", "condition": "wants a book", "action": None},
        ],
        "conversation": [{"source": "customer", "text": "Hello"}],
        "expected_matched": ["Book_It"],
        "extra": {},
    } | changes


def read(tmp_path, *items):
    file = tmp_path / "recorded.json"
    file.write_text(json.dumps(items))
    return read_scenarios(file)


def test_names_become_such_as_a_playbook_allows_and_stay_apart(tmp_path):
    (scenario,), _ = read(tmp_path, recorded("guideline_matching/actionable"))
    assert [item.id for item in scenario.guidelines] == ["book_it", "book_it-2"]
    assert scenario.expected.ids == ("book_it",)
    assert scenario.expected.judged is Judged.VERDICTS


@pytest.mark.parametrize(
    ("area", "declared"),
    [
        ("guideline_matching/agent_intention", "agent_intention"),
        ("guideline_matching/previously_applied_customer_dependent", "customer_dependent"),
    ],
)
def test_what_an_area_is_about_is_declared_on_its_actions(tmp_path, area, declared):
    (scenario,), _ = read(tmp_path, recorded(area, extra={"previously_applied": ["Book_It"]}))
    assert [getattr(item, declared) for item in scenario.guidelines] == [True, False]
    assert scenario.applied == ("book_it",)


def test_a_disambiguation_offers_the_labelled_targets(tmp_path):
    head = {"id": "__head__", "condition": "it is unclear", "action": None}
    item = recorded("disambiguation")
    (scenario,), _ = read(tmp_path, item | {"guidelines": [head, *item["guidelines"]]})
    assert scenario.expected.judged is Judged.CHOICE
    assert scenario.relationships[0].source == scenario.guidelines[0].id
    assert scenario.relationships[0].targets == ("book_it", "book_it-2")


def journey(expected, path):
    nodes = [
        {"id": "1", "action": "ask", "kind": "chat", "follow_up_ids": ["2", "3"], "customer_dependent_action": True},
        {"id": "2", "action": None, "kind": "chat", "follow_up_ids": []},
        {"id": "3", "condition": "it is there", "action": "look", "kind": "tool"},
    ]
    about = {"name": "Find", "title": "Find it", "triggers": ["it is lost"], "nodes": nodes}
    extra = {"journey": about, "previous_path": path}
    return recorded("journey_step_selection", expected_matched=expected, extra=extra)


def test_a_journeys_nodes_become_states_and_an_empty_last_one_its_end(tmp_path):
    (scenario,), _ = read(tmp_path, journey(["3"], ["1"]))
    assert scenario.journey is not None
    assert [state.id for state in scenario.journey.states] == ["1", "3"]
    assert [(way.to, way.when) for way in scenario.journey.states[0].next] == [("3", "it is there"), ("end", "")]
    assert scenario.path == ("1",)
    assert scenario.expected.ids == ("3",)


@pytest.mark.parametrize(
    ("expected", "path", "ids"),
    [(["1", "3"], ["1"], ("3",)), (["1", "3"], None, ("1", "3")), (["2"], ["1"], ()), ([], ["1"], ())],
)
def test_a_list_that_goes_on_from_the_path_names_its_last_state(tmp_path, expected, path, ids):
    (scenario,), _ = read(tmp_path, journey(expected, path))
    assert scenario.expected.ids == ids


def test_what_else_is_known_is_shown_to_matching(tmp_path):
    extra = {
        "context_variables": [{"name": "tier", "value": {"level": 1}}],
        "staged_tool_events": [{"tool_id": "age", "arguments": {"id": 1}, "result": 16}],
        "terms": [{"name": "PDMM", "description": "a reset"}],
        "capabilities": [{"title": "Reset", "description": "resets"}],
    }
    (scenario,), _ = read(tmp_path, recorded("guideline_matching/mixed", extra=extra))
    assert scenario.variables == {"tier": '{"level": 1}', 'result 1 of age {"id": 1}': "16"}
    assert [term.term for term in scenario.glossary] == ["PDMM", "Reset"]


@pytest.mark.parametrize("area", ["e2e/journeys", "e2e/tools", "unheard_of", "indexing_of_books"])
def test_an_area_that_does_not_fit_is_named_with_its_reason(area):
    scenarios, unfit = translated([recorded(area)])
    assert scenarios == []
    assert unfit["R-1"]


@pytest.mark.parametrize("missing", ["conversation", "guidelines"])
def test_a_scenario_that_asks_nothing_does_not_fit(missing):
    scenarios, unfit = translated([recorded("guideline_matching/mixed", **{missing: []})])
    assert scenarios == []
    assert unfit["R-1"]


def test_a_document_of_another_form_is_told():
    with pytest.raises(Fatal, match="no list"):
        translated({"area": "e2e"})
    with pytest.raises(Fatal, match="scenario 0"):
        translated([{"area": "disambiguation"}])


RELATED = {
    "relationships": [
        {"kind": "dependency_any", "source": "g1", "source_type": "guideline", "group": "a"}
        | {"target": target, "target_type": "guideline"}
        for target in ("g2", "g3")
    ],
    "initially_matched": ["g1", "g2"],
    "active_journeys": [],
}


def related(**changes):
    guidelines = [
        {"id": name, "condition": "x", "action": None, "tags": [], "priority": 0} for name in ("g1", "g2", "g3")
    ]
    extra = RELATED | changes
    return recorded(
        "relationship_resolution", guidelines=guidelines, conversation=[], expected_matched=["g1"], extra=extra
    )


def test_given_verdicts_and_grouped_relationships_become_a_turn_of_their_own(tmp_path):
    (scenario,), _ = read(tmp_path, related())
    assert scenario.expected.matched == ("g1", "g2")
    assert scenario.expected.ids == ("g1",)
    assert [one.targets for one in scenario.relationships] == [("g2", "g3")]
    assert len({one.condition for one in scenario.guidelines}) == 3


def test_relationships_of_journeys_and_of_tags_that_nobody_bears_do_not_fit(tmp_path):
    nobody = {"kind": "priority", "source": "g1", "source_type": "guideline", "target": "t", "target_type": "tag_all"}
    fitting, unfit = read(
        tmp_path,
        related(active_journeys=[{"id": "j1", "priority": 0}]) | {"id": "R-2"},
        related(relationships=[nobody]) | {"id": "R-3"},
    )
    assert fitting == ()
    assert "journey" in unfit["R-2"]
    assert "refuses its playbook" in unfit["R-3"]


def test_a_reply_is_judged_by_what_it_performed(tmp_path):
    said = [{"source": "customer", "text": "Hello"}, {"source": "agent", "text": "Booked"}]
    guidelines = [{"id": "Book_It", "condition": "wants to book", "action": "book"}]
    (scenario,), _ = read(tmp_path, recorded("response_analysis", conversation=said, guidelines=guidelines))
    assert scenario.expected.judged is Judged.PERFORMED
    assert scenario.expected.ids == ("book_it",)


@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize("kind", ["continuous", "customer_dependent", "agent_intention"])
def test_indexing_is_judged_by_the_kind_of_the_guideline(tmp_path, kind, label):
    guidelines = [{"id": "g1", "condition": "it rains", "action": "sing"}]
    item = recorded(f"indexing/{kind}", conversation=[], guidelines=guidelines, extra={"expected_label": label})
    (scenario,), _ = read(tmp_path, item)
    assert scenario.expected.kind == kind
    assert scenario.expected.ids == (("g1",) if label else ())
