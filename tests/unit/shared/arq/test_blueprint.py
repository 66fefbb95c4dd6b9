"""What every provider enforces, and what is refused because one of them would not."""

from datetime import date
from typing import Any, Literal, Optional, Union

import jsonschema
import pytest
from pydantic import Field

from shared.arq.blueprint import Blueprint, Queries, portable


class Check(Queries):
    """A guideline, judged."""

    condition: str
    evidence: str
    verdict: Literal["applies", "not_now"]


class Answer(Queries):
    """All of them."""

    checks: tuple[Check, ...]
    only: Literal["one"]
    total: int = Field(ge=0, le=10, description="how many")


class Node(Queries):
    children: tuple["Node", ...]


class Ping(Queries):
    pong: "Pong"


class Pong(Queries):
    ping: tuple[Ping, ...]


def schema_of(kind):
    return type("Built", (Queries,), {"__annotations__": {"field": kind}}).model_json_schema()


def test_a_schema_is_closed_ordered_and_wholly_required():
    schema = Blueprint("match_v1", Answer).schema()

    assert list(schema["properties"]) == schema["required"] == ["checks", "only", "total"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Check"]["required"] == ["condition", "evidence", "verdict"]
    assert schema["$defs"]["Check"]["additionalProperties"] is False
    jsonschema.Draft202012Validator.check_schema(schema)


def test_titles_bounds_and_constants_are_put_in_portable_words():
    schema = Blueprint("match_v1", Answer).schema()

    assert schema["properties"]["total"] == {"type": "integer", "description": "how many"}
    assert schema["properties"]["only"] == {"type": "string", "enum": ["one"]}
    assert "title" not in str(schema)


def test_what_is_portable_stays_as_it_is():
    schema = Blueprint("match_v1", Answer).schema()

    assert portable(schema) == schema


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Optional[str], "unions"),  # noqa: UP045 - as a newcomer writes it
        (Union[int, str], "unions"),  # noqa: UP007 - as above
        (dict[str, str], "without named properties"),
        (dict[str, Any], "without named properties"),
        (Any, "any type"),
        (list, "any type"),
        (tuple[str, int], "any type"),
        (tuple[Any, ...], "any type"),
    ],
)
def test_what_some_provider_does_not_enforce_is_refused(kind, complaint):
    with pytest.raises(ValueError, match=complaint):
        portable(schema_of(kind))


@pytest.mark.parametrize("kind", [Node, Ping])
def test_recursion_is_refused_with_its_way(kind):
    with pytest.raises(ValueError, match=r"recursion .* → "):
        portable(kind.model_json_schema())


def test_a_part_may_be_used_twice():
    class Twice(Queries):
        first: Check
        second: tuple[Check, ...]

    assert list(portable(Twice.model_json_schema())["properties"]) == ["first", "second"]


def test_formats_are_left_to_the_reader():
    assert portable(schema_of(date))["properties"]["field"] == {"type": "string"}


def test_an_answer_with_more_or_less_than_asked_is_refused():
    whole = {"checks": [], "only": "one", "total": 0}

    assert Answer.model_validate(whole).total == 0
    for broken in (whole | {"more": 1}, {"checks": [], "only": "one"}):
        with pytest.raises(ValueError, match=r"more|total"):
            Answer.model_validate(broken)
