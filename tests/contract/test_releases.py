"""
A rolling upgrade runs two releases side by side: each reads what the other writes.

`releases/X.Y` holds what release X.Y wrote: an example and the schema of every event type, and states as they stand in
the changelog. They are never changed; a release adds a folder of its own.
"""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from services.conversations.domain.state import (
    VERSION,
    ConversationState,
    OpenTurn,
    Performed,
    StateError,
    decode,
    encode,
)
from services.conversations.domain.transcript import Entry, transcript_of
from shared.events import codec
from shared.events.examples import example
from shared.events.schema import event_types

RELEASES = Path(__file__).parent / "releases"
FOLDERS = sorted(folder for folder in RELEASES.iterdir() if folder.is_dir())
EVENTS = [
    pytest.param(folder, path.name.removesuffix(".example.json"), id=f"{folder.name}-{path.name}")
    for folder in FOLDERS
    for path in sorted((folder / "events").glob("*.example.json"))
]
STATES = [
    pytest.param(path, id=f"{folder.name}-{path.stem}")
    for folder in FOLDERS
    for path in sorted((folder / "states").glob("*.state"))
]


def read(folder, name):
    return json.loads((folder / "events" / name).read_text(encoding="utf-8"))


def decoded(record, body):
    headers = [(name, text.encode()) for name, text in record["headers"].items()]
    return codec.decode(event_types(), record["key"].encode(), headers, json.dumps(body).encode())


def grown(part, schema, root):
    """*part* as a later release might write it: every object has a field that nobody here has heard of."""
    if "$ref" in schema:
        return grown(part, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    for choice in schema.get("anyOf", ()):
        if part is not None and choice.get("type") != "null":
            return grown(part, choice, root)
    if isinstance(part, dict) and "properties" in schema:
        known = {name: grown(value, schema["properties"][name], root) for name, value in part.items()}
        return known | {"of_a_later_release": {"a": [1, None]}}
    if isinstance(part, list) and "items" in schema:
        return [grown(one, schema["items"], root) for one in part]
    return copy.deepcopy(part)


def as_known(part, schema, root):
    """*part* as a lenient reader of *schema* sees it: without the fields that the schema does not name."""
    if "$ref" in schema:
        return as_known(part, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    for choice in schema.get("anyOf", ()):
        if part is not None and choice.get("type") != "null":
            return as_known(part, choice, root)
    if isinstance(part, dict) and "properties" in schema:
        return {
            name: as_known(value, schema["properties"][name], root)
            for name, value in part.items()
            if name in schema["properties"]
        }
    if isinstance(part, dict) and isinstance(schema.get("additionalProperties"), dict):
        return {name: as_known(value, schema["additionalProperties"], root) for name, value in part.items()}
    if isinstance(part, list) and "items" in schema:
        return [as_known(one, schema["items"], root) for one in part]
    return part


def test_every_type_of_a_release_is_kept():
    for folder in FOLDERS:
        names = {path.name.split(".example")[0] for path in (folder / "events").glob("*.example.json")}
        assert names, folder
        assert names <= event_types().keys()


@pytest.mark.parametrize(("folder", "event_type"), EVENTS)
def test_what_a_former_release_wrote_is_read_as_it_was_meant(folder, event_type):
    record = read(folder, f"{event_type}.example.json")

    event = decoded(record, record["value"])

    written = json.loads(event.data.model_dump_json(exclude_defaults=True))
    schema = read(folder, f"{event_type}.schema.json")
    assert event.type == event_type
    assert as_known(written, schema, schema) == record["value"]


@pytest.mark.parametrize(("folder", "event_type"), EVENTS)
def test_a_former_release_finds_what_it_needs_in_what_this_one_writes(folder, event_type):
    schema = read(folder, f"{event_type}.schema.json")
    _, value = codec.encode(example(event_type))

    seen = as_known(json.loads(value), schema, schema)

    jsonschema.validate(seen, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("folder", "event_type"), EVENTS)
def test_fields_of_a_later_release_are_passed_over_at_every_depth(folder, event_type):
    record = read(folder, f"{event_type}.example.json")
    schema = read(folder, f"{event_type}.schema.json")

    event = decoded(record, grown(record["value"], schema, schema))

    assert event == decoded(record, record["value"])


@pytest.mark.parametrize("path", STATES)
def test_a_state_of_a_former_release_is_read_and_written_on_without_loss(path):
    state = decode(path.read_bytes())

    assert decode(encode(state)) == state


def test_the_states_of_0_1_mean_what_they_meant():
    states = {path.stem: decode(path.read_bytes()) for path in (RELEASES / "0.1" / "states").glob("*.state")}

    assert states["empty"] == ConversationState()
    assert (states["erased"].epoch, states["erased"].erased_at_ms) == (3, 1_777_887_000_000)
    assert (states["waiting"].waiting, states["waiting"].due_ms) == (("m-1",), 9)
    full = states["open"]
    assert isinstance(full.open, OpenTurn)
    assert (full.open.id, full.open.arm, full.open.covers) == ("t-2", "arq", ("m-2",))
    assert full.applied == {"offer-transfer": Performed(1, 1)}
    assert full.journeys == {"open-account": ("start", "ask-name")}
    assert full.variables == {"account_kind": "student"}
    assert full.transcript == transcript_of(
        (Entry(6, 9, full.transcript.entries[0].utterance), Entry(7, 5, full.transcript.entries[1].utterance)), 3
    )


@pytest.mark.parametrize("path", STATES)
def test_a_state_with_fields_of_a_later_release_is_read_without_them(path):
    first, *messages = path.read_bytes().split(b"\n")
    head = json.loads(first) | {"of_a_later_release": {"a": 1}}
    if "open" in head:
        head["open"] = head["open"] | {"of_a_later_release": 1}

    assert decode(b"\n".join((json.dumps(head).encode(), *messages))) == decode(path.read_bytes())


def test_a_format_that_this_release_cannot_read_is_refused_and_says_so():
    with pytest.raises(StateError, match=f"reads up to {VERSION}"):
        decode(json.dumps({"v": VERSION + 1}).encode())
