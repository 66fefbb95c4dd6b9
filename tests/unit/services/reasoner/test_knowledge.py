"""What a reply may assert."""

import pytest

from services.reasoner.domain.knowledge import (
    FACTS_ALL_MAX,
    FACTS_CHARS_MAX,
    FACTS_CHOSEN_MAX,
    VARIABLES_MAX,
    Knowledge,
    offered,
    turn_words,
)
from shared.playbook.model import Fact, Term


@pytest.fixture
def knowledge(playbook):
    def make(facts, glossary=()):
        return Knowledge(playbook(facts=[Fact(id=name, text=text) for name, text in facts], glossary=list(glossary)))

    return make


def test_few_facts_are_offered_all_in_the_order_of_their_ids_before_the_variables(knowledge):
    shelf = knowledge([("b", "Second"), ("a", "First")])
    facts = offered(shelf, {"tier": "gold"}, [])
    assert [(number, record.id) for number, record in facts.by_number().items()] == [
        ("F1", "a"),
        ("F2", "b"),
        ("F3", "variable.tier"),
    ]
    assert facts.records[2].text == "tier: gold"
    assert facts.records[2].source == "variable"


def test_of_many_facts_those_are_offered_that_share_the_rarer_words_of_the_turn(knowledge):
    many = [(f"fact-{number:03}", f"Branch {number} opens on working days") for number in range(FACTS_ALL_MAX + 20)]
    shelf = knowledge([*many, ("loan", "A loan costs 5.9 percent a year")])
    chosen = offered(shelf, {}, turn_words(["What does a loan cost at the branch?"])).records
    assert "loan" in {record.id for record in chosen}
    assert len(chosen) == FACTS_CHOSEN_MAX
    assert [record.id for record in chosen] == sorted(record.id for record in chosen)


def test_no_word_in_common_offers_nothing_of_many_facts(knowledge):
    shelf = knowledge([(f"f{number}", f"Item {number}") for number in range(FACTS_ALL_MAX + 1)])
    assert offered(shelf, {}, turn_words(["Weather?"])).records == ()


def test_facts_never_exceed_their_room_and_a_long_one_is_passed_over_not_cut(knowledge):
    long = [(f"long-{number}", f"Fee {number} " + "x" * 4_000) for number in range(4)]
    chosen = offered(knowledge([*long, ("short", "The fee is low")]), {}, ["fee"]).records
    assert sum(len(record.text) for record in chosen) <= FACTS_CHARS_MAX
    assert {record.id for record in chosen} >= {"short"}


def test_variables_are_bounded_and_those_of_the_turn_come_first(knowledge):
    variables = {f"name_{number:03}": f"value {number}" for number in range(100)} | {"zz_balance": "balance is 12"}
    chosen = offered(knowledge([]), variables, turn_words(["What is my balance?"])).records
    assert len(chosen) == VARIABLES_MAX
    assert "variable.zz_balance" in {record.id for record in chosen}


def test_of_a_large_glossary_only_what_is_mentioned_is_explained(knowledge):
    terms = [Term(term=f"word{number}", meaning="something") for number in range(30)]
    shelf = knowledge([], [*terms, Term(term="overdraft", meaning="too much spent", synonyms=("red numbers",))])
    assert [term.term for term in shelf.relevant_terms(turn_words(["I am in the red numbers"]))] == ["overdraft"]


def test_facts_of_a_language_without_spaces_are_found(knowledge):
    shelf = knowledge(
        [*((f"f{n}", f"第{n}号分行九点开门。") for n in range(FACTS_ALL_MAX)), ("fee", "贷款手续费为5元。")]
    )
    chosen = offered(shelf, {}, turn_words(["贷款要手续费吗？"], english=shelf.english)).records
    assert "fee" in {record.id for record in chosen}


def test_facts_and_terms_of_an_agglutinative_language_are_found(knowledge):
    facts = [(f"f{n}", f"{n}. şube dokuzda açılır ve kapanır.") for n in range(FACTS_ALL_MAX)]
    terms = [Term(term=f"kelime{n}", meaning="şey") for n in range(30)]
    shelf = knowledge(
        [*facts, ("fee", "İade ücreti 5 liradır.")], [*terms, Term(term="havale", meaning="para göndermek")]
    )
    words = turn_words(["İadelerin ücretini ve havaleyi soruyorum, değil mi?"], english=shelf.english)
    assert "fee" in {record.id for record in offered(shelf, {}, words).records}
    assert [term.term for term in shelf.relevant_terms(words)] == ["havale"]
