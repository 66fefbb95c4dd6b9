import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry.trace import TraceContext, continued, derived, hop, new, parse

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_the_specifications_example_is_read_and_written_back():
    text = f"00-{TRACE}-{SPAN}-01"

    assert parse(text) == TraceContext(TRACE, SPAN, 1)
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-1",
        f"01-{TRACE}-{SPAN}-01more",
    ],
)
def test_what_the_specification_calls_invalid_starts_a_new_trace(text):
    assert parse(text) is None
    assert continued(text, random.Random(1).getrandbits).trace_id != TRACE


def test_a_later_version_is_read_by_the_rules_of_this_one():
    assert parse(f"cc-{TRACE}-{SPAN}-ff-what-the-future-holds") == TraceContext(TRACE, SPAN, 3)


def test_a_child_keeps_trace_and_flags_and_gets_a_span_of_its_own():
    parent = TraceContext(TRACE, SPAN, 0)
    child = continued(str(parent), random.Random(1).getrandbits)

    assert (child.trace_id, child.flags) == (TRACE, 0)
    assert child.span_id != SPAN


def test_zero_bits_never_make_an_invalid_identifier():
    context = new(lambda _: 0)

    assert parse(str(context)) == context


def test_a_derived_source_repeats_itself_and_differs_between_parts():
    first, again, other = new(derived("turn", 1)), new(derived("turn", 1)), new(derived("turn", 2))

    assert first == again
    assert first != other


@given(st.integers(1, 500), st.text(max_size=20))
def test_a_derived_source_stays_within_the_bits_asked_for(count, part):
    bits = derived(part)

    assert all(0 <= bits(count) < 2**count for _ in range(3))


@given(st.randoms(use_true_random=False))
def test_whatever_is_made_is_read_back(source):
    context = new(source.getrandbits)

    assert parse(str(context)) == context
    assert parse(str(context.child(source.getrandbits))).trace_id == context.trace_id


@given(seed=st.text())
def test_a_derived_hop_is_the_same_each_time_and_a_child_of_its_parent(seed):
    parent = f"00-{TRACE}-{SPAN}-01"
    child = parse(hop(parent, seed))

    assert hop(parent, seed) == hop(parent, seed)
    assert child is not None
    assert (child.trace_id, child.flags) == (TRACE, 1)
    assert child.span_id != SPAN


@pytest.mark.parametrize("text", ["", "garbage", f"00-{TRACE}-{'0' * 16}-01"])
def test_a_derived_hop_without_a_parent_begins_a_trace(text):
    begun = parse(hop(text, "seed"))

    assert begun is not None
    assert begun.trace_id not in (TRACE, "0" * 32)
    assert hop(text, "seed") != hop(text, "other")
