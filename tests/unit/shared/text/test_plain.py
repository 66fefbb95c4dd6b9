"""Writings that are the same, and those that only look alike."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.plain import folded, squeezed
from shared.text.visible import cleaned

SAME = {
    "a hyphen that does not break": ("pay\u2011as\u2011you\u2011go", "pay-as-you-go"),
    "a hyphen of its own": ("pay\u2010as", "pay-as"),
    "a figure dash": ("0800\u2012555", "0800-555"),
    "an en dash": ("3–5 days", "3-5 days"),
    "an em dash": ("fees—if any", "fees-if any"),
    "a bar": ("a\u2015b", "a-b"),
    "a minus sign": ("−5 °C", "-5 °C"),
    "a full-width hyphen": ("a\uff0db", "a-b"),
    "a soft hyphen": ("trans\u00adfer", "transfer"),
    "a space that does not break": ("10\u00a0EUR", "10 EUR"),
    "thin spaces": ("1\u2009000\u202f€", "1 000 €"),
    "an ideographic space": ("a\u3000b", "a b"),
    "curly quotes": ("“it’s”", '"it\'s"'),
    "low quotes": ("„so“", '"so"'),
    "guillemets": ("«so»", '"so"'),
    "a prime": ("5\u2032", "5'"),
    "full-width letters and digits": ("ＡＢＣ１２３！", "ABC123!"),
    "half-width katakana": ("ﾍﾟｲ", "ペイ"),
    "a ligature": ("ﬁnal oﬀer", "final offer"),
    "an ellipsis": ("so…", "so..."),
    "a Roman number": ("Ⅳ", "IV"),
    "decomposed letters": ("Cafe\u0301", "Café"),
    "letters of mathematics": ("𝐆𝐮𝐚𝐫𝐚𝐧𝐭𝐞𝐞", "Guarantee"),
    "a character that nobody sees": ("gua\u200branteed", "guaranteed"),
    "a mark of direction": ("1\u200f00", "100"),
    "an Arabic form of position": ("ﻻ", "لا"),
    "a non-joiner": ("می\u200cخواهم", "میخواهم"),
    "a control": ("a\x00b\x1bc", "abc"),
    "lines": (" a\r\n\tb\u2028c ", "a b c"),
}
DIFFERENT = {
    "a power": ("10²", "102"),
    "an index": ("H₂O", "H2O"),
    "a fraction": ("½", "1/2"),
    "a mixed number": ("1½", "11/2"),
    "a number in a circle": ("①", "1"),
    "a negative power": ("10⁻³", "10-3"),
    "capitals": ("Art", "art"),
}
FOLDED = {
    "capitals": ("ART", "art"),
    "a German s": ("GROSS", "groß"),
    "Turkish capitals with a dot": ("İADE GARANTİSİ", "iade garantisi"),
    "Turkish capitals without": ("ISLAK", "ıslak"),
    "Greek capitals": ("ΟΔΌΣ", "οδός"),
    "Arabic with its vowels": ("ضَمَان", "ضمان"),
    "Arabic drawn out": ("ضـــمان", "ضمان"),
    "Hebrew with its points": ("שָׁלוֹם", "שלום"),
}


@pytest.mark.parametrize(("text", "plain"), SAME.values(), ids=SAME)
def test_what_differs_by_typography_is_the_same(text, plain):
    assert squeezed(text) == squeezed(plain)


@pytest.mark.parametrize(("text", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_in_meaning_stays_different(text, other):
    assert squeezed(text) != squeezed(other)


@pytest.mark.parametrize(("text", "other"), FOLDED.values(), ids=FOLDED)
def test_case_and_vowels_that_are_left_out_do_not_matter(text, other):
    assert squeezed(text) != squeezed(other)
    assert folded(text) == folded(other)


def test_squeezing_unifies_spacing_quotes_and_compatible_characters():
    assert squeezed(" a\t b\n\u00a0c \u2019 \u201cx\u201d ﬁ ") == 'a b c \' "x" fi'


@given(st.text())
def test_squeezing_again_changes_nothing(text):
    assert squeezed(squeezed(text)) == squeezed(text)


@given(st.text())
def test_composed_and_decomposed_texts_are_the_same(text):
    text = cleaned(text)
    assert folded(unicodedata.normalize("NFD", text)) == folded(unicodedata.normalize("NFC", text))


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32)))
def test_plain_english_is_as_it_was(text):
    assert squeezed(text) == " ".join(text.split())
    assert folded(text) == " ".join(text.split()).casefold()
