"""
The AsyncAPI document of the event contract, built from the models and the table of topics.

Source: AsyncAPI 3.0.0; Kafka bindings 0.5.0; CloudEvents 1.0.2, Kafka protocol binding, binary mode.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.events.codec import ATTRIBUTE_CHARS_MAX, encode
from shared.events.examples import example
from shared.events.schema import MAJOR_VERSION, writer_schema
from shared.events.topics import (
    CLAIMS_JUDGED,
    CONVERSATION_DECISIONS,
    CONVERSATION_EVENTS,
    CONVERSATION_RELEASES,
    CONVERSATION_RESPONSES,
    CONVERSATIONS_STATE,
    DEAD_LETTERS,
    PLAYBOOKS,
    TOPICS,
    TURNS_CLOSED,
    Topic,
)

ASYNCAPI_VERSION: Final = "3.0.0"
KAFKA_BINDING_VERSION: Final = "0.5.0"

RECEIVED: Final = frozenset({CONVERSATION_EVENTS, CONVERSATION_DECISIONS, PLAYBOOKS})
"""What others publish and Holdfast reads."""
SENT: Final = frozenset({CONVERSATION_RESPONSES, TURNS_CLOSED, CLAIMS_JUDGED, DEAD_LETTERS})
"""What Holdfast publishes for others."""

_SAID: Final[Mapping[str, str]] = {
    CONVERSATIONS_STATE: "The changelog of the conversations service; a tombstone deletes. Its form may change.",
    CONVERSATION_RELEASES: "Carries `conversation.released`, and behind it the records that a quarantine held, byte "
    "for byte with headers that say where they came from. A record whose header `x-holdfast-release-input` names a "
    "tenant's own topic ends the pause of that topic in its partition. Operators alone write it.",
    PLAYBOOKS: "The playbook of an agent, keyed `{tenant}:{agent}`; a tombstone withdraws it.",
    DEAD_LETTERS: "A record that could not be handled, byte for byte, with Kafka Connect's error headers.",
}
_KEY: Final = {
    "type": "string",
    "description": "`{tenant}:{conversation}`: the tenant is 1 to 63 of `a-z 0-9 _ -`, the conversation 1 to 128 "
    "characters without spaces or control characters.",
    "pattern": "^[a-z0-9][a-z0-9_-]{0,62}:[^\\x00-\\x20\\x7f]{1,128}$",
}


def document(version: str) -> dict[str, Any]:
    """The whole document; *version* is the release that it describes."""
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Holdfast",
            "version": version,
            "description": "Events of conversations in, verified replies out. Records are CloudEvents 1.0 in Kafka's "
            "binary mode: attributes are headers, the value is the body as JSON. Structured mode is read too.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": {"Attributes": _attributes()} | _schemas(),
            "correlationIds": {
                "turn": {"description": "The turn's id.", "location": "$message.header#/ce_correlationid"}
            },
        },
    }


def message_names(topic: Topic) -> tuple[str, ...]:
    """The messages on *topic*: its event types, or one for the raw records that it holds."""
    return tuple(topic.types) or (f"{topic.name}.record",)


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": _SAID.get(topic.name, f"Carries {', '.join(f'`{name}`' for name in topic.types)}."),
        "tags": [{"name": "public" if topic.name in RECEIVED | SENT else "internal"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in message_names(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {"cleanup.policy": [topic.cleanup]}
                | ({"retention.ms": topic.retention_ms} if topic.cleanup == "delete" else {}),
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
    }


def _operations() -> dict[str, Any]:
    return {
        f"{verb} {topic.name}": {
            "action": verb,
            "channel": {"$ref": f"#/channels/{topic.name}"},
            "messages": [{"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in message_names(topic)],
        }
        for topic in TOPICS.values()
        for verb in _verbs(topic.name)
    }


def _verbs(topic: str) -> tuple[str, ...]:
    if topic in RECEIVED:
        return ("receive",)
    return ("send",) if topic in SENT else ("send", "receive")


def _messages() -> dict[str, Any]:
    events = {name: _event_message(name) for topic in TOPICS.values() for name in topic.types}
    raw = {
        name: {
            "name": name,
            "summary": _SAID[topic.name],
            "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": KAFKA_BINDING_VERSION}},
        }
        for topic in TOPICS.values()
        if not topic.types
        for name in message_names(topic)
    }
    return events | raw


def _event_message(event_type: str) -> dict[str, Any]:
    headers, value = encode(example(event_type))
    return {
        "name": event_type,
        "title": event_type,
        "summary": _summary(event_type),
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/Attributes"},
                {"type": "object", "properties": {"ce_type": {"type": "string", "const": event_type}}},
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{event_type}"},
        "correlationId": {"$ref": "#/components/correlationIds/turn"},
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": KAFKA_BINDING_VERSION}},
        "examples": [
            {"headers": {name: (text or b"").decode() for name, text in sorted(headers)}, "payload": json.loads(value)}
        ],
    }


def _summary(event_type: str) -> str:
    described = str(writer_schema(event_type)["description"]).partition("\n\n")[0]
    return " ".join(described.split())


def _attributes() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": ATTRIBUTE_CHARS_MAX}
    moment = {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "description": "CloudEvents attributes as headers, UTF-8. Other headers are allowed and ignored.",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": text
            | {"description": "With `ce_source` the identity: a record that repeats it is the same event."},
            "ce_source": text | {"description": "`/tenants/{tenant}`, and below it whatever the writer chooses."},
            "ce_type": text,
            "ce_time": moment | {"description": "When it happened; RFC 3339, UTC where no zone is given."},
            "ce_subject": text | {"description": "The conversation, as in the key."},
            "ce_correlationid": text | {"description": "The turn that the event belongs to."},
            "ce_causationid": text | {"description": "The id of the event that caused this one."},
            "ce_expirytime": moment | {"description": "After which the event is no longer worth handling."},
            "content-type": {"type": "string", "description": "`application/json`."},
            "traceparent": {"type": "string", "description": "W3C trace context."},
        },
    }


def _schemas() -> dict[str, Any]:
    """
    The payloads. Each is closed and self-contained; `$defs` stay inside, so references are rewritten to where they
    lie now.
    """
    return {
        name: _relocated(
            {key: part for key, part in writer_schema(name).items() if key not in {"$schema", "$id"}},
            f"#/components/schemas/{name}/$defs/",
        )
        | {"x-version": MAJOR_VERSION}
        for topic in TOPICS.values()
        for name in topic.types
    }


def _relocated(schema: Any, base: str) -> Any:
    if isinstance(schema, list):
        return [_relocated(part, base) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: base + part.removeprefix("#/$defs/")
        if name == "$ref" and isinstance(part, str)
        else _relocated(part, base)
        for name, part in schema.items()
    }
