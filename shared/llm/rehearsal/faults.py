"""
The ways in which a model goes wrong, drawn from a seed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal

from shared.llm.rehearsal.conform import resolve

OVERSIZED_CHARACTERS = 1_048_576
WRONG_WORD = "something-else"

HttpFault = Literal[429, 500]
HTTP_FAULTS: Final[tuple[HttpFault, ...]] = (429, 500)


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What is sent back: a text, and how OpenAI would say that it ended; `refusal` instead of a text.

    `boundless` marks the fault of a server that ignores the output limit it was given.
    """

    text: str
    finish: Literal["stop", "length"] = "stop"
    refusal: str | None = None
    boundless: bool = False


Malformation = Callable[[dict[str, Any], Mapping[str, Any]], Reply]
"""From an answer and its schema, what goes wrong with it."""


def truncated(answer: dict[str, Any], _: Mapping[str, Any]) -> Reply:
    """The first half of the answer, as when the output limit is met."""
    text = dump(answer)
    return Reply(text[: len(text) // 2], finish="length")


def in_prose(answer: dict[str, Any], _: Mapping[str, Any]) -> Reply:
    """The answer fenced within prose, as chat models like it."""
    return Reply(f"Sure, here is the answer:\n```json\n{dump(answer)}\n```\nLet me know if you need anything else.")


def wrong_in_enum(answer: dict[str, Any], schema: Mapping[str, Any]) -> Reply:
    """
    The answer with a value that its enum does not have, or, without an enum, with a key that the schema does not have.
    """
    wrong = _spoil(answer, schema, schema.get("$defs", {}))
    return Reply(dump({**answer, WRONG_WORD: True} if wrong == answer else wrong))


def empty(_: dict[str, Any], __: Mapping[str, Any]) -> Reply:
    """No text."""
    return Reply("")


def refused(_: dict[str, Any], __: Mapping[str, Any]) -> Reply:
    """A refusal, as OpenAI reports one."""
    return Reply("", refusal="I cannot help with that.")


def oversized(answer: dict[str, Any], _: Mapping[str, Any]) -> Reply:
    """A megabyte of blanks before the answer: valid JSON, too long."""
    return Reply(" " * OVERSIZED_CHARACTERS + dump(answer), boundless=True)


MALFORMATIONS: Final[tuple[Malformation, ...]] = (truncated, in_prose, wrong_in_enum, empty, refused, oversized)


def draw_http_fault(random: Random, rate: float) -> HttpFault | None:
    """The status of an error, in *rate* of all cases."""
    return random.choice(HTTP_FAULTS) if random.random() < rate else None


def draw_malformation(random: Random, rate: float) -> Malformation | None:
    """A way to spoil an answer, in *rate* of all cases."""
    return random.choice(MALFORMATIONS) if random.random() < rate else None


def dump(answer: Mapping[str, Any]) -> str:
    """*answer* as a model writes it."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _spoil(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """
    *value* with its first enumerated part replaced by a word that the enum does not have; unchanged if it has none.
    """
    schema = resolve(schema, definitions)
    if "enum" in schema:
        return WRONG_WORD
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value and (spoilt := _spoil(value[name], inner, definitions)) != value[name]:
                return {**value, name: spoilt}
    elif isinstance(value, list):
        for place, item in enumerate(value):
            if (spoilt := _spoil(item, schema.get("items", {}), definitions)) != item:
                return [*value[:place], spoilt, *value[place + 1 :]]
    return value
