"""Recorded scenarios about replies: what is read of their properties, and the scripted model's answers to them."""

import pytest

from services.operator.evaluation.recorded import translated
from services.operator.evaluation.result import labels, said_by
from services.operator.evaluation.scenario import Scenario

PROPERTY = 'a single message event is emitted AND the message contains the text "You are on Gold."'
ITEM = {
    "id": "X-1",
    "area": "e2e/strict_canned_responses",
    "name": "plan",
    "guidelines": [{"id": "G One", "condition": "They ask for the plan", "action": "tell it"}],
    "conversation": [{"source": "customer", "text": "Which plan am I on?"}],
    "expected_matched": [],
    "expected_response_property": PROPERTY,
    "extra": {
        "composition_mode": "canned_strict",
        "canned_responses": ["You are on {{std.variables.plan|title}}.", "Hi {{std.invalid_params.x}}"],
        "context_variables": [{"name": "plan", "value": "gold", "for": "Ada"}],
        "customer_name": "Ada",
    },
}


def scenario(**changes):
    found, unfit = translated([ITEM | changes])
    assert not unfit
    return Scenario.model_validate(found[0])


def told(text):
    return scenario(expected_response_property=text).expected


def test_a_strict_scenario_has_its_texts_variables_and_customer():
    one = scenario()
    assert [reply.text for reply in one.canned_replies] == ["You are on {{std.variables.plan|title}}."]
    assert (one.composition.value, one.customer_name, one.variables) == ("strict", "Ada", {"plan": "gold"})
    assert one.expected.ids == ("g-one",)
    assert labels(one) == ("approved texts", "says: You are on Gold.")


@pytest.mark.parametrize(
    ("text", "answer", "says"),
    [
        ("a typing status event is not emitted AND no message events are emitted", "silence", ()),
        ("a single message event is emitted AND a no-match message is emitted", "no_match", ()),
        ("a single message event is emitted AND the message contains no rudeness", "reply", ()),
        (
            'the message contains either "You are on A." or "You are on B."',
            "reply",
            (("You are on A.", "You are on B."),),
        ),
    ],
)
def test_what_code_can_see_of_a_property_is_judged(text, answer, says):
    assert (told(text).answer, told(text).says) == (answer, says)


@pytest.mark.parametrize("text", ["You are on {{plan_of_tool}}.", "You are on {{generative.plan}}."])
def test_a_text_that_nothing_recorded_fills_does_not_fit(text):
    extra = ITEM["extra"] | {"canned_responses": [text], "context_variables": []}
    _, unfit = translated([ITEM | {"extra": extra}])
    assert "filled by a tool" in unfit["X-1"]


def test_a_journeys_recorded_step_stands_as_a_guideline():
    journey = {"triggers": ["They order"], "nodes": [{"node": 2, "action": "ask for the size"}, {"node": 3}]}
    extra = ITEM["extra"] | {"journeys": [journey], "journey_paths": {"Order": "[1, 2]"}}
    one = scenario(extra=extra)
    assert one.guidelines[-1].action == "ask for the size"
    assert one.expected.ids == ("g-one", "journey-step")


def test_terms_and_capabilities_are_facts_as_well():
    extra = {
        "composition_mode": "canned_fluid",
        "terms": [{"name": "token", "description": "A digital token."}],
        "capabilities": [{"title": "lock_card", "description": "Freeze a card.", "signals": []}],
    }
    one = scenario(area="e2e/glossary", extra=extra, guidelines=[], expected_response_property="x")
    assert [fact.text for fact in one.facts] == ["token: A digital token.", "lock card: Freeze a card."]


def test_a_reply_is_what_it_is_made_of_and_which_labelled_texts_it_holds():
    one = scenario()
    assert said_by(one, "You are on GOLD.", approved=True) == labels(one)
    assert said_by(one, "You are on Gold.", approved=False) != labels(one)
    assert said_by(one, "You are on Silver.", approved=True) == ("approved texts",)
