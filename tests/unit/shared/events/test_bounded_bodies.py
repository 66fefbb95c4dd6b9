"""JSON that a body carries is what every reader can take, or the body is refused."""

import json
from datetime import UTC, datetime

import pytest

from shared.errors import Invalid
from shared.events.codec import decode, headers_of
from shared.events.envelope import Envelope
from shared.events.examples import example
from shared.events.topics import TOPICS, TURNS_FINISHED
from shared.events.values import JSON_DEPTH_MAX

TYPES = TOPICS[TURNS_FINISHED].types
KEY = b"acme:chat-2041"


def nested(levels):
    return "[" * levels + "]" * levels


def finished(**body):
    """A `turn.finished` whose body holds *body* as it is written."""
    given = example("turn.finished")
    event = Envelope(given.id, given.source, given.type, datetime(2026, 1, 1, tzinfo=UTC), given.subject, None)
    plain = json.loads(given.data.model_dump_json())
    text = json.dumps({name: value for name, value in plain.items() if name not in body})
    for name, value in body.items():
        text = f'{text[:-1]}, "{name}": {value}}}'
    return headers_of(event), text.encode()


def result(data="1", metadata="{}", arguments="{}"):
    call = f'{{"id": "c", "tool": "t", "arguments": {arguments}}}'
    return (
        f'[{{"call": {call}, "status": "done", "data": {data}, "metadata": {metadata}, "at": "2026-01-01T00:00:00Z"}}]'
    )


@pytest.mark.parametrize("where", ["data", "metadata", "arguments"])
def test_what_is_as_deep_as_may_be_is_read(where):
    inner = nested(JSON_DEPTH_MAX - 1)
    value = f"[{inner}]" if where == "data" else f'{{"x": {inner}}}'
    headers, text = finished(results=result(**{where: value}))
    assert decode(TYPES, KEY, headers, text).data.results


@pytest.mark.parametrize("where", ["data", "metadata", "arguments"])
@pytest.mark.parametrize("value", [nested(JSON_DEPTH_MAX), nested(190), "1e400", "NaN", "-Infinity", "9" * 200])
def test_what_no_reader_could_take_is_refused(where, value):
    headers, text = finished(results=result(**{where: f'{{"x": {value}}}'}))
    with pytest.raises(Invalid) as refused:
        decode(TYPES, KEY, headers, text)
    assert refused.value.reason == "bad_body"
    assert "results.0" in str(refused.value)


@pytest.mark.parametrize("value", [nested(2_000), '"\\ud800"', '{"\\udc00": 1}'])
def test_what_is_no_json_that_can_be_read_is_refused(value):
    headers, text = finished(results=result(data=value))
    with pytest.raises(Invalid) as refused:
        decode(TYPES, KEY, headers, text)
    assert refused.value.reason in {"bad_json", "bad_body"}


def test_the_calls_that_a_pause_asks_for_are_bounded_as_well():
    headers, text = finished(calls=f'[{{"id": "c", "tool": "t", "arguments": {{"x": {nested(40)}}}}}]')
    with pytest.raises(Invalid, match=r"calls\.0\.arguments"):
        decode(TYPES, KEY, headers, text)
