"""docs/events.md is enough for a client of another language, and says what the code does."""

import json
import re
from pathlib import Path

import pytest

from shared.events.asyncapi import RECEIVED, SENT
from shared.events.codec import ATTRIBUTE_CHARS_MAX
from shared.events.schema import writer_schema
from shared.events.topics import DAY_MS, TOPICS
from shared.events.turns import ClosedBy, Outcome

ROOT = Path(__file__).parents[2]
PAGE = "docs/events.md"
MARK = "<!-- generated: everything below follows from the code; `make generate` writes it -->\n"
ANY = "JsonValue"
PUBLIC = [name for topic in TOPICS.values() if topic.name in RECEIVED | SENT for name in topic.types]


@pytest.fixture(scope="module")
def page():
    return (ROOT / PAGE).read_text(encoding="utf-8")


def kind(schema):
    """A field's type in words, and the objects and enums that it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name == ANY:
            return "any JSON value"
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(kind(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    if schema.get("type") == "object":
        return f"object: name → {kind(schema['additionalProperties'])}"
    return {"date-time": "time"}.get(schema.get("format", ""), schema["type"])


def limits(schema):
    parts = [schema, *schema.get("anyOf", ())]
    told = {"minLength": "at least {} long", "maxLength": "at most {} long", "minimum": "from {}", "maximum": "to {}"}
    words = [text.format(part[name]) for part in parts for name, text in told.items() if name in part]
    return [*words, *(f"`{part['pattern']}`" for part in parts if "pattern" in part)]


def table(schema):
    yield "| Field | Type | | Meaning |"
    yield "|---|---|---|---|"
    for name, field in schema["properties"].items():
        need = "required" if name in schema.get("required", ()) else default(field)
        meaning = "; ".join([*filter(None, [field.get("description")]), *limits(field)])
        yield f"| `{name}` | {kind(field)} | {need} | {meaning.replace('|', chr(92) + '|')} |"


def default(field):
    held = field.get("default")
    return f"`{json.dumps(held)}`" if held or held is False else ""


def described(schema):
    return " ".join(schema.get("description", "").split())


def reference():
    """The generated part: every public type with its fields, then the objects and words that they are made of."""
    definitions = {}
    lines = [MARK.rstrip(), ""]
    for topic in TOPICS.values():
        for event_type in topic.types if topic.name in RECEIVED | SENT else ():
            schema = writer_schema(event_type)
            definitions |= {name: held for name, held in schema.get("$defs", {}).items() if name != ANY}
            text = described(schema).removeprefix(f"`{event_type}`").removeprefix(":").strip()
            lines += [
                f"## {event_type}",
                "",
                f"On `{topic.name}`. {text[:1].upper()}{text[1:]}",
                "",
                *table(schema),
                "",
            ]
    lines += ["## Objects and words", ""]
    for name, schema in sorted(definitions.items()):
        lines += [f"### {name}", "", described(schema), ""]
        if "properties" in schema:
            lines += [*table(schema), ""]
        else:
            lines += [f"One of {', '.join(f'`{word}`' for word in schema['enum'])}.", ""]
    return "\n".join(lines)


def test_fields_are_as_the_models_say(generated, page):
    prose, mark, _ = page.partition(MARK)

    assert mark
    generated(PAGE, prose + reference())


def test_every_public_topic_is_listed_with_how_long_it_is_kept(page):
    for name in RECEIVED | SENT:
        topic = TOPICS[name]
        kept = "the newest" if topic.cleanup == "compact" else f"{topic.retention_ms // DAY_MS} days"
        assert re.search(rf"^\| `{re.escape(name)}` \|.*\| {kept} \|$", page, re.MULTILINE), name


def test_the_other_topics_are_named_as_internal(page):
    for name in TOPICS.keys() - RECEIVED - SENT:
        assert f"`{name}`" in page


def test_every_outcome_and_reason_is_told(page):
    for outcome in set(Outcome) - {Outcome.OTHER}:
        assert f"\n| `{outcome}` |" in page
    for reason in ClosedBy:
        assert f"`{reason}`" in page


def test_every_public_type_has_its_fields(page):
    assert PUBLIC
    for name in PUBLIC:
        assert f"\n## {name}\n" in page


def test_every_refusal_of_the_codec_is_told(page):
    """The reasons are read from the sources, so that none is forgotten."""
    folders = ("shared/events", "services/conversations")
    sources = "".join(file.read_text() for folder in folders for file in (ROOT / folder).rglob("*.py"))
    reasons = set(re.findall(r'Invalid\(\s*"([a-z_]+)"', sources)) - {"journeys_too_large"}

    assert len(reasons) > 10
    assert sorted(reason for reason in reasons if f"`{reason}`" not in page) == []


def test_the_limit_on_attributes_is_the_codecs(page):
    assert f"at most {ATTRIBUTE_CHARS_MAX}\ncharacters" in page
