"""
Kafka records ↔ envelopes: CloudEvents 1.0 in the Kafka binding's binary mode; structured mode is read too.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.errors import Invalid
from shared.events.base import Body
from shared.events.envelope import Address, Envelope
from shared.events.topics import TOPICS

B = TypeVar("B", bound=Body)
Headers = tuple[tuple[str, bytes | None], ...]
"""A value may be missing, which is not the empty one."""

CONTENT_TYPE = "content-type"
ATTRIBUTE_CHARS_MAX = 512
"""The longest attribute; identifiers end up in states, logs and headers."""

HEADERS_MAX = 256
"""Of one record, foreign ones included; a dead letter that is driven again brings a dozen more each time."""

_STRUCTURED = "application/cloudevents"
_ATTRIBUTES = frozenset(
    {
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_time",
        "ce_subject",
        "ce_correlationid",
        "ce_causationid",
        "ce_expirytime",
        CONTENT_TYPE,
        "traceparent",
    }
)
_ERRORS_SHOWN_MAX = 3


def encode(event: Envelope[Body]) -> tuple[Headers, bytes]:
    """The headers and the value of *event*'s record; times are written in milliseconds."""
    return headers_of(event), event.data.model_dump_json(exclude_defaults=True).encode()


def headers_of(event: Envelope[Any]) -> Headers:
    """
    The headers of *event*'s record, for a writer that has the body's JSON already: id and type first, then what several
    events about the same thing may have in common (see `sibling`).
    """
    optional = (
        ("ce_correlationid", event.correlation_id),
        ("ce_causationid", event.causation_id),
        ("ce_expirytime", _written(event.expires) if event.expires else ""),
        ("traceparent", event.traceparent),
    )
    return (
        ("ce_id", event.id.encode()),
        ("ce_type", event.type.encode()),
        ("ce_specversion", b"1.0"),
        ("ce_source", event.source.encode()),
        ("ce_time", _written(event.time).encode()),
        ("ce_subject", event.subject.encode()),
        (CONTENT_TYPE, b"application/json"),
        *[(name, value.encode()) for name, value in optional if value],
    )


def sibling(headers: Headers, event_id: str, event_type: str) -> Headers:
    """The headers of an event that differs from the one of *headers* (from `headers_of`) in id and type only."""
    return (("ce_id", event_id.encode()), ("ce_type", event_type.encode()), *headers[2:])


def decode(
    types: Mapping[str, type[B]], key: bytes | None, headers: Collection[tuple[str, bytes | None]], value: bytes | None
) -> Envelope[B]:
    """
    The event that a record holds; *types* are the event types that its topic allows.

    Headers that are no attribute of an event may hold anything. Of several headers of one name the last counts, as with
    Kafka's own `Headers.lastHeader`. Fields that the type does not know are ignored; those that it knows must be of
    the JSON type that the schema names ("3" is no number, "yes" no boolean).

    Raises:
        Invalid: `null_value`, `bad_headers`, `missing_attribute`, `unknown_type`, `wrong_topic`, `bad_encoding`,
            `bad_json`, `bad_body`, `bad_key`, or `key_mismatch` (the key, the source's tenant and the subject name
            different conversations).

    """
    if value is None:
        raise Invalid("null_value", "the record has no value; no event type is without a body")
    attributes = _attributes(headers)
    body: Any = None
    if attributes.get(CONTENT_TYPE, "").lower().startswith(_STRUCTURED):
        attributes, body = _structured(attributes, value)
    model = _model(types, attributes)
    event = Envelope(
        id=_required(attributes, "ce_id"),
        source=_required(attributes, "ce_source"),
        type=attributes["ce_type"],
        time=_time(attributes, "ce_time"),
        subject=_required(attributes, "ce_subject"),
        data=_body(model, value) if body is None else _body_of(model, body),
        correlation_id=attributes.get("ce_correlationid", ""),
        causation_id=attributes.get("ce_causationid", ""),
        expires=_time(attributes, "ce_expirytime") if "ce_expirytime" in attributes else None,
        traceparent=attributes.get("traceparent", ""),
    )
    _check_address(Address.from_key(key), event)
    return event


def source_of(tenant: str, service: str = "") -> str:
    """The CloudEvents source of a tenant's events: `/tenants/{tenant}`, and the service where one wrote them."""
    return f"/tenants/{tenant}/{service}" if service else f"/tenants/{tenant}"


