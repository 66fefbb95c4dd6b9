"""What code knows of English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.english import content_words, mostly_english, negations, reads_english, stem


def test_content_words_leave_function_words_and_endings_out():
    assert content_words("The transfers were transferred to you") == ["transfer", "transfer"]
    assert stem("policies") == stem("policy")


def test_words_that_turn_a_statement_round_are_counted():
    assert negations("It isn't free, and never without a fee") == 3
    assert negations("It is free") == 0


def test_english_is_known_by_its_function_words():
    assert reads_english("The fee is waived")
    assert not reads_english("Gebühren entfallen")


@pytest.mark.parametrize(
    ("texts", "english"),
    [
        (["Customer asks about branch 3", "Customer wants to cancel"], True),
        (["Cancel subscription"], True),
        (["Der Kunde fragt nach der Filiale", "Der Kunde will kündigen"], False),
        (["Müşteri iade koşullarını soruyor", "Müşteri hesabını kapatmak istiyor"], False),
        (["Asiakas kysyy palautusajasta", "Asiakas haluaa sulkea tilinsä"], False),
        (["Asiakas kysyy konttorin aukioloaikoja"] * 20, False),
        (["客户想取消定期转账"], True),
    ],
    ids=[
        "English",
        "English without a telling word",
        "German",
        "Turkish",
        "Finnish",
        "Finnish in plain letters",
        "nothing in Latin script",
    ],
)
def test_texts_together_are_english_unless_they_show_another_language(texts, english):
    assert mostly_english(texts) is english


@given(st.text())
def test_any_text_is_taken(text):
    content_words(text)
    reads_english(text)
    negations(text)
