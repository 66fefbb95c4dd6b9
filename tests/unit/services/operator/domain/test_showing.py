"""What came from outside is shown without its secrets, and never acts on the terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from services.operator.domain.showing import Form, hidden, json_text, marked, printable, shown
from shared.text import visible

BODY = json.dumps({"agent": "bank", "author": "customer", "text": "my card is 4111", "sequence": 3}).encode()


def test_what_was_said_is_hidden_and_the_shape_stays():
    assert json.loads(shown(BODY)) == {
        "agent": "bank",
        "author": "customer",
        "text": "••• 15 characters",
        "sequence": 3,
    }


def test_reveal_shows_it():
    assert "my card is 4111" in shown(BODY, reveal=True)


@pytest.mark.parametrize(
    ("value", "form", "reveal", "told"),
    [
        (None, Form.HEX, True, "(no value)"),
        (b"\xff\x00\xfe", Form.HEX, True, "ff 00fe"),
        (b"\xff\x00\xfe", Form.BASE64, True, "/wD+"),
        (b"\xff\x00\xfe", Form.HEX, False, "(3 bytes that are no text; --reveal)"),
        (b"{broken", Form.HEX, False, "(7 characters that are no JSON; --reveal)"),
        (b"{broken", Form.HEX, True, "{broken"),
    ],
)
def test_what_is_no_json(value, form, reveal, told):
    assert shown(value, form=form, reveal=reveal) == told


@given(st.binary(max_size=200), st.booleans())
def test_no_control_character_ever_reaches_the_terminal(value, reveal):
    assert visible.hidden(shown(value, reveal=reveal)) == ()


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_for_the_terminal_reads_back_as_what_it_was(value):
    text = json_text(value)
    assert visible.hidden(text) == ()
    assert json.loads(text) == value


@given(st.text(st.characters(exclude_characters="\t")))
def test_no_text_is_taken_for_markup(text):
    console = Console(width=10_000, color_system=None)
    with console.capture() as capture:
        console.print(marked(text), highlight=False, soft_wrap=True)
    assert capture.get() == f"{printable(text)}\n"


def test_an_escape_sequence_is_shown_as_one():
    assert printable("a\x1b[2J\u202eb\n") == "a‹U+001B›[2J‹U+202E›b\n"


def test_what_is_long_is_cut_and_says_so():
    assert shown(b"x" * 50, reveal=True, chars_max=10) == "x" * 10 + " … and 40 characters more"


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.just("x"), inner)))
def test_hiding_keeps_no_text(body):
    def texts(part):
        if isinstance(part, str):
            yield part
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from texts(inner)

    assert all(text.startswith("•••") for text in texts(hidden(body)))