def _attributes(headers: Collection[tuple[str, bytes | None]]) -> dict[str, str]:
    if len(headers) > HEADERS_MAX:
        raise Invalid("bad_headers", f"the record has {len(headers)} headers; {HEADERS_MAX} are allowed")
    try:
        found = {
            lower: value.decode()
            for name, value in headers
            if value is not None and (lower := name.lower()) in _ATTRIBUTES
        }
    except UnicodeDecodeError as error:
        raise Invalid("bad_headers", f"a header is not UTF-8: {error}") from None
    return _bounded(found)


def _bounded(attributes: dict[str, str]) -> dict[str, str]:
    for name, text in attributes.items():
        if len(text) > ATTRIBUTE_CHARS_MAX:
            raise Invalid("bad_headers", f"{name} has {len(text)} characters; {ATTRIBUTE_CHARS_MAX} are allowed")
    return attributes


def _structured(attributes: Mapping[str, str], value: bytes) -> tuple[dict[str, str], Any]:
    try:
        # A UTF-16 document, which json.loads would guess, is no CloudEvent.
        event = json.loads(value.decode())
    except UnicodeDecodeError as error:
        raise Invalid("bad_encoding", f"the event is not UTF-8: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Invalid("bad_json", f"the structured event is not JSON: {error}") from None
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise Invalid("bad_body", "a structured event is a JSON object with its body, an object, under `data`")
    named = {
        prefixed: _encodable(prefixed, text)
        for name, text in event.items()
        if isinstance(text, str) and (prefixed := f"ce_{name.lower()}") in _ATTRIBUTES
    }
    return {name: text for name, text in attributes.items() if name == "traceparent"} | _bounded(named), event["data"]


def _encodable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can escape half a character (a lone surrogate); nothing could ever be written about such an event.
        raise Invalid("bad_encoding", f"{name} holds half a character (a lone surrogate)") from None
    return text


def _model(types: Mapping[str, type[B]], attributes: Mapping[str, str]) -> type[B]:
    if _required(attributes, "ce_specversion") != "1.0":
        raise Invalid("bad_headers", f"ce_specversion is {attributes['ce_specversion']!r}; this reader knows 1.0")
    name = _required(attributes, "ce_type")
    if name not in types:
        raise _misplaced(name, f"this topic takes {', '.join(sorted(types))}")
    return types[name]


def _misplaced(name: str, taken: str) -> Invalid:
    """What is wrong with a type that its topic does not take."""
    if homes := [topic.name for topic in TOPICS.values() if name in topic.types]:
        return Invalid("wrong_topic", f"ce_type is {name!r}, which is taken on {', '.join(homes)} alone; {taken}")
    return Invalid("unknown_type", f"ce_type is {name!r}; {taken}")


def _required(attributes: Mapping[str, str], name: str) -> str:
    if not attributes.get(name):
        raise Invalid("missing_attribute", f"the record has no {name}")
    return attributes[name]


def _time(attributes: Mapping[str, str], name: str) -> datetime:
    text = _required(attributes, name)
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Invalid("bad_headers", f"{name} is {text!r}; it must be an RFC 3339 time") from None


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _body(model: type[B], value: bytes) -> B:
    try:
        return model.model_validate_json(value, strict=True)
    except ValidationError as error:
        raise _invalid_body(error, value) from None


def _body_of(model: type[B], body: Any) -> B:
    try:
        return model.model_validate_json(json.dumps(body), strict=True)
    except ValidationError as error:
        raise _invalid_body(error, b"{}") from None
    except RecursionError:
        raise Invalid("bad_json", "the event's data is nested too deeply") from None


def _invalid_body(error: ValidationError, value: bytes) -> Invalid:
    details = error.errors(include_input=False, include_url=False, include_context=False)
    if details[0]["type"] == "json_invalid":
        try:
            value.decode()
        except UnicodeDecodeError as broken:
            return Invalid("bad_encoding", f"the value is not UTF-8: {broken.reason} at byte {broken.start}")
        return Invalid("bad_json", f"the value is not JSON: {details[0]['msg']}")
    shown = "; ".join(f"{'.'.join(map(str, d['loc'])) or 'body'}: {d['msg']}" for d in details[:_ERRORS_SHOWN_MAX])
    return Invalid("bad_body", f"the body does not fit its type: {shown}")


def _check_address(address: Address, event: Envelope[B]) -> None:
    if event.subject != address.conversation or not f"{event.source}/".startswith(f"{source_of(address.tenant)}/"):
        raise Invalid(
            "key_mismatch",
            f"the key names {address.tenant}:{address.conversation}, but ce_source is {event.source!r} and ce_subject "
            f"{event.subject!r}; they must be /tenants/{address.tenant} and {address.conversation}",
        )
