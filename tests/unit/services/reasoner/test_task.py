"""What a draft has to do."""

from services.reasoner.domain.knowledge import Knowledge
from services.reasoner.domain.task import FOLLOWED_MAX, RESTATED_CHARS_MAX, guideline_text, mode_of, task_of
from shared.events.claims import ReasoningMode


def task(opened, matched, playbook):
    return task_of(opened, matched.matching, playbook, Knowledge(playbook))


def test_the_critical_come_first_low_ones_are_principles_and_observations_are_only_observed(opened, matched, playbook):
    made = task(opened(), matched("thanks", "fee", "angry", "lost", "unknown"), playbook())
    assert [g.id for g in made.follow] == ["lost", "fee"]
    assert [g.id for g in made.principles] == ["thanks"]
    assert [g.id for g in made.observed] == ["angry"]


def test_no_more_than_six_guidelines_are_followed_and_the_rest_become_principles(opened, matched, playbook):
    many = [{"id": f"g{n}", "condition": f"case {n}", "action": "act"} for n in range(9)]
    made = task(opened(), matched(*(f"g{n}" for n in range(9))), playbook(guidelines=many))
    assert [g.id for g in made.follow] == [f"g{n}" for n in range(FOLLOWED_MAX)]
    assert [g.id for g in made.principles] == ["g6", "g7", "g8"]


def test_a_guideline_too_long_to_restate_stays_binding_as_a_principle(opened, matched, playbook):
    long = [{"id": "long", "condition": "always", "action": "x" * RESTATED_CHARS_MAX, "criticality": "high"}]
    made = task(opened(), matched("long"), playbook(guidelines=long))
    assert made.follow == ()
    assert [g.id for g in made.principles] == ["long"]


def test_the_messages_that_the_turn_answers_stand_apart_from_the_history(opened, matched, playbook):
    made = task(opened("Fee?"), matched(), playbook())
    assert [m.id for m in made.history] == ["m-0", "t-0"]
    assert [m.id for m in made.messages] == ["m-1"]
    lost = task(opened("Fee?", covers=("gone",)), matched(), playbook())
    assert [m.id for m in lost.messages] == ["m-1"]


def test_the_arm_of_an_experiment_decides_the_mode_where_it_names_one(playbook):
    arms = {"plain": {"mode": "direct"}, "same": {}}
    book = playbook(mode="cot", experiment={"name": "modes", "arms": arms})
    assert mode_of(book, "plain") is ReasoningMode.DIRECT
    assert mode_of(book, "same") is ReasoningMode.COT
    assert mode_of(book, "of-yesterday") is ReasoningMode.COT


def test_a_guideline_reads_as_one_text(playbook):
    fee, *_, angry = playbook().guidelines
    assert guideline_text(fee) == "The customer asks what an account costs -> State the monthly fee"
    assert guideline_text(angry) == "The customer is angry"
