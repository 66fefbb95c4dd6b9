"""Every body that travels, whatever it holds, comes back as it was."""

from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, JsonValue
from pydantic.fields import FieldInfo

from shared.errors import Invalid
from shared.events.base import INTEGER_MAX, Body, OpenEnum
from shared.events.codec import decode, encode, source_of
from shared.events.envelope import Envelope
from shared.events.schema import event_types, writer_schema
from shared.events.topics import TOPICS

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
EVENT_TYPES = sorted(event_types())


def bodies(model: type[Body]) -> st.SearchStrategy[Body]:
    required = {name: values(info) for name, info in model.model_fields.items() if info.is_required()}
    optional = {name: values(info) for name, info in model.model_fields.items() if not info.is_required()}
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: model(**fields))


def values(info: FieldInfo) -> st.SearchStrategy[Any]:
    bounds = {
        name: getattr(m, name)
        for m in info.metadata
        for name in ("ge", "le", "min_length", "max_length", "pattern")
        if getattr(m, name, None) is not None
    }
    if "pattern" in bounds:
        return st.from_regex(bounds["pattern"], fullmatch=True).filter(lambda s: len(s) <= bounds["max_length"])
    if info.annotation is str and bounds:
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=bounds.get("min_length", 0), max_size=12)
    return of_type(info.annotation, bounds.get("ge", -INTEGER_MAX))


@cache
def of_type(kind: Any, least: int = -INTEGER_MAX) -> st.SearchStrategy[Any]:
    if get_origin(kind) is tuple:
        return st.lists(of_type(get_args(kind)[0]), max_size=2).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(TEXT, of_type(get_args(kind)[1]), max_size=2)
    if get_origin(kind) is Annotated:
        return of_type(get_args(kind)[0], least)
    if get_origin(kind) in {Union, UnionType}:
        return st.one_of(*(of_type(part, least) for part in get_args(kind)))
    plain = {
        NoneType: st.none(),
        JsonValue: JSON,
        str: TEXT,
        bool: st.booleans(),
        AwareDatetime: MOMENTS,
        int: st.integers(least, INTEGER_MAX),
    }
    if kind in plain:
        return plain[kind]
    return st.sampled_from(kind) if issubclass(kind, Enum) else bodies(kind)


def envelope(event_type: str, data: Body) -> Envelope[Body]:
    return Envelope(
        id="e-1",
        source=source_of("acme"),
        type=event_type,
        time=datetime(2026, 5, 1, tzinfo=UTC),
        subject="c-1",
        data=data,
    )


@pytest.mark.parametrize("event_type", EVENT_TYPES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_body_comes_back_as_it_was_and_fits_its_closed_schema(event_type, data):
    event = envelope(event_type, data.draw(bodies(event_types()[event_type])))

    headers, value = encode(event)

    assert decode(event_types(), b"acme:c-1", headers, value) == event
    validator(event_type).validate(event.data.model_dump(mode="json", exclude_defaults=True))


@cache
def validator(event_type: str) -> jsonschema.Draft202012Validator:
    schema = writer_schema(event_type)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_object_of_a_writers_schema_is_closed(event_type):
    def objects(schema):
        if isinstance(schema, dict):
            if "properties" in schema:
                yield schema
            for part in schema.values():
                yield from objects(part)
        elif isinstance(schema, list):
            for part in schema:
                yield from objects(part)

    found = [part for part in objects(writer_schema(event_type)) if isinstance(part["properties"], dict)]
    assert found
    assert all(part["additionalProperties"] is False for part in found)


@pytest.mark.parametrize("kind", OpenEnum.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_open_enum_takes_an_unknown_word_for_other_and_nothing_else(kind):
    assert kind("a word of a later release") is kind.OTHER
    assert kind("other") is kind.OTHER
    with pytest.raises(ValueError, match="3"):
        kind(3)


header_names = st.sampled_from(
    ["ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_specversion", "content-type", "ce_expirytime", "x"]
)
header_values = st.binary(max_size=20) | st.sampled_from(
    [b"1.0", b"message.posted", b"/tenants/acme", b"c-1", b"2026-05-01", b"application/cloudevents"]
)


@given(
    key=st.none() | st.binary(max_size=10) | st.just(b"acme:c-1"),
    headers=st.lists(st.tuples(header_names, header_values | st.none()), max_size=9),
    value=st.none() | st.binary(max_size=40) | st.just(b'{"data": {}}'),
)
def test_any_record_at_all_is_an_event_or_invalid(key, headers, value):
    try:
        decode(TOPICS["conversation.events"].types, key, headers, value)
    except Invalid as error:
        reason = error.reason
    else:
        reason = "none"

    assert reason in {
        "none",
        "null_value",
        "bad_headers",
        "missing_attribute",
        "unknown_type",
        "bad_encoding",
        "bad_json",
        "bad_body",
        "bad_key",
        "key_mismatch",
    }
