from random import Random

import pytest

from services.operator.evaluation.scripted import scripted_rules
from shared.errors import Fatal
from shared.llm.rehearsal.rules import Situation
from shared.llm.rehearsal.settings import RehearsalSettings

CHOICE = {"kind": "disambiguation", "source": "h", "targets": ["a", "b"]}


def situation(**sections):
    asked = [
        {"id": "G1", "when": "the customer says hello", "do": "greet"},
        {"id": "G2", "when": "the customer asks for the price", "do": "state it"},
    ]
    known = {"guidelines": asked, "conversation": [{"from": "customer", "text": "Hello"}]} | sections
    return Situation(known, {}, Random(1), RehearsalSettings())


def test_verdicts_are_the_labels(make_scenario):
    answer = scripted_rules([make_scenario()])["match_guidelines_v1"](situation(already_applied=["G2"]))
    assert [(check["guideline"], check["verdict"]) for check in answer["checks"]] == [("G1", "applies")]
    assert [(one["guideline"], one["verdict"]) for one in answer["reapplications"]] == [("G2", "not_now")]


def test_of_scenarios_with_one_conversation_the_one_is_played_whose_guidelines_are_shown(make_scenario):
    other = make_scenario(
        id="two",
        guidelines=[{"id": "a", "condition": "it rains", "action": "open the umbrella"}],
        expected={"ids": []},
    )
    answer = scripted_rules([other, make_scenario()])["match_guidelines_v1"](situation())
    assert [check["verdict"] for check in answer["checks"]] == ["applies", "not_now"]


def test_a_conversation_of_no_scenario_is_refused(make_scenario):
    strange = situation(conversation=[{"from": "customer", "text": "Who are you?"}])
    with pytest.raises(Fatal, match="no scenario"):
        scripted_rules([make_scenario()])["match_guidelines_v1"](strange)


@pytest.mark.parametrize(("ids", "options", "verdict"), [(["a", "b"], ["G1", "G2"], "ask"), ([], [], "clear")])
def test_a_choice_is_open_with_its_labelled_options(make_scenario, ids, options, verdict):
    scenario = make_scenario()
    head = {"id": "h", "condition": "it is unclear"}
    scenario = make_scenario(
        guidelines=[*(item.model_dump(mode="json") for item in scenario.guidelines), head],
        relationships=[CHOICE],
        expected={"judged": "choice", "ids": ids},
    )
    asked = [
        *situation().sections["guidelines"],
        {"id": "G3", "kind": "choice", "when": "it is unclear", "options": ["G1", "G2"]},
    ]
    answer = scripted_rules([scenario])["match_situations_v1"](situation(guidelines=asked))
    assert [(one["options"], one["verdict"]) for one in answer["choices"]] == [(options, verdict)]


STATES = [
    {"id": "ask", "action": "ask", "next": [{"to": "look"}, {"to": "end", "when": "never mind"}]},
    {"id": "look", "action": "look", "next": [{"to": "tell"}]},
    {"id": "tell", "action": "tell"},
]


@pytest.mark.parametrize(
    ("path", "wanted", "course", "back_to", "walk"),
    [
        (["ask"], ["tell"], "goes_on", "none", ["S1", "S2"]),
        (["ask"], ["ask"], "goes_on", "none", []),
        (["ask", "look", "tell"], ["look"], "revises", "S2", []),
        (["ask"], [], "goes_on", "none", ["S1"]),
        ([], ["look"], "goes_on", "none", ["S1"]),
    ],
)
def test_a_journey_is_walked_to_its_labelled_state(make_scenario, path, wanted, course, back_to, walk):
    about = {"id": "j", "title": "J", "conditions": ["c"], "states": STATES}
    scenario = make_scenario(journey=about, path=path, expected={"judged": "step", "ids": wanted})
    numbers = {"ask": "S1", "look": "S2", "tell": "S3", "end": "end"}
    states = [
        {"id": numbers[state["id"]], "next": [{"to": numbers[way["to"]]} for way in state.get("next", [])]}
        for state in STATES
    ]
    shown = {"id": "J1", "path": [numbers[name] for name in path], "states": states}
    answer = scripted_rules([scenario])["match_situations_v1"](situation(journeys=[shown]))
    (check,) = answer["journeys"]
    assert (check["course"], check["back_to"]) == (course, back_to)
    assert [step["state"] for step in check["steps"]] == walk


def asked(scenarios, name, **sections):
    return scripted_rules(scenarios)[name](Situation(sections, {}, None, RehearsalSettings()))


def test_a_reply_is_judged_as_labelled_with_itself_as_evidence(make_scenario):
    said = [{"source": "customer", "text": "Hello"}, {"source": "agent", "text": "Hello, it costs 5 euros"}]
    scenario = make_scenario(conversation=said, expected={"judged": "performed", "ids": ["b"]})
    guidelines = [{"guideline": "G1", "text": "x"}, {"guideline": "G2", "text": "y"}]
    answer = asked([scenario], "cross_check_v2", reply={"text": said[-1]["text"]}, guidelines=guidelines)
    assert [(one["guideline"], one["verdict"]) for one in answer["guidelines"]] == [
        ("G1", "not_performed"),
        ("G2", "performed"),
    ]
    assert answer["guidelines"][1]["evidence"] == said[-1]["text"]


def test_a_guideline_is_of_the_kinds_that_any_scenario_labels(make_scenario):
    labelled = [
        make_scenario(id=kind, conversation=[], expected={"judged": "classified", "kind": kind, "ids": ids})
        for kind, ids in (("continuous", ["a"]), ("agent_intention", ["a", "b"]), ("customer_dependent", []))
    ]
    shown = [
        {"id": f"G{n}", "when": one.condition, "do": one.action} for n, one in enumerate(labelled[0].guidelines, 1)
    ]
    answer = asked(labelled, "classify_guidelines_v1", guidelines=shown)
    assert [one["verdict"] for one in answer["guidelines"]] == [["agent_intention", "continuous"], ["agent_intention"]]
