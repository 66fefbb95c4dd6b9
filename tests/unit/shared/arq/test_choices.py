"""A question's choices restrict the schema, wherever the property stands."""

import jsonschema
import pytest

from shared.arq.blueprint import Blueprint, Queries


class Part(Queries):
    """An answer within an answer."""

    fact_ids: tuple[str, ...]
    text: str


class Whole(Queries):
    """An answer."""

    facts_needed: tuple[str, ...]
    parts: tuple[Part, ...]


CHOICES = (("fact_ids", ("F1", "F2")), ("facts_needed", ("F1",)))


def test_lists_of_strings_are_restricted_wherever_they_stand():
    schema = Blueprint("whole_v1", Whole, CHOICES).schema()
    jsonschema.validate({"facts_needed": ["F1"], "parts": [{"fact_ids": ["F2"], "text": "any"}]}, schema)
    with pytest.raises(jsonschema.ValidationError, match="F3"):
        jsonschema.validate({"facts_needed": [], "parts": [{"fact_ids": ["F3"], "text": ""}]}, schema)
    with pytest.raises(jsonschema.ValidationError, match="F2"):
        jsonschema.validate({"facts_needed": ["F2"], "parts": []}, schema)


def test_no_values_leave_the_schema_open_and_nothing_is_shared_between_blueprints():
    Blueprint("whole_v1", Whole, CHOICES).schema()
    assert "enum" not in str(Blueprint("whole_v1", Whole, (("fact_ids", ()),)).schema())
