"""A trace puts together what the topics have of each turn, whichever of them have forgotten it."""

from dataclasses import replace

import pytest
from rich.console import Console

from services.operator.commands.trace import lines
from services.operator.domain.tracing import Trace
from shared.events.examples import example

ORDER = [
    "message.posted",
    "turn.opened",
    "turn.matched",
    "turn.drafted",
    "turn.finished",
    "turn.closed",
    "response.sent",
]


def traced(*types):
    trace = Trace()
    for number, name in enumerate(types):
        trace.take(example(name), 1_777_887_000_000 + number)
    return trace


def told(trace, **options):
    console = Console(width=200, no_color=True, force_terminal=False)
    with console.capture() as capture:
        for turn in trace.ordered():
            for line in lines(trace, turn, **options):
                console.print(line, highlight=False, soft_wrap=True)
    return capture.get()


def test_every_stages_decision_of_the_turn_is_told():
    text = told(traced(*ORDER))

    for words in (
        "How long does a transfer to Norway take?",
        "offer-transfer",
        "The customer asks how long a transfer takes.",
        "A transfer to Norway takes 3 working days.",
        "eea-transfers",
        "contradicted → value_restored",
        "answered",
        "A transfer to Norway takes 2 working days. Shall I set one up?",
    ):
        assert words in text


@pytest.mark.parametrize("missing", ORDER)
def test_without_any_one_topic_there_still_is_a_trace(missing):
    trace = traced(*[name for name in ORDER if name != missing])

    (turn,) = trace.ordered()
    assert turn.matching is not None
    assert turn.draft is not None
    assert "turn 1" in told(trace, rejected=True)


def test_of_a_turn_of_last_month_the_closing_alone_tells_the_decisions():
    (turn,) = (trace := traced("turn.closed")).ordered()

    assert turn.matching.active == ("offer-transfer",)
    assert turn.verification.claims
    assert trace.question(turn) == []


def test_a_turn_under_way_says_so():
    assert "not closed yet" in told(traced("message.posted", "turn.opened"))


def test_what_a_customer_wrote_cannot_act_on_the_terminal():
    event = example("message.posted")
    evil = event.data.model_copy(update={"text": "\x1b[2J[red]gone[/]"})
    trace = Trace()
    trace.take(replace(event, data=evil), 1)
    trace.take(example("turn.closed"), 2)

    text = told(trace)
    assert "\x1b" not in text
    assert "‹U+001B›[2J[red]gone[/]" in text


def test_the_text_of_a_turn_that_was_closed_just_now_may_be_read_later():
    trace = traced("turn.closed")
    closed_ms = trace.ordered()[0].closed_ms

    assert trace.lacks_response(closed_ms - 1)
    assert not trace.lacks_response(closed_ms)
    trace.take(example("response.sent"), closed_ms + 1)
    assert not trace.lacks_response(closed_ms - 1)


def test_the_document_holds_it_all():
    (turn,) = traced(*ORDER).document()

    assert turn["matching"]["active"] == ["offer-transfer"]
    assert turn["response"]["origin"] == "verified"
    assert turn["question"] == ["How long does a transfer to Norway take?"]
    assert set(turn["milliseconds"]) >= {"matcher", "reasoner", "verifier"}
