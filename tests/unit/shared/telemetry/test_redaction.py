import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.telemetry.redaction import DEPTH_MAX, SECRET_KEYS, STRING_CHARS_MAX, TEXT_KEYS, redact

CANARY = "my card is 4929"


def cleaned(level="info", **fields):
    return redact(None, level, {"level": level, **fields})


@pytest.mark.parametrize("key", sorted(TEXT_KEYS))
@pytest.mark.parametrize("level", ["info", "warning", "error", "critical"])
def test_texts_are_withheld_at_info_and_above(key, level):
    assert CANARY not in str(cleaned(level, **{key: CANARY}))


@pytest.mark.parametrize("key", sorted(TEXT_KEYS))
def test_texts_may_stand_at_debug(key):
    assert cleaned("debug", **{key: CANARY})[key] == CANARY


@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize("key", [*sorted(SECRET_KEYS), "sasl_password", "API_KEY", "Authorization", "bot_token"])
def test_secrets_are_masked_at_any_level(key, level):
    assert cleaned(level, **{key: "hunter2"})[key] == "***"


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("sent Bearer abc.def-ghi to it", "sent Bearer *** to it"),
        ("key sk-abcdefghijklmnopqrstuv was refused", "key *** was refused"),
        ("proxy http://user:pass@host:1/x", "proxy http://user:***@host:1/x"),
        ("http://127.0.0.1:9092/x?at=a@b", "http://127.0.0.1:9092/x?at=a@b"),
    ],
)
def test_secrets_inside_a_string_are_masked(given_text, expected):
    assert cleaned("debug", event=given_text)["event"] == expected


def test_counts_and_identifiers_stay():
    fields = {"input_tokens": 12, "topic": "turns.opened", "offset": 7, "ok": True, "conversation": "c-1", "none": None}

    assert cleaned(**fields) == {"level": "info", **fields}


def test_a_pydantic_error_keeps_its_message_and_loses_the_input():
    told = f"1 validation error: should be an integer [type=int_parsing, input_value='{CANARY}', input_type=str]"

    assert CANARY not in cleaned("error", exception=told)["exception"]
    assert "should be an integer" in cleaned("error", exception=told)["exception"]


def test_a_secret_string_and_unknown_objects_do_not_show_what_they_hold():
    class Holder:
        def __repr__(self):
            return CANARY

    assert CANARY not in str(cleaned(field=Holder()))
    assert "hunter2" not in str(cleaned("debug", field=SecretStr("hunter2")))


def test_bytes_are_never_written():
    assert cleaned(key=CANARY.encode())["key"] == f"({len(CANARY)} withheld)"


def test_a_long_string_is_cut():
    assert len(cleaned(field="x" * 1_000_000)["field"]) < STRING_CHARS_MAX + 50


nested = st.recursive(
    st.just(CANARY),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, min_size=1, max_size=2)
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(TEXT_KEYS)), nested)
def test_no_nesting_hides_a_text(key, value):
    assert CANARY not in str(cleaned(outer={"inner": [{key: value}]}))


def test_what_is_nested_beyond_the_limit_is_withheld():
    value = CANARY
    for _ in range(DEPTH_MAX + 2):
        value = {"a": value}

    assert CANARY not in str(cleaned(field=value))
