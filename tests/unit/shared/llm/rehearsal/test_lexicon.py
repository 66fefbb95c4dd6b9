"""
The lexical toolbox: words, numbers, dates.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.llm.rehearsal.lexicon import (
    best_match,
    dates,
    numbers,
    overlap,
    sentences,
    similarity,
    stem,
    terms,
    words,
)


def test_words_are_lower_case_and_keep_their_apostrophes():
    assert words("Don\N{RIGHT SINGLE QUOTATION MARK}t PANIC, it's 24-hour.") == ["don't", "panic", "it's", "24", "hour"]


def test_terms_leave_out_what_carries_no_meaning():
    assert terms("I would like to know about the fees, please") == ["know", "fee"]


@pytest.mark.parametrize(
    "family",
    [
        ("transfer", "transfers", "transferring", "transferred"),
        ("charge", "charges", "charged", "charging"),
        ("policy", "policies"),
        ("stop", "stops", "stopped", "stopping"),
        ("pay", "pays", "paying", "payment", "payments"),
        ("close", "closed", "closes", "closing"),
        ("bank", "bank's"),
    ],
)
def test_a_family_of_words_has_one_stem(family):
    assert len({stem(word) for word in family}) == 1


@pytest.mark.parametrize("word", ["class", "business", "fee", "is", "a"])
def test_endings_that_are_none_stay(word):
    assert stem(word) == word


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz'0123456789", min_size=1, max_size=20))
def test_a_stem_is_never_longer_than_its_word(word):
    assert len(stem(word)) <= len(word)


@given(st.text(max_size=80))
def test_a_text_with_terms_covers_itself(text):
    assert overlap(terms(text), terms(text)) == (1.0 if terms(text) else 0.0)


@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_symmetric_and_a_share(left, right):
    assert similarity(left, right) == similarity(right, left)
    assert 0.0 <= similarity(left, right) <= 1.0


def test_the_best_match_is_the_one_that_covers_most_of_the_text():
    candidates = ["The card limit is 500.", "A lost card is blocked at once.", "We open at nine."]
    assert best_match("my card is lost, block it", candidates) == (1, 1.0)
    assert best_match("xyzzy", candidates) == (-1, 0.0)
    assert best_match("card", []) == (-1, 0.0)


def test_numbers_are_normalised_and_dates_times_and_ids_are_none():
    text = "It is $1,200.50 (3%), 5.00 or €0.10 by 2026-03-01 at 10:30, AB-12, 12-34, v1.2.3, on 1 March 2026; call 5."
    assert numbers(text) == ["1200.5", "3", "5", "0.1", "5"]


def test_dates_are_found_in_order_as_written():
    text = "From March 1st, 2027 to 2 April, not 2026-03-01."
    assert dates(text) == ["March 1st, 2027", "2 April", "2026-03-01"]


def test_sentences_keep_their_marks():
    assert sentences("Yes. Is it $1.50? It is!\nGood\n") == ["Yes.", "Is it $1.50?", "It is!", "Good"]
