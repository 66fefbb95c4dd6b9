"""A dead letter is the record byte for byte, with the reason."""

import pytest

from shared.errors import Invalid, Retryable
from shared.stage.base import Record
from shared.stage.dead_letters import MESSAGE_CHARS_MAX, dead_letter, without_value
from shared.stage.sizes import fitted

RECORD = Record(
    "turns.opened", 3, 41, 0, b"acme:\xff", b"\x00\xff not json", (("ce_id", b"1"), ("ce_id", b"2"), ("odd", b"\xfe"))
)


def test_key_value_and_headers_are_untouched_and_the_reason_is_appended():
    letter = dead_letter(
        "matcher", RECORD, Invalid("bad_json", "not JSON"), attempts=1, first_failed_at=1_700_000_000.5
    )
    assert (letter.topic, letter.key, letter.value) == ("dead.letters", RECORD.key, RECORD.value)
    assert letter.headers[:3] == RECORD.headers
    told = dict(letter.headers[3:])
    assert told["__connect.errors.topic"] == b"turns.opened"
    assert told["__connect.errors.partition"] == b"3"
    assert told["__connect.errors.offset"] == b"41"
    assert told["__connect.errors.exception.class.name"] == b"shared.errors.Invalid"
    assert told["__connect.errors.exception.message"] == b"not JSON"
    assert told["x-holdfast-reason"] == b"bad_json"
    assert told["x-holdfast-stage"] == b"matcher"
    assert told["x-holdfast-attempts"] == b"1"
    assert told["x-holdfast-first-failed-at"] == b"2023-11-14T22:13:20.500Z"


def test_what_was_tried_too_often_has_its_own_reason():
    letter = dead_letter("matcher", RECORD, Retryable("model away"), attempts=8, first_failed_at=0.0)
    assert dict(letter.headers)["x-holdfast-reason"] == b"retries_exhausted"


def test_a_long_message_is_cut():
    letter = dead_letter("matcher", RECORD, Invalid("bad_body", "x" * 10_000), attempts=1, first_failed_at=0.0)
    assert len(dict(letter.headers)["__connect.errors.exception.message"]) == MESSAGE_CHARS_MAX


def test_a_record_without_key_and_value_is_still_writable():
    letter = dead_letter(
        "m", Record("t", 0, 0, 0, None, None), Invalid("null_value", ""), attempts=1, first_failed_at=0.0
    )
    assert letter.key == b""


def test_a_letter_too_large_for_the_broker_tells_its_size_instead():
    letter = without_value(dead_letter("m", RECORD, Invalid("bad_json", ""), attempts=1, first_failed_at=0.0))
    assert letter.value is None
    assert dict(letter.headers)["x-holdfast-value-bytes"] == b"11"


@pytest.mark.parametrize("headers", [(("x-trace", None),), (("", b"1"),), (("ce_id", None), ("", None))])
def test_a_header_without_value_or_name_is_a_letters_content_like_any_other(headers):
    record = Record("conversation.events", 0, 0, 0, b"acme:1", b"{}", headers)
    letter = fitted(dead_letter("m", record, Invalid("bad_body", ""), attempts=1, first_failed_at=0.0))
    assert letter.headers[: len(headers)] == headers
