"""The event contract only grows: what was ever published stays readable, and readers of older releases read what is."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from shared.events.codec import decode, encode
from shared.events.envelope import Address
from shared.events.examples import example
from shared.events.schema import MAJOR_VERSION, event_types, writer_schema

FOLDER = f"tests/contract/golden/events/v{MAJOR_VERSION}"
ROOT = Path(__file__).parents[2]
EVENT_TYPES = sorted(event_types())
OPEN = "other"
IGNORED = {"description", "$id", "$schema"}
CONTAINERS = {"properties", "required", "$defs"}


def complaints(old, new, at="body"):
    """
    Why records and readers of *old* and *new* would not understand each other; nothing where *new* only adds.

    A field may be added if it is optional. A default may not change: writers leave out what equals it. An enum may grow
    if its readers know `other`. Nothing else may differ.
    """
    return list(_object_complaints(_resolved(old, old), _resolved(new, new), at))


def _resolved(schema, root):
    if isinstance(schema, list):
        return [_resolved(part, root) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return _resolved({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, root)
    return {name: _resolved(part, root) for name, part in schema.items() if name != "$defs"}


def _object_complaints(old, new, at):
    for name in sorted((old.keys() | new.keys()) - IGNORED - CONTAINERS):
        if name == "enum":
            yield from _enum_complaints(old, new, at)
        elif isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
            yield from _object_complaints(old[name], new[name], f"{at}[{name}]")
        elif name == "anyOf" and len(old.get(name, ())) == len(new.get(name, ())):
            for place, (before, after) in enumerate(zip(old[name], new[name], strict=True)):
                yield from _object_complaints(before, after, f"{at}[{name}][{place}]")
        elif _comparable(old.get(name)) != _comparable(new.get(name)):
            yield f"{at}: {name} was {old.get(name)}, is {new.get(name)}"
    yield from _property_complaints(old, new, at)


def _enum_complaints(old, new, at):
    before, after = set(old.get("enum", ())), set(new.get("enum", ()))
    if before - after:
        yield f"{at}: the words {sorted(before - after)} are gone"
    if after - before and OPEN not in before:
        yield f"{at}: the words {sorted(after - before)} are new, and older readers have no `{OPEN}` for them"


def _property_complaints(old, new, at):
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() - after.keys()):
        yield f"{at}.{name}: is gone"
    if set(old.get("required", ())) != set(new.get("required", ())):
        yield f"{at}: required was {sorted(old.get('required', ()))}, is {sorted(new.get('required', ()))}"
    for name in sorted(before.keys() & after.keys()):
        yield from _object_complaints(before[name], after[name], f"{at}.{name}")


def _comparable(part):
    if isinstance(part, dict):
        return {name: _comparable(inner) for name, inner in part.items() if name not in IGNORED}
    return [_comparable(inner) for inner in part] if isinstance(part, list) else part


def golden(name):
    return json.loads((ROOT / FOLDER / name).read_text(encoding="utf-8"))


def as_text(document):
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_schema_only_grows(event_type, generated):
    schema = writer_schema(event_type)
    path = f"{event_type}.schema.json"

    if (ROOT / FOLDER / path).exists():
        assert complaints(golden(path), schema) == [], f"this needs a new type beside {event_type}"
    generated(f"{FOLDER}/{path}", as_text(schema))


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_example_is_written_as_it_always_was_and_fits_its_schema(event_type, generated):
    event = example(event_type)
    headers, value = encode(event)
    body = json.loads(value)

    jsonschema.validate(body, writer_schema(event_type), cls=jsonschema.Draft202012Validator)
    generated(
        f"{FOLDER}/{event_type}.example.json",
        as_text({"key": "acme:chat-2041", "headers": {n: v.decode() for n, v in sorted(headers)}, "value": body}),
    )


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_published_record_is_read_as_it_was_meant(event_type):
    record = golden(f"{event_type}.example.json")

    event = decode(
        event_types(),
        record["key"].encode(),
        [(name, text.encode()) for name, text in record["headers"].items()],
        json.dumps(record["value"]).encode(),
    )

    assert event == example(event_type)
    assert Address("acme", "chat-2041").key == record["key"].encode()


def test_every_golden_file_belongs_to_a_type():
    """A type is never taken away: its golden files would stay behind here."""
    names = {path.name for path in (ROOT / FOLDER).iterdir()}

    assert names == {f"{name}.{kind}.json" for name in EVENT_TYPES for kind in ("schema", "example")}


BASE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5, "default": ""},
        "mode": {"$ref": "#/$defs/Mode"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
        "last": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}], "default": None},
    },
    "required": ["mode"],
    "$defs": {
        "Mode": {"enum": ["a", "other"]},
        "Part": {"type": "object", "properties": {"kind": {"enum": ["x"]}}, "required": ["kind"]},
    },
}


def changed(edit):
    schema = copy.deepcopy(BASE)
    edit(schema)
    return complaints(BASE, schema)


@pytest.mark.parametrize(
    "edit",
    [
        lambda s: s.update(description="told better"),
        lambda s: s["properties"].update(new={"type": "integer", "default": 0}),
        lambda s: s["$defs"]["Mode"]["enum"].append("b"),
        lambda s: s["$defs"]["Part"]["properties"].update(new={"type": "string"}),
        lambda s: s["properties"]["name"].update(description="told better"),
    ],
)
def test_growth_is_allowed(edit):
    assert changed(edit) == []


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda s: s["properties"].pop("name"), "body.name: is gone"),
        (lambda s: s["required"].append("name"), "required was"),
        (lambda s: s["required"].clear(), "required was"),
        (lambda s: s["properties"]["name"].update(type="integer"), "body.name: type"),
        (lambda s: s["properties"]["name"].update(maxLength=9), "body.name: maxLength"),
        (lambda s: s["properties"]["name"].pop("maxLength"), "body.name: maxLength"),
        (lambda s: s["properties"]["name"].update(default="x"), "body.name: default"),
        (lambda s: s["$defs"]["Mode"]["enum"].remove("a"), "['a'] are gone"),
        (lambda s: s["$defs"]["Part"]["properties"]["kind"]["enum"].append("y"), "['y'] are new"),
        (lambda s: s["$defs"]["Part"]["properties"].pop("kind"), "body.parts[items].kind: is gone"),
        (lambda s: s["$defs"]["Part"]["properties"].pop("kind"), "body.last[anyOf][0].kind: is gone"),
        (lambda s: s["properties"]["last"]["anyOf"].pop(), "body.last: anyOf"),
    ],
)
def test_whatever_one_side_could_not_read_is_refused(edit, complaint):
    assert complaint in "; ".join(changed(edit))
