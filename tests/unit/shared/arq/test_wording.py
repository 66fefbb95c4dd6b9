"""Comparing wording in code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.arq.wording import contains_phrase, content_words, folded, negations, reads_english, squeezed, stem, words


def test_squeezing_unifies_spacing_quotes_and_compatible_characters():
    assert squeezed(" a\t b\n\u00a0c \u2019 \u201cx\u201d ﬁ ") == 'a b c \' "x" fi'


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("This is RISK-\nFree for you", "risk- free", True),
        ("a brisk-free ride", "risk-free", False),
        ("risk-freedom, then risk-free.", "risk-free", True),
        ("anything", "", False),
        ("Terms apply.", "terms apply.", True),
    ],
)
def test_a_phrase_is_found_whole_and_without_regard_to_case_and_spacing(text, phrase, found):
    assert contains_phrase(text, phrase) is found


def test_content_words_leave_function_words_and_endings_out():
    assert content_words("The transfers were transferred to you") == ["transfer", "transfer"]
    assert stem("policies") == stem("policy")


def test_words_that_turn_a_statement_round_are_counted():
    assert negations("It isn't free, and never without a fee") == 3
    assert negations("It is free") == 0


def test_english_is_known_by_its_function_words():
    assert reads_english("The fee is waived")
    assert not reads_english("Gebühren entfallen")


@given(st.text())
def test_any_text_is_taken_and_folding_is_stable(text):
    assert folded(folded(text)) == folded(text) or not text.isascii()
    assert all(word == word.strip("'") and word for word in words(text))
    content_words(text)


@given(st.text(min_size=1))
def test_a_text_contains_itself(text):
    assert contains_phrase(text, text) is bool(squeezed(text))
