"""`holdfast say` shows what a turn sent, in whatever order its topics are read."""

import io
from dataclasses import replace
from itertools import permutations

import pytest
from rich.console import Console

from services.operator.commands import say
from services.operator.commands.say import Ending
from shared.events.examples import example

CLOSED, SENT = example("turn.closed").data, example("response.sent").data
MESSAGE = CLOSED.covers[0]


@pytest.mark.parametrize("order", list(permutations([CLOSED, SENT])))
def test_the_turn_has_ended_when_its_record_and_its_reply_were_seen(order):
    ending = Ending(MESSAGE)

    assert [ending.reached(body) for body in order] == [False, True]


def test_a_turn_that_sent_nothing_ends_with_its_record():
    assert Ending(MESSAGE).reached(CLOSED.model_copy(update={"response_sha256": ""}))


def test_another_turns_record_ends_nothing():
    ending = Ending("another message")

    assert not ending.reached(SENT)
    assert not ending.reached(CLOSED)


def test_a_reply_cannot_act_on_the_terminal():
    out = io.StringIO()
    event = example("response.sent")
    sent = replace(event, data=SENT.model_copy(update={"text": "\x1b[2J\u202e[red]gone[/]"}))

    say._show(Console(file=out, width=200), SeenStub(sent), stages=True)

    assert "‹U+001B›[2J‹U+202E›[red]gone[/]" in out.getvalue()


class SeenStub:
    """A record that was read, of which only the event is looked at."""

    def __init__(self, event):
        self.event = event


def test_what_is_not_utf_8_is_asked_for_again(monkeypatch):
    console = Console(file=io.StringIO())
    lines = iter(["caf\udce9", UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"), "café"])

    def read(*_args):
        line = next(lines)
        if isinstance(line, Exception):
            raise line
        return line

    monkeypatch.setattr(console, "input", read)

    assert say._ask(console) == "café"
    assert console.file.getvalue().count("not UTF-8") == 2
