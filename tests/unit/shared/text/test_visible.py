"""What a text hides, and what only looks as if it did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.visible import cleaned, hidden, shown

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
WORN = {
    "a family": FAMILY,
    "a skin tone": "\U0001f44d\U0001f3fd",
    "a worker with a skin tone": "\U0001f468\U0001f3fd\u200d\U0001f4bb",
    "a couple with a heart": "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468",
    "a rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "a keycap": "1\ufe0f\u20e3",
    "a flag of two letters": "\U0001f1eb\U0001f1f7",
    "the flag of Scotland": "\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "gbsct") + "\U000e007f",
    "a sign as a picture": "\u00a9\ufe0f",
}
WRITTEN = {
    "Persian, with a non-joiner": "می\u200cخواهم کتاب\u200cها",
    "Hindi, with a joiner after a virama": "क्\u200dष",
    "Malayalam, with a joiner at a word's end": "അവന്\u200d",
    "Sinhala": "ශ්\u200dරී",
    "Hebrew, with a mark before a full stop": "שלום ABC\u200f.",
    "a Japanese name in its own form": "葛\U000e0100城市",
    "a zero with a stroke": "0\ufe00",
    "Mongolian": "ᠠ\u180b",
    "Arabic, with a sign before a number": "\u0600١٢",
    "spaces of any width, and dashes": "1\u202f000\u00a0€ \u2009–\u2011",
    "lines and a tab": "a\n\n\tb",
}
HIDDEN = {
    "U+0000": "\x00",
    "U+001B": "\x1b",
    "U+0008": "\x08",
    "U+007F": "\x7f",
    "U+009B": "\x9b",
    "U+00AD": "\u00ad",
    "U+034F": "\u034f",
    "U+115F": "\u115f",
    "U+200B": "\u200b",
    "U+202E": "\u202e",
    "U+2066": "\u2066",
    "U+2060": "\u2060",
    "U+206A": "\u206a",
    "U+3164": "\u3164",
    "U+FEFF": "\ufeff",
    "U+FFF9": "\ufff9",
    "U+FFFE": "\ufffe",
    "U+FDD0": "\ufdd0",
    "U+D800": "\ud800",
    "U+DFFF": "\udfff",
    "U+1D173": "\U0001d173",
    "U+E0001": "\U000e0001",
    "U+E0041": "\U000e0041",
    "U+E0FFF": "\U000e0fff",
    "U+1FFFF": "\U0001ffff",
    # Needed elsewhere, not between two letters of English.
    "U+200C": "\u200c",
    "U+200D": "\u200d",
    "U+200E": "\u200e",
    "U+200F": "\u200f",
    "U+061C": "\u061c",
    "U+FE00": "\ufe00",
    "U+FE0F": "\ufe0f",
    "U+E0100": "\U000e0100",
    "U+180B": "\u180b",
}
ODD = st.text(
    st.one_of(st.characters(), st.sampled_from("".join([*HIDDEN.values(), *WORN.values(), *WRITTEN.values()])))
)


@pytest.mark.parametrize("text", [*WORN.values(), *WRITTEN.values()], ids=[*WORN, *WRITTEN])
def test_what_the_writing_needs_is_not_hidden(text):
    assert hidden(text) == ()
    assert cleaned(text) == text
    assert shown(text) == text


@pytest.mark.parametrize(("code", "char"), HIDDEN.items(), ids=list(HIDDEN))
def test_what_nobody_sees_is_removed_told_and_shown_by_its_number(code, char):
    text = f"takes 3{char} to 5{char} days"
    assert cleaned(text) == "takes 3 to 5 days"
    assert hidden(text) == (code,)
    assert shown(text) == f"takes 3‹{code}› to 5‹{code}› days"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\r\nb\rc\u2028d\u2029e\x85f\x0bg\x0ch", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("\U0001f600" + "\ufe0f\U000e0100\U000e0101", "\U0001f600\ufe0f"),
        ("\U0001f600\u200d", "\U0001f600"),
        ("\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "obey me") + "\U000e007f", "\U0001f3f4"),
        ("1\ufe0f2\ufe0f", "12"),
        ("10\u200f0 שקל", "100 שקל"),
        ("שלום\u200f\u200f\u200f.", "שלום."),
        ("\U0001d173", ""),
    ],
    ids=["line breaks", "selectors in a row", "a joiner that joins nothing", "words in tags", "selectors of digits",
         "a mark inside a number", "marks in a row", "nothing else"],
)  # fmt: skip
def test_what_has_its_use_elsewhere_hides_nothing_here(text, left):
    assert cleaned(text) == left


@given(ODD)
def test_cleaning_again_changes_nothing(text):
    once = cleaned(text)
    assert cleaned(once) == once
    assert hidden(once) == ()


@given(ODD)
def test_a_text_is_changed_where_it_hides_something_and_only_there(text):
    assert (cleaned(text) == text) == (hidden(text) == ())
    assert (shown(text) == text) == (hidden(text) == ())


@given(ODD)
def test_what_is_shown_hides_nothing_and_can_be_printed(text):
    assert hidden(shown(text)) == ()
    shown(text).encode()


@given(st.text(), st.sampled_from([*WORN.values()]), st.text())
def test_an_emoji_stays_whole_wherever_it_stands(before, emoji, after):
    assert emoji in cleaned(f"{before} {emoji} {after}")
