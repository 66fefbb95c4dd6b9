"""The blind check knows the facts and the questions, and nothing of the draft."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain import blind
from services.verifier.domain.blueprints import BlindAnswers
from services.verifier.domain.claims import pieces_of
from services.verifier.domain.gate import Ground
from services.verifier.domain.prompts import blind_prompt
from shared.events.turns import FactRecord, Segment
from shared.text.english import content_words
from shared.text.words import words

FACTS = (
    FactRecord(id="fee", text="The current account costs 4.50 euros a month.", source="playbook"),
    FactRecord(id="wire", text="An international transfer takes 3 to 5 working days.", source="playbook"),
)
GROUND = Ground({fact.id: fact for fact in FACTS}, frozenset(), "")


def examined(*segments, turn="turn-1", facts=FACTS):
    return blind.examine(pieces_of(segments, GROUND), facts, turn)


def claim(text, question="", value="", fact="fee"):
    return Segment(kind="claim", text=text, fact_ids=(fact,), value=value, open_question=question)


def shown(examination):
    prompt = blind_prompt([fact.text for fact in examination.facts], examination.questions)
    return "\n".join(message.content for message in prompt.messages())


@given(
    number=st.integers(1_000, 10**9),
    words=st.lists(st.sampled_from(["zebra", "quartz", "lantern", "velvet"]), min_size=1, max_size=4),
    leak=st.sampled_from(["value", "text", "none", "number"]),
)
def test_neither_text_nor_value_of_the_draft_is_ever_in_the_prompt(number, words, leak):
    """Whatever question the draft proposes: even one that gives the answer away on purpose."""
    value = f"{number} euros"
    text = f"The {' '.join(words)} account costs {value} a month."
    question = {"value": f"Is it {value}?", "text": text, "none": "", "number": f"Costs {number}?"}[leak]
    prompt = shown(examined(claim(text, question, value)))
    assert text not in prompt
    assert value not in prompt
    assert str(number) not in prompt
    assert not set(words) & set(prompt.split())


def test_a_question_that_gives_nothing_away_is_asked_as_it_is():
    asked = examined(claim("It costs 4.50 euros.", "What does the account cost a month?", "4.50 euros"))
    assert asked.questions == ("What does the account cost a month?",)


def test_numbers_of_a_claim_without_value_are_hidden_too():
    [question] = examined(claim("It costs 9.99 euros.", "Does it cost 9.99 euros?")).questions
    assert not {"9", "99"} & set(words(question))


def test_the_order_depends_on_the_turn_alone():
    segments = [claim(f"Statement {n} about the account", f"What of {chr(97 + n)}?") for n in range(8)]
    assert examined(*segments).questions == examined(*segments).questions
    orders = {examined(*segments, turn=f"turn-{n}").questions for n in range(5)}
    assert len(orders) > 1
    assert all(sorted(order) == sorted(examined(*segments).questions) for order in orders)


def test_other_facts_are_shown_beside_the_cited_ones_within_bounds():
    many = [FactRecord(id=f"f{n}", text=f"Fact {n} " + "x" * 200, source="playbook") for n in range(50)]
    examination = examined(claim("It takes long.", "How long does a transfer take?"), facts=(*FACTS, *many))
    ids = [fact.id for fact in examination.facts]
    assert {"fee", "wire"} <= set(ids)
    assert sum(len(fact.text) for fact in examination.facts if fact.id != "fee") <= blind.FACTS_CHARS_MAX


QUESTION = "What does it cost?"


def said(**changes):
    return {"question": "Q1", "fact": "F1", "quote": "4.50 euros", "answer": "4.50", "status": "answered"} | changes


@pytest.mark.parametrize(
    ("answer", "grounded"),
    [
        (said(), blind.Grounded(QUESTION, "answered", "4.50", "4.50 euros", FACTS[0].text)),
        (
            said(quote=" COSTS  4.50 euros. "),
            blind.Grounded(QUESTION, "answered", "4.50", " COSTS  4.50 euros. ", FACTS[0].text),
        ),
        (said(quote="9.50 euros"), blind.Grounded(QUESTION, "not_in_facts", "", "", "")),
        (said(quote=""), blind.Grounded(QUESTION, "not_in_facts", "", "", "")),
        (said(fact="F2"), blind.Grounded(QUESTION, "not_in_facts", "", "", "")),
        (said(fact="none"), blind.Grounded(QUESTION, "not_in_facts", "", "", "")),
        (said(status="not_in_facts"), blind.Grounded(QUESTION, "not_in_facts", "", "", "")),
        (said(status="ambiguous"), blind.Grounded(QUESTION, "ambiguous", "4.50", "4.50 euros", FACTS[0].text)),
    ],
)
def test_an_answer_counts_only_if_its_quote_stands_in_the_fact_that_it_names(answer, grounded):
    examination = examined(claim("It costs 4.50 euros.", QUESTION))
    answers = BlindAnswers.model_validate({"answers": [answer], "guidelines": []})
    assert blind.complaint(examination, answers, 0) is None
    assert blind.grounded(examination, answers) == {1: grounded}


@pytest.mark.parametrize(
    "wrong", [[], [said(), said()], [said(question="Q2")], [said(fact="F9")]], ids=["none", "twice", "other", "fact"]
)
def test_answers_that_do_not_fit_the_questions_are_complained_of(wrong):
    examination = examined(claim("It costs 4.50 euros."))
    assert blind.complaint(examination, BlindAnswers.model_validate({"answers": wrong, "guidelines": []}), 0)


def test_the_neutral_question_uses_only_words_of_the_facts():
    [question] = examined(claim("The glittering account costs nothing ever.")).questions
    assert set(content_words(question)) <= set(content_words("What do the facts say " + FACTS[0].text))
