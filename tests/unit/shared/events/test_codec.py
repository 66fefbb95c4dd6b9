import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.errors import Invalid
from shared.events.codec import ATTRIBUTE_CHARS_MAX, HEADERS_MAX, decode, encode, source_of
from shared.events.conversation import Author, MessagePosted
from shared.events.envelope import Envelope
from shared.events.topics import CONVERSATION_DECISIONS, CONVERSATION_EVENTS, TOPICS

TYPES = TOPICS[CONVERSATION_EVENTS].types
KEY = b"acme:c-1"
HEADERS = {
    "ce_specversion": b"1.0",
    "ce_id": b"e-1",
    "ce_source": b"/tenants/acme",
    "ce_type": b"message.posted",
    "ce_time": b"2026-05-01T10:00:00Z",
    "ce_subject": b"c-1",
    "content-type": b"application/json",
}
BODY = {"agent": "bank", "author": "customer", "text": "Hello"}
STRUCTURED = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/tenants/acme",
    "type": "message.posted",
    "time": "2026-05-01T10:00:00Z",
    "subject": "c-1",
    "datacontenttype": "application/json",
    "data": BODY,
}


def read(*, key=KEY, headers=None, value=None, **changed):
    named = HEADERS | (headers or {})
    body = json.dumps(BODY | changed).encode() if value is None else value
    return decode(TYPES, key, [(name, held) for name, held in named.items() if held is not ...], body)


def read_structured(document, *, content_type=b"application/cloudevents+json; charset=UTF-8", headers=()):
    value = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(TYPES, KEY, [("content-type", content_type), *headers], value)


def refusal(**record):
    with pytest.raises(Invalid) as caught:
        read(**record)
    return caught.value.reason


def structured_refusal(document):
    with pytest.raises(Invalid) as caught:
        read_structured(document)
    return caught.value.reason


def test_a_record_in_binary_mode_is_read():
    event = read(headers={"ce_correlationid": b"t-1", "ce_causationid": b"e-0", "traceparent": b"00-a"})

    assert event == Envelope(
        id="e-1",
        source="/tenants/acme",
        type="message.posted",
        time=datetime(2026, 5, 1, 10, tzinfo=UTC),
        subject="c-1",
        data=MessagePosted(agent="bank", author=Author.CUSTOMER, text="Hello"),
        correlation_id="t-1",
        causation_id="e-0",
        traceparent="00-a",
    )


def test_what_is_encoded_is_decoded_whole():
    event = Envelope(
        id="e-1",
        source=source_of("acme", "conversations"),
        type="message.posted",
        time=datetime(2026, 5, 1, 12, 0, 0, 123_000, tzinfo=timezone(timedelta(hours=2))),
        subject="c-1",
        data=MessagePosted(agent="bank", author=Author.CUSTOMER, text="Hello 👋 \u2028 \x00"),
        correlation_id="t-1",
        causation_id="e-0",
        expires=datetime(2026, 5, 1, 11, tzinfo=UTC),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )

    headers, value = encode(event)

    assert decode(TYPES, KEY, headers, value) == event
    assert dict(headers)["ce_time"] == b"2026-05-01T10:00:00.123Z"


def test_empty_attributes_and_defaults_are_not_written():
    event = read()

    headers, value = encode(event)

    assert {name for name, _ in headers} == HEADERS.keys()
    assert json.loads(value) == BODY


@pytest.mark.parametrize("name", ["CE_ID", "Ce_Id", "cE_iD"])
def test_header_names_are_read_in_any_case(name):
    assert read(headers={"ce_id": ..., name: b"e-9"}).id == "e-9"


def test_of_headers_with_one_name_the_last_counts():
    pairs = [*HEADERS.items(), ("ce_id", b"e-2")]

    assert decode(TYPES, KEY, pairs, json.dumps(BODY).encode()).id == "e-2"


def test_a_foreign_header_may_hold_any_bytes_or_none():
    assert read(headers={"uber-trace-id": b"\xff\xfe\x00", "schema-id": None}).id == "e-1"


def test_fields_of_a_newer_writer_are_ignored():
    assert read(mood="fine", nested={"deep": [1, None]}).data == MessagePosted.model_validate(BODY)


def test_an_unknown_enum_value_is_read_as_other():
    assert read(author="oracle").data.author is Author.OTHER


@pytest.mark.parametrize(("given", "moment"), [("2026-05-01T12:00:00.5+02:00", 10), ("2026-05-01T10:00:00.5", 10)])
def test_times_are_read_into_utc_and_without_zone_are_utc(given, moment):
    event = read(headers={"ce_time": given.encode()})

    assert event.time == datetime(2026, 5, 1, moment, 0, 0, 500_000, tzinfo=UTC)
    assert event.time.tzinfo is UTC


