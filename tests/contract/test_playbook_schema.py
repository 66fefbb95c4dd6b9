"""The JSON Schema that editors load: pinned, valid, and in agreement with the model."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from shared.playbook.schema import json_schema

GOLDEN = Path(__file__).parent / "golden" / "playbook.schema.json"


def test_the_published_schema_is_the_models() -> None:
    """Changed on purpose? `holdfast playbook schema` writes the new one; older files must stay valid under it."""
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == json_schema()


def test_the_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({"agent": "desk", "profile": {"name": "Ada"}}, True),
        ({"agent": "desk", "profile": {"name": "Ada"}, "guidline": []}, False),
        ({"agent": "Desk!", "profile": {"name": "Ada"}}, False),
        ({"agent": "desk"}, False),
    ],
)
def test_editors_see_the_mistakes_that_loading_sees(document: dict[str, object], valid: bool) -> None:
    assert Draft202012Validator(json_schema()).is_valid(document) is valid
