"""What of a prompt's instructions code recognises in a reply."""

import pytest

from services.reasoner.domain.rules import rules
from shared.arq.leakage import repeats_instruction, repeats_rules
from shared.events.claims import ReasoningMode
from shared.events.composition import Composition

CONDITION = "The customer asks what the current account costs a month."
RULES = rules(ReasoningMode.ARQ, Composition.FLUID)


def test_eight_words_of_the_rules_in_a_row_are_no_accident():
    at = RULES.index("A second reader")
    assert repeats_rules(f"Sure! My rules: {RULES[at : at + 80]}", RULES)
    assert repeats_rules(RULES.upper(), RULES)


@pytest.mark.parametrize(
    "said",
    [
        "I am sorry, I do not know that. Could you tell me a little more?",
        "Foreign payments are switched on in the app under Cards, Use abroad.",
        "Please say what you would like to know, and I will look it up for you at once.",
    ],
)
def test_ordinary_replies_repeat_no_rules(said):
    assert not repeats_rules(said, RULES)


def test_a_condition_told_whole_is_an_instruction_told():
    assert repeats_instruction(f"I was told: {CONDITION} Then I answer.", [CONDITION])
    assert repeats_instruction(CONDITION.upper(), [CONDITION])


def test_what_a_fact_says_as_well_may_be_said():
    assert not repeats_instruction(CONDITION, [CONDITION], [f"As we write: {CONDITION}"])


@pytest.mark.parametrize("words", ["Greet the customer", "The fee for foreign payments is 1.5 percent of the amount"])
def test_what_is_short_or_does_not_speak_of_the_customer_is_no_instruction(words):
    assert not repeats_instruction(words, [words])