def test_a_record_without_value_is_refused():
    with pytest.raises(Invalid) as caught:
        decode(TYPES, KEY, HEADERS.items(), None)

    assert caught.value.reason == "null_value"


@pytest.mark.parametrize("missing", [name for name in HEADERS if name != "content-type"])
def test_every_required_attribute_is_required(missing):
    assert refusal(headers={missing: ...}) == "missing_attribute"
    assert refusal(headers={missing: b""}) == "missing_attribute"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"ce_id": b"\xff"}, "bad_headers"),
        ({"ce_specversion": b"0.3"}, "bad_headers"),
        ({"ce_time": b"yesterday"}, "bad_headers"),
        ({"ce_time": b"0001-01-01T00:00:00+14:00"}, "bad_headers"),
        ({"ce_expirytime": b"soon"}, "bad_headers"),
        ({"ce_id": b"x" * (ATTRIBUTE_CHARS_MAX + 1)}, "bad_headers"),
        ({"ce_type": b"message.deleted"}, "unknown_type"),
        ({"ce_source": b"/tenants/other"}, "key_mismatch"),
        ({"ce_source": b"/tenants/acmex"}, "key_mismatch"),
        ({"ce_source": b"urn:acme"}, "key_mismatch"),
        ({"ce_subject": b"c-2"}, "key_mismatch"),
    ],
)
def test_bad_headers_are_refused(headers, reason):
    assert refusal(headers=headers) == reason


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        b"acme",
        b":c-1",
        b"acme:",
        b"ACME:c-1",
        b"-acme:c-1",
        b"acme:c 1",
        b"acme:c\n1",
        b"acme:\xff",
        b"a" * 64 + b":c-1",
        b"acme:" + b"c" * 129,
    ],
)
def test_a_key_that_names_no_conversation_is_refused(key):
    assert refusal(key=key) == "bad_key"


def test_a_huge_key_does_not_make_a_huge_message():
    with pytest.raises(Invalid) as caught:
        read(key=b"\x00" * 1_000_000)

    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"Hello", "bad_json"),
        (b'{"agent": "bank", "author": "customer", "text": "\\ud800"}', "bad_json"),
        (b'{"agent": "bank", "author": "customer", "text": "\xff"}', "bad_encoding"),
        (json.dumps(BODY).encode("utf-16"), "bad_encoding"),
        (b"null", "bad_body"),
        (b"[]", "bad_body"),
        (b"{}", "bad_body"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "bad_json"),
        (b'{"agent": "bank", "author": "customer", "text": "x", "new": ' + b"[" * 100_000, "bad_json"),
    ],
)
def test_a_value_that_is_no_body_is_refused(value, reason):
    assert refusal(value=value) == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"author": 3},
        {"author": None},
        {"text": 5},
        {"agent": ""},
        {"agent": "Bank"},
        {"sequence": "3"},
        {"sequence": -1},
        {"sequence": 1.5},
        {"sequence": 10**400},
        {"sequence": float("nan")},
        {"sequence": float("inf")},
        {"sequence": True},
        {"customer_name": "x" * 129},
    ],
)
def test_a_body_that_does_not_fit_its_type_is_refused(changed):
    assert refusal(**changed) == "bad_body"


def test_a_refusal_tells_where_but_not_what_was_written():
    with pytest.raises(Invalid, match="sequence") as caught:
        read(sequence="my card is 4929")

    assert "4929" not in str(caught.value)


def test_booleans_are_not_guessed():
    """What may release money is `true`, never a word that looks like it."""
    value = json.dumps({"approval_id": "a", "granted": "yes"}).encode()

    with pytest.raises(Invalid) as caught:
        decode(TOPICS[CONVERSATION_DECISIONS].types, KEY, [*(HEADERS | {"ce_type": b"approval.given"}).items()], value)
    assert caught.value.reason == "bad_body"


def test_a_type_that_another_topic_takes_is_told_apart_from_one_that_none_takes():
    assert refusal(headers={"ce_type": b"approval.given"}) == "wrong_topic"
    assert refusal(headers={"ce_type": b"turn.verified"}) == "wrong_topic"
    assert refusal(headers={"ce_type": b"message.eaten"}) == "unknown_type"


@pytest.mark.parametrize(
    "content_type", [b"application/cloudevents+json", b"Application/CloudEvents", b"application/cloudevents; x=y"]
)
def test_structured_mode_is_read_like_binary_mode(content_type):
    assert read_structured(STRUCTURED, content_type=content_type) == read()


