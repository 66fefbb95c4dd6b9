from services.operator.evaluation.result import (
    accepted,
    observed,
    strays,
)
from shared.events.turns import Instruction, Match, Matching, MatchVerdict

JOURNEY = {
    "id": "j",
    "title": "J",
    "conditions": ["c"],
    "states": [{"id": "s1", "action": "ask", "next": [{"to": "s2"}]}, {"id": "s2", "action": "say"}],
}


def said(*ids):
    return tuple(Match(guideline_id=name, verdict=MatchVerdict.APPLIES) for name in ids)


def test_active_guidelines_are_told_without_distractors_steps_and_questions(make_scenario):
    matching = Matching(active=("b", "distractor-1", "j.s1", "a.choice"))
    assert observed(make_scenario(), matching) == ("b",)


def test_verdicts_are_those_that_apply(make_scenario):
    scenario = make_scenario(expected={"judged": "verdicts", "ids": ["a"]})
    not_now = Match(guideline_id="b", verdict=MatchVerdict.NOT_NOW)
    matching = Matching(active=(), matches=(*said("a", "distractor-2", "journey:j"), not_now))
    assert observed(scenario, matching) == ("a",)
    assert strays(matching) == 1


def test_a_choice_is_read_from_the_question_by_its_conditions(make_scenario):
    scenario = make_scenario(expected={"judged": "choice", "ids": ["a", "b"]})
    asked = "Ask which: (1) the customer says hello; (2) the customer asks for the price"
    question = Instruction(id="head.choice", condition="unclear", action=asked)
    assert observed(scenario, Matching(active=("head.choice",), instructions=(question,))) == ("a", "b")
    assert observed(scenario, Matching(active=())) == ()


def test_a_step_is_the_state_of_the_scenarios_journey(make_scenario):
    scenario = make_scenario(journey=JOURNEY, expected={"judged": "step", "ids": ["s1", "s2"]})
    decided = observed(scenario, Matching(active=("a", "j.s2", "k.s1")))
    assert decided == ("s2",)
    assert accepted(scenario, decided) == ("s2",)
    assert accepted(scenario, ()) == ("s1",)


def test_a_failed_play_is_wrong_even_where_nothing_was_expected(make_result):
    result = make_result(expected=(), observed=(), failure="no_answer")
    assert not result.is_right
    assert not result.is_final
    assert make_result().is_final


def test_a_decision_that_policy_made_for_want_of_verdicts_is_not_right_even_where_it_is_as_expected(make_result):
    result = make_result(unknown=1)
    assert result.expected == result.observed
    assert not result.is_right
    assert not result.is_final
