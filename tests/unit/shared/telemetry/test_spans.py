"""
Hops and their calls as spans: the ids of the headers, and nothing of what was said.
"""

import pytest

from shared.stage.base import Output, Record
from shared.stage.hops import hop_of, wrote
from shared.telemetry.spans import CALLS_MAX, Call, Hop, tell, telling, under_way
from shared.telemetry.trace import parse

READ = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WROTE = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01"


class Kept(list):
    offer = list.append


def record(**headers):
    pairs = tuple((name, held.encode()) for name, held in headers.items())
    return Record("turns.opened", 3, 17, 0, b"acme:phone-555", b"a customer's words", pairs)


def hop(read=READ):
    return hop_of(record(traceparent=read, ce_correlationid="turn-1", ce_subject="phone-555"), "matcher")


def test_a_hop_is_the_context_that_it_wrote_and_a_child_of_the_one_that_it_read():
    spans = Kept()

    with telling(spans, hop()) as under:
        under.wrote = wrote([Output("turns.matched", b"k", b"v", (("ce_id", b"x"), ("traceparent", WROTE.encode())))])

    [span] = spans
    assert (span.name, span.kind, span.error) == ("process turns.opened", "consumer", "")
    assert (span.context, span.parent) == (parse(WROTE), parse(READ))
    assert 0 < span.begun_ns <= span.ended_ns


def test_no_span_names_a_tenant_a_conversation_or_what_was_said():
    spans = Kept()

    with telling(spans, hop()):
        pass

    [span] = spans
    assert "phone-555" not in repr(span)
    assert "words" not in repr(span)
    assert span.attributes["holdfast.turn"] == "turn-1"


def test_calls_are_children_of_their_hop():
    spans = Kept()

    with telling(spans, hop()) as under:
        tell(Call("chat m", 1, {"gen_ai.operation.name": "chat"}, "timeout"))
        under.wrote = WROTE

    span, call = spans
    assert call.parent == span.context == parse(WROTE)
    assert (call.name, call.kind, call.error) == ("chat m", "client", "timeout")
    assert call.context.trace_id == span.context.trace_id
    assert call.context.span_id != span.context.span_id


def test_calls_beyond_the_limit_are_not_kept():
    spans = Kept()

    with telling(spans, hop()):
        for _ in range(CALLS_MAX + 5):
            tell(Call("chat m", 1, {}))

    assert len(spans) == 1 + CALLS_MAX


@pytest.mark.parametrize("read", ["", "nonsense", READ])
def test_a_hop_that_wrote_nothing_has_a_span_of_its_own(read):
    spans = Kept()

    with telling(spans, hop(read)):
        pass

    [span] = spans
    assert span.parent == parse(read)
    assert span.context != parse(read)
    if span.parent is not None:
        assert span.context.trace_id == span.parent.trace_id


def test_what_a_hop_raises_is_its_error_and_goes_on():
    spans = Kept()

    with pytest.raises(ValueError, match="no"), telling(spans, hop()):
        raise ValueError("no")

    assert [span.error for span in spans] == ["ValueError"]


def test_a_trace_that_is_not_sampled_has_no_spans():
    spans = Kept()

    with telling(spans, hop(READ[:-1] + "0")):
        tell(Call("chat m", 1, {}))

    assert spans == []


def test_outside_of_a_hop_calls_are_told_to_nobody():
    tell(Call("chat m", 1, {}))

    assert under_way() is None


def test_a_wake_continues_what_its_ledger_says():
    spans = Kept()
    woken = hop_of(None, "conversations")
    woken.read, woken.wrote = READ, WROTE

    woken.end(spans)

    [span] = spans
    assert (span.name, span.kind, span.parent, span.context) == ("wake", "internal", parse(READ), parse(WROTE))
    assert isinstance(woken, Hop)