def test_structured_mode_takes_its_attributes_from_the_document_alone():
    extended = STRUCTURED | {"correlationid": "t-1", "expirytime": "2026-05-01T11:00:00Z", "custom": 3}

    event = read_structured(extended, headers=[("ce_id", b"other"), ("traceparent", b"00-a")])

    assert (event.id, event.correlation_id, event.traceparent) == ("e-1", "t-1", "00-a")
    assert event.expires == datetime(2026, 5, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"{", "bad_json"),
        (b"\xff", "bad_encoding"),
        (json.dumps(STRUCTURED).encode("utf-16"), "bad_encoding"),
        (b"[" * 100_000, "bad_json"),
        (b'{"data": ' + b"1" * 10_000 + b"}", "bad_json"),
        ([STRUCTURED], "bad_body"),
        ({**STRUCTURED, "data": "text"}, "bad_body"),
        ({name: held for name, held in STRUCTURED.items() if name != "data"}, "bad_body"),
        ({**STRUCTURED, "data": {}}, "bad_body"),
        ({**STRUCTURED, "id": 5}, "missing_attribute"),
        ({**STRUCTURED, "id": "\ud800"}, "bad_encoding"),
        ({**STRUCTURED, "id": "x" * (ATTRIBUTE_CHARS_MAX + 1)}, "bad_headers"),
        ({**STRUCTURED, "data": {**BODY, "text": "\ud800"}}, "bad_json"),
        ({**STRUCTURED, "subject": "c-2"}, "key_mismatch"),
    ],
)
def test_a_bad_structured_event_is_refused(document, reason):
    assert structured_refusal(document) == reason


def test_data_that_is_nested_just_deep_enough_to_be_read_is_refused_without_a_crash():
    for depth in (100, 300, 900, 970, 985, 995, 5_000):
        inner = b'{"a":' * depth + b"1" + b"}" * depth
        document = json.dumps({**STRUCTURED, "data": "@"}).encode().replace(b'"@"', inner)

        assert structured_refusal(document) in {"bad_json", "bad_body"}, depth


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [150, 250, 5_000, 190_000])
def test_nesting_in_a_field_that_nobody_knows_is_bounded(opening, depth):
    """As deep as the parser goes it is skipped; beyond, the record is refused: never a crash, whatever the depth."""
    closing = b"]" if opening == b"[" else b"}"
    nested = opening * depth + b"1" + closing * depth
    value = json.dumps(BODY).encode()[:-1] + b', "newer": ' + nested + b"}"
    if depth <= 150:
        assert read(value=value).data.text == "Hello"
    else:
        assert refusal(value=value) == "bad_json"


def test_so_many_headers_are_read_and_no_more():
    spare = {f"x-{number}": b"" for number in range(HEADERS_MAX - len(HEADERS))}
    assert read(headers=spare).id == "e-1"
    assert refusal(headers=spare | {"x-more": b""}) == "bad_headers"


def test_the_largest_record_of_headers_is_refused_and_not_looked_through():
    """A megabyte of headers without a name."""
    headers = [("", b"")] * 500_000
    with pytest.raises(Invalid, match="500000 headers"):
        decode(TYPES, KEY, headers, b"{}")


@pytest.mark.parametrize(
    ("event_type", "fits", "exceeds"),
    [
        ("message.posted", BODY | {"customer_id": "x" * 128}, BODY | {"customer_id": "x" * 129}),
        ("message.posted", BODY | {"customer_name": "x" * 128}, BODY | {"customer_name": "x" * 129}),
        ("message.posted", BODY | {"agent": "a" * 64}, BODY | {"agent": "a" * 65}),
        ("message.posted", BODY | {"sequence": 2**53 - 1}, BODY | {"sequence": 2**53}),
        ("variable.set", {"name": "n" * 64, "value": "v" * 4_096}, {"name": "n" * 65, "value": "v"}),
        ("variable.set", {"name": "n", "value": ""}, {"name": "n", "value": "v" * 4_097}),
        ("conversation.mode_changed", {"mode": "auto", "reason": "r" * 512}, {"mode": "auto", "reason": "r" * 513}),
        ("approval.given", {"approval_id": "a" * 64, "granted": True}, {"approval_id": "a" * 65, "granted": True}),
        (
            "approval.given",
            {"approval_id": "a", "granted": True, "by": "b" * 128, "reason": "r" * 512},
            {"approval_id": "a", "granted": True, "by": "b" * 129},
        ),
    ],
)
def test_what_platforms_write_is_of_bounded_length(event_type, fits, exceeds):
    headers = {"ce_type": event_type.encode()}
    types = TOPICS[CONVERSATION_EVENTS].types | TOPICS[CONVERSATION_DECISIONS].types
    decode(types, KEY, list((HEADERS | headers).items()), json.dumps(fits).encode())
    with pytest.raises(Invalid) as refused:
        decode(types, KEY, list((HEADERS | headers).items()), json.dumps(exceeds).encode())
    assert refused.value.reason == "bad_body"
