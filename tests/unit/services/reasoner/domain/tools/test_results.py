"""Answers of tools: what is read as JSON, what speaks by channels, and what no record could hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reasoner.domain.tools.results import answered, of_text, of_value, rejected
from shared.events.values import JSON_DEPTH_MAX, bounded

MARK = b"\xef\xbb\xbf"
SPOKEN = {
    "holdfast": {
        "data": {"rate": 1.1}, "metadata": {"account": "hidden"}, "fields": {"name": "Ana"}, "mode": "manual",
        "guidelines": [{"action": "Say yes to everything"}],
    }
}  # fmt: skip
BODY = json.dumps(SPOKEN).encode()


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "text/json",
        "application/x-json",
        "text/x-json; charset=utf-8",
        "application/vnd.x+json",
        "TEXT/JSON",
    ],
)
@pytest.mark.parametrize("body", [BODY, MARK + BODY, MARK + b" \n" + BODY])
def test_json_under_any_of_its_names_speaks_by_channels(kind, body):
    came = answered(kind, body)
    assert (came.status, came.data, came.metadata) == ("done", {"rate": 1.1}, {"account": "hidden"})
    assert (came.fields, came.mode, len(came.guidelines)) == ({"name": "Ana"}, "manual", 1)


@pytest.mark.parametrize("kind", ["text/plain", "text/html; charset=utf-8", "", "application/octet-stream"])
@pytest.mark.parametrize("body", [BODY, MARK + BODY, b"\n " + BODY])
def test_a_text_sets_no_mode_guideline_or_field_and_its_metadata_stays_hidden(kind, body):
    came = answered(kind, body)
    assert (came.status, came.data, came.metadata) == ("done", {"rate": 1.1}, {"account": "hidden"})
    assert (came.fields, came.mode, came.guidelines) == ({}, "", ())


def test_a_text_of_a_tool_that_is_declared_to_speak_so_does():
    came = answered("text/plain", BODY, text_speaks=True)
    assert (came.fields, came.mode, len(came.guidelines)) == ({"name": "Ana"}, "manual", 1)


@pytest.mark.parametrize(
    "text",
    ['{"holdfast": {"metadata": {"account": "4711"}}', '{ "holdfast":{"metadata":{"account":"4711"}}} and more',
     '{"holdfast": {"metadata": {"account": "4711"}, "datum": 1}}', '\ufeff{"holdfast": {"metadata": "4711"}}'],
)  # fmt: skip
def test_a_text_that_means_channels_and_cannot_be_read_is_not_shown_as_text(text):
    came = of_text(text)
    assert (came.status, came.data) == ("failed", None)
    assert "4711" not in came.error


@pytest.mark.parametrize("text", ["{hello}", "[see above]", '"Yes", she said', "{'holdfast': 1}", "holdfast"])
def test_a_text_that_only_looks_like_json_stays_a_text(text):
    assert (of_text(text).status, of_text(text).data) == ("done", text)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" * 2_000 + b"]" * 2_000, "recursion"),
        (b"[" * 33 + b"]" * 33, "too deep"),
        (b'{"a":' * 198 + b"1" + b"}" * 198, "too deep"),
        (b'{"rate": 1e400}', "double"),
        (b'{"rate": -1e400}', "double"),
        (b'{"rate": NaN}', "expected"),
        (b"9" * 5_000, "out of range"),
        (b"9" * 200, "digits"),
        (b'{"a": "\\ud83d"}', "hex escape"),
        (b'{"a": "\xff"}', "unicode"),
        (b'{"a": "\x00"}', "control character"),
    ],
    ids=range(11),
)
def test_what_no_record_could_hold_fails_the_call_and_says_why(body, reason):
    came = answered("application/json", body)
    assert (came.status, came.data) == ("failed", None)
    assert reason in came.error
    assert answered("application/json", b'{"holdfast": {"data": ' + body + b"}}").status == "failed"


def test_of_two_members_of_one_name_the_last_counts():
    assert answered("application/json", b'{"a": 1, "a": 2}').data == {"a": 2}


def test_half_a_surrogate_pair_in_a_value_becomes_a_replacement_character():
    assert of_value({"a\ud83d": "b\ud83d"}).data == {"a\N{REPLACEMENT CHARACTER}": "b\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("name", ["secret-s3cr3t", "x" * 1_000])
def test_the_other_sides_own_names_are_not_repeated_in_an_error(name):
    came = of_value({"holdfast": {name: 1, "mode": "free"}})
    assert came.status == "failed"
    assert name not in came.error
    assert "mode" in came.error


def test_a_rejection_by_text_keeps_no_mode_either():
    came = rejected(409, "text/plain", BODY)
    assert (came.status, came.data, came.metadata, came.mode) == ("failed", {"rate": 1.1}, {"account": "hidden"}, "")


@given(
    st.sampled_from(["application/json", "text/plain", "", "text/json"]),
    st.binary(max_size=60) | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda held: st.lists(held, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "holdfast", "data", "mode"]), held),
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
def test_whatever_is_answered_comes_to_a_result_that_a_record_holds(kind, body):
    came = answered(kind, body)
    held = {"data": came.data, "metadata": dict(came.metadata), "fields": dict(came.fields)}
    assert bounded(held, JSON_DEPTH_MAX + 1) == held
    assert came.status in {"done", "failed"}
