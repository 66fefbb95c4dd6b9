"""Authors' patterns: what is taken, what is refused in words, and that no text makes one slow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.playbook.patterns import TEXT_CHARS_MAX, compiled, fits


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("[0-9]{4}", "1234", True),
        ("[0-9]{4}", "12345", False),
        ("[0-9]{4}", "1234\n", False),
        (r"\p{L}+", "Österreich", True),
        (r"\p{L}+", "東京", True),
        ("(?i)ab-[0-9]+", "AB-7", True),
        ("a|b", "ab", False),
        ("", "", True),
    ],
)
def test_a_text_fits_as_a_whole_or_not_at_all(pattern, text, wanted):
    assert fits(pattern, text) is wanted


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "missing )"),
        ("(?=x)y", "(?="),
        (r"(a)\1", r"\1"),
        ("x{1001}", "repetition"),
        ("((x{100}){100}){10}", "repetition"),
        (r"[\p{L}\p{N}]{900}", "too large"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_in_words_and_fits_nothing(pattern, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        compiled(pattern)
    assert not fits(pattern, "x")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a?){500}a{500}b", "(.*)*(.*)*(.*)*b", "([a-z]+)*1"])
def test_what_takes_a_backtracking_engine_ages_is_answered(pattern):
    assert not fits(pattern, "a" * 1_000)


def test_half_a_surrogate_pair_and_a_text_without_end_fit_nothing():
    assert not fits(".*", "\ud83d")
    assert not fits("a*", "a" * (TEXT_CHARS_MAX + 1))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_pattern_and_no_text_raise_anything_but_the_refusal(pattern, text):
    try:
        compiled(pattern)
    except ValueError:
        assert not fits(pattern, text)
    else:
        assert fits(pattern, text) in {True, False}
