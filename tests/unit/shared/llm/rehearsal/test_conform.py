"""
The least answer satisfies any schema of the portable profile.
"""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.llm.rehearsal.conform import least_answer

LEAVES = st.one_of(
    st.sampled_from([{"type": kind} for kind in ("string", "integer", "number", "boolean")]),
    st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True).map(
        lambda words: {"type": "string", "enum": words}
    ),
)


def objects(inner):
    return st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=4).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


SCHEMAS = objects(
    st.recursive(
        LEAVES, lambda inner: objects(inner) | inner.map(lambda item: {"type": "array", "items": item}), max_leaves=12
    )
)


@given(SCHEMAS)
def test_the_least_answer_satisfies_its_schema(schema):
    jsonschema.validate(least_answer(schema), schema)


def test_definitions_are_followed():
    schema = {
        "type": "object",
        "properties": {"one": {"$ref": "#/$defs/Inner"}},
        "$defs": {"Inner": {"type": "string", "enum": ["first", "second"]}},
    }
    assert least_answer(schema) == {"one": "first"}


def test_a_recursive_schema_is_refused():
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}}
    with pytest.raises(ValueError, match="deeper"):
        least_answer(schema)


def test_a_type_outside_the_profile_is_refused():
    with pytest.raises(ValueError, match="outside the portable profile"):
        least_answer({"type": ["string", "null"]})
