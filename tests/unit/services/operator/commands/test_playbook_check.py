"""`holdfast playbook check` as a user meets it."""

import json
from itertools import pairwise

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from services.operator.cli import app

GOOD = "agent: desk\nprofile: {name: Ada}\nguidelines:\n  - id: a\n    condition: It rains\n    action: Stay in\n"
WARNED = GOOD + "  - id: b\n    condition: It rains\n    action: Stay in\n"
REFUSED = GOOD + "relationships:\n  - {kind: priority, source: a, targets: [nobody]}\n"

# What SARIF 2.1.0 requires of a log, by its schema (OASIS, sarif-schema-2.1.0.json).
MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "level", "locations"],
    "properties": {
        "message": MESSAGE,
        "level": {"enum": ["none", "note", "warning", "error"]},
        "ruleIndex": {"type": "integer", "minimum": -1},
        "locations": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["physicalLocation"],
                "properties": {
                    "physicalLocation": {
                        "required": ["artifactLocation", "region"],
                        "properties": {
                            "artifactLocation": {"required": ["uri"]},
                            "region": {
                                "required": ["startLine", "startColumn"],
                                "properties": {
                                    "startLine": {"type": "integer", "minimum": 1},
                                    "startColumn": {"type": "integer", "minimum": 1},
                                },
                            },
                        },
                    }
                },
            },
        },
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
DRIVER = {
    "required": ["name"],
    "properties": {"rules": {"type": "array", "uniqueItems": True, "items": {"required": ["id"]}}},
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string"},
        "runs": {
            "type": "array",
            "items": {
                "required": ["tool", "results"],
                "properties": {
                    "tool": {"required": ["driver"], "properties": {"driver": DRIVER}},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
}


@pytest.fixture
def check(tmp_path):
    def run(text, *options):
        file = tmp_path / "desk.yaml"
        file.write_text(text)
        return CliRunner().invoke(app, ["playbook", "check", str(file), *options])

    return run


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        (GOOD, (), 0),
        (GOOD, ("--strict",), 0),
        (WARNED, (), 0),
        (WARNED, ("--strict",), 1),
        (REFUSED, (), 1),
        ("agent: [", (), 1),
    ],
)
def test_the_exit_status_follows_the_severity(check, text, options, status):
    assert check(text, *options).exit_code == status


def test_text_names_place_reason_remedy_and_code(check):
    told = check(WARNED).output
    assert "7:5 warning" in told
    assert "[duplicate]" in told
    assert "keep one of them" in told
    assert "is usable: agent desk, 2 guidelines" in told


def test_json_has_every_field_of_a_finding(check):
    (found,) = json.loads(check(REFUSED, "--format", "json").output)["findings"]
    assert found["code"] == "unknown_reference"
    assert (found["line"], found["severity"], found["by"]) == (8, "error", "rule")
    assert found["column"] > 1
    assert found["reason"]
    assert found["remedy"]


@pytest.mark.parametrize("text", [GOOD, WARNED, REFUSED, "agent: ["])
def test_sarif_has_the_structure_that_its_schema_requires(check, text):
    document = json.loads(check(text, "--format", "sarif").output)
    Draft202012Validator(SARIF).validate(document)
    run = document["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert bool(run["results"]) == (text != GOOD)


def test_several_files_are_checked_at_once_and_told_in_order(check, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(REFUSED)
    told = check(WARNED, str(other), "--format", "json")
    found = json.loads(told.output)["findings"]
    assert [one["code"] for one in found] == ["duplicate", "unknown_reference"]
    assert all(first["file"] != second["file"] for first, second in pairwise(found))
    assert told.exit_code == 1
