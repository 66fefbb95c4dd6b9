"""A dead letter is read by the stage's own headers, and comes back as it was sent; what must not is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.domain.letters import (
    ERASURE_MEMORY_MS,
    Box,
    Filter,
    Letter,
    again,
    erasure_mark,
    receipt,
    refusal,
)
from shared.errors import Invalid
from shared.events.envelope import Address
from shared.events.topics import CONVERSATION_EVENTS, DEAD_LETTERS
from shared.stage.base import Record
from shared.stage.dead_letters import dead_letter, without_value

KEY = b"acme:chat-1"
ORIGINAL = Record(CONVERSATION_EVENTS, 3, 41, 1_000, KEY, b"{broken", (("ce_id", b"m-1"), ("x-mine", b"\xff")))
ERROR = Invalid("bad_json", "the value is not JSON")


def letter_of(original=ORIGINAL, *, offset=7, at_ms=2_000, output=None):
    output = output or dead_letter("conversations", original, ERROR, attempts=1, first_failed_at=1.0)
    return Letter(Record(DEAD_LETTERS, 3, offset, at_ms, output.key, output.value, output.headers))


def note(written, *, offset, at_ms):
    key, headers = written
    return Record(DEAD_LETTERS, 3, offset, at_ms, key, None, headers)


def box_of(*records):
    box = Box()
    for record in records:
        box.take(record)
    return box


def test_the_headers_of_a_stage_tell_where_the_letter_came_from_and_why():
    letter = letter_of()

    assert (letter.name, letter.topic, letter.partition, letter.offset) == ("3:7", CONVERSATION_EVENTS, 3, 41)
    assert (letter.reason, letter.stage, letter.tenant) == ("bad_json", "conversations", "acme")
    assert letter.message == "the value is not JSON"


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "x-holdfast-reason", "__connect.errors.topic", "x-holdfast-redriven"]),
        st.binary(max_size=8),
    ),
    max_size=6,
)


@given(st.binary(max_size=20), st.binary(max_size=50), HEADERS)
def test_whatever_was_sent_comes_back_byte_for_byte_even_with_headers_that_look_like_ours(key, value, headers):
    original = replace(ORIGINAL, key=key, value=value, headers=tuple(headers))
    letter = letter_of(original)

    found_key, found_value, found_headers = again(letter)

    assert (found_key, found_value) == (key, value)
    assert found_headers == (*headers, ("x-holdfast-redriven", b"3:7"))
    assert (letter.topic, letter.partition, letter.reason) == (CONVERSATION_EVENTS, 3, "bad_json")


def test_a_letter_that_failed_again_is_a_new_one_with_its_own_reasons():
    key, value, headers = again(letter_of())
    second = letter_of(replace(ORIGINAL, key=key, value=value, headers=headers, offset=55), offset=9)

    assert second.offset == 55
    assert second.original_headers == headers


def test_a_receipt_marks_its_letter_wherever_it_is_read():
    letter = letter_of()
    seen = note(receipt(letter), offset=8, at_ms=3_000)

    for records in ((letter.record, seen), (seen, letter.record)):
        assert [found.driven_ms for found in box_of(*records).found(Filter())] == [3_000]


def test_a_sender_cannot_forge_a_receipt():
    forged = replace(ORIGINAL, headers=(("x-holdfast-redriven", b"3:7"),))
    box = box_of(letter_of().record, letter_of(forged, offset=8).record)

    assert [letter.driven_ms for letter in box.found(Filter())] == [0, 0]


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Filter(), True),
        (Filter(tenant="acme", topic=CONVERSATION_EVENTS, reason="bad_json", conversation="chat-1"), True),
        (Filter(tenant="other"), False),
        (Filter(topic="turns.opened"), False),
        (Filter(reason="bad_body"), False),
        (Filter(stage="matcher"), False),
        (Filter(since_ms=2_001), False),
        (Filter(until_ms=2_000), False),
        (Filter(since_ms=2_000, until_ms=2_001), True),
        (Filter(names=frozenset({"3:7"})), True),
        (Filter(names=frozenset({"3:8"})), False),
        (Filter(driven=True), False),
        (Filter(driven=False), True),
    ],
)
def test_filters(wanted, taken):
    assert wanted.takes(letter_of()) is taken


@pytest.mark.parametrize(
    ("letter", "erased", "now_ms", "why"),
    [
        (letter_of(), {}, 3_000, ""),
        (Letter(letter_of().record, driven_ms=5), {}, 3_000, "already"),
        (letter_of(replace(ORIGINAL, topic="claims.judged")), {}, 3_000, "may be written again"),
        (letter_of(replace(ORIGINAL, topic="turns.verified")), {}, 3_000, "may be written again"),
        (letter_of(), {KEY: 9}, 3_000, "erased"),
        (letter_of(), {}, 2_001 + ERASURE_MEMORY_MS, "older than 7 days"),
        (letter_of(replace(ORIGINAL, key=b"no address")), {}, 2_001 + ERASURE_MEMORY_MS, ""),
        (Letter(Record(DEAD_LETTERS, 0, 0, 0, KEY, b"", ())), {}, 1, "none"),
    ],
)
def test_what_may_be_driven_again(letter, erased, now_ms, why):
    said = refusal(letter, erased=erased, quarantined=(), now_ms=now_ms)

    assert why in said
    assert bool(said) is bool(why)


def test_a_letter_without_its_value_names_where_the_original_is():
    whole = dead_letter("matcher", ORIGINAL, ERROR, attempts=1, first_failed_at=1.0)

    assert "partition 3, offset 41" in refusal(
        letter_of(output=without_value(whole)), erased={}, quarantined=(), now_ms=3_000
    )


def test_a_mark_of_an_erasure_is_kept_by_key():
    mark = erasure_mark(Address("acme", "chat-1"), 1_500)

    assert box_of(letter_of().record, note(mark, offset=8, at_ms=3_000)).erased_ms == {KEY: 3_000}


def test_what_a_quarantine_holds_is_driven_by_its_release_alone():
    record = dead_letter("conversations", ORIGINAL, Invalid("quarantined", "no"), attempts=1, first_failed_at=1.0)
    letter = Letter(Record(DEAD_LETTERS, 3, 7, 2_000, record.key, record.value, record.headers))

    assert "quarantine release" in refusal(letter, erased={}, quarantined={letter.record.key}, now_ms=3_000)
    assert refusal(letter, erased={}, quarantined=(), now_ms=3_000) == ""
    assert refusal(letter_of(), erased={}, quarantined={letter.record.key}, now_ms=3_000) == ""
