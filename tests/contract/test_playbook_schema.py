"""The JSON Schema that editors load: pinned, valid, and in agreement with the model."""

import json
from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from shared.playbook.schema import json_schema

GOLDEN = "tests/contract/golden/playbook.schema.json"


def test_the_published_schema_is_the_models(generated: Callable[[str, str], None]) -> None:
    """Files that were valid must stay valid: only add to it."""
    generated(GOLDEN, json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


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
