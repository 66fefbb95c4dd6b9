"""
Each malformation is what its name says, and none of them passes as an answer.
"""

import json
from random import Random

import jsonschema
import pytest

from shared.llm.rehearsal.faults import (
    HTTP_FAULTS,
    MALFORMATIONS,
    OVERSIZED_CHARACTERS,
    draw_http_fault,
    draw_malformation,
    empty,
    in_prose,
    oversized,
    refused,
    truncated,
    wrong_in_enum,
)

ANSWER = {"notes": "n", "items": [{"verdict": "yes"}, {"verdict": "no"}]}
ITEM = {"type": "object", "properties": {"verdict": {"$ref": "#/$defs/Verdict"}}}
SCHEMA = {
    "type": "object",
    "properties": {"notes": {"type": "string"}, "items": {"type": "array", "items": ITEM}},
    "additionalProperties": False,
    "$defs": {"Verdict": {"type": "string", "enum": ["yes", "no"]}},
}


def test_truncated_is_the_beginning_of_the_answer_cut_by_the_limit():
    reply = truncated(ANSWER, SCHEMA)
    assert reply.finish == "length"
    assert json.dumps(ANSWER, separators=(",", ":")).startswith(reply.text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.text)


def test_in_prose_has_text_around_its_fence():
    assert in_prose(ANSWER, SCHEMA).text.startswith("Sure")


def test_wrong_in_enum_breaks_the_schema_in_one_value():
    wrong = json.loads(wrong_in_enum(ANSWER, SCHEMA).text)
    assert wrong == {"notes": "n", "items": [{"verdict": "something-else"}, {"verdict": "no"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


@pytest.mark.parametrize("answer", [{"notes": "n"}, {"notes": "n", "items": []}])
def test_without_an_enumerated_value_an_extra_key_breaks_the_schema(answer):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(wrong_in_enum(answer, SCHEMA).text), SCHEMA)


def test_empty_refused_and_oversized():
    assert empty(ANSWER, SCHEMA).text == ""
    assert refused(ANSWER, SCHEMA).refusal
    assert len(oversized(ANSWER, SCHEMA).text) > OVERSIZED_CHARACTERS


def test_rates_of_none_and_all_are_exact():
    random = Random(1)
    assert not any(draw_malformation(random, 0.0) for _ in range(200))
    assert not any(draw_http_fault(random, 0.0) for _ in range(200))
    assert {draw_malformation(random, 1.0) for _ in range(200)} == set(MALFORMATIONS)
    assert {draw_http_fault(random, 1.0) for _ in range(200)} == set(HTTP_FAULTS)
