"""What texts are found by, so that what is written onto words does not hide them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.english import content_words
from shared.text.terms import terms


def test_english_is_found_by_its_stems():
    assert terms("The customer's cards were blocked") == content_words("The customer's cards were blocked")
    assert terms("The customer’s cards were blocked") == content_words("The customer's cards were blocked")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("定期转账", ["定期", "期转", "转账"]),
        ("税", ["税"]),
        ("カードを3枚", ["カー", "ード", "ドを", "3", "枚"]),
        ("환불을 보장", ["환불", "불을", "보장"]),
        ("คืนเงิน", ["คืน", "เงิน"]),
        ("ضمان", ["ضما", "مان"]),
        ("возврат", ["возв", "озвр", "звра", "врат"]),
        ("iPhone手机", ["iphon", "手机"]),
    ],
    ids=["Chinese", "one character", "Japanese", "Korean", "Thai", "Arabic", "Russian", "English among Chinese"],
)
def test_a_text_has_these_terms(text, found):
    assert terms(text) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("iadelerimizden", "iade"),
        ("palautuksen", "palautus"),
        ("visszatérítést", "visszatérítés"),
        ("Kontoeröffnung", "Konto"),
        ("içinde", "içindeki"),
    ],
    ids=["Turkish", "Finnish", "Hungarian", "German", "Turkish again"],
)
def test_words_of_another_language_in_latin_letters_share_terms_whatever_is_written_onto_them(one, other):
    assert set(terms(one, english=False)) & set(terms(other, english=False))


@pytest.mark.parametrize(("one", "other"), [("والاسترداد", "استرداد"), ("ग्राहकों", "ग्राहक"), ("возврата", "возврат")])
def test_words_of_other_scripts_share_terms_whatever_is_written_onto_them(one, other):
    assert set(terms(one)) & set(terms(other))


@given(st.text(), st.booleans())
def test_any_text_is_taken_and_no_term_is_empty(text, english):
    assert all(terms(text, english=english))
