"""
What is asked about the candidate tools of a turn: one question for all of them, with the arguments typed.

Each tool has its own part: why it is needed now or not, the decision, then the calls, whose every argument says where
its value stands before it says the value (after the tool inference of Parlant 3, which asks the same of one tool a
call). Tools that do alike are compared before they are decided on. The properties are the tools' and parameters' own
names, which hold no dot: the question's own properties do.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema, create_model

from shared.arq.blueprint import Blueprint, Queries
from shared.playbook.tools import Parameter, ParameterType, Tool

NAME: Final = "call_tools_v1"
NEED: Final = "customer.needs"
BEST: Final = "best."
CALL, NOT_NOW, ALREADY_DONE = "call", "not_now", "already_done"
GIVEN, MISSING, INVALID = "given", "missing", "invalid"
CHOICES_LISTED_MAX: Final = 50
"""The portable profile's bound on an enum; of longer lists code alone says what fits."""

QUESTIONS_KEPT_MAX: Final = 256

Decision = Literal["call", "not_now", "already_done"]
Status = Literal["given", "missing", "invalid"]
_TYPES: Final[Mapping[ParameterType, type]] = {
    ParameterType.INTEGER: int,
    ParameterType.NUMBER: float,
    ParameterType.BOOLEAN: bool,
}


def tools_question(tools: Sequence[Tool]) -> Blueprint[Queries]:
    """
    The question about *tools*, whose ids differ; the same object for tools that take the same, in whatever version of
    whatever playbook: to put one together and to write its schema takes 20-30 ms.
    """
    asked_alike = {"description": "", "http": None, "mcp": None}
    return _question(tuple(tool.model_copy(update=asked_alike) for tool in tools))


@lru_cache(maxsize=QUESTIONS_KEPT_MAX)
def _question(tools: tuple[Tool, ...]) -> Blueprint[Queries]:
    fields: dict[str, Any] = {"needs": (str, Field(alias=NEED))}
    for place, name in enumerate(overlaps(tools)):
        alike = [tool.id for tool in tools if tool.overlap == name]
        fields[f"best_{place}"] = (_comparison(place, alike), Field(alias=f"{BEST}{name}"))
    for place, tool in enumerate(tools):
        fields[f"tool_{place}"] = (_tool(place, tool), Field(alias=tool.id))
    return Blueprint(NAME, create_model("CallToolsAnswer", __base__=Queries, **fields))


def overlaps(tools: Sequence[Tool]) -> list[str]:
    """The names of groups of which *tools* hold several."""
    named = [tool.overlap for tool in tools if tool.overlap is not None]
    return sorted(name for name in set(named) if named.count(name) > 1)


def _comparison(place: int, alike: Sequence[str]) -> type[Queries]:
    one = Annotated[str, WithJsonSchema({"type": "string", "enum": list(alike)})]
    fields: dict[str, Any] = {"comparison": (str, ...), "decision": (tuple[one, ...], ...)}
    return create_model(f"Comparison{place}", __base__=Queries, **fields)


def _tool(place: int, tool: Tool) -> type[Queries]:
    fields: dict[str, Any] = {"rationale": (str, ...), "decision": (Decision, ...)}
    if tool.parameters:
        fields["calls"] = (tuple[_call(place, tool.parameters), ...], ...)  # type: ignore[misc] # made at run time
    return create_model(f"Tool{place}", __base__=Queries, **fields)


def _call(place: int, parameters: Sequence[Parameter]) -> type[Queries]:
    fields: dict[str, Any] = {
        f"argument_{number}": (_argument(place, number, parameter), Field(alias=parameter.name))
        for number, parameter in enumerate(parameters)
    }
    return create_model(f"Call{place}", __base__=Queries, **fields)


def _argument(place: int, number: int, parameter: Parameter) -> type[Queries]:
    value: Any = _TYPES.get(parameter.type, str)
    if value is str and 0 < len(parameter.choices) <= CHOICES_LISTED_MAX:
        value = Annotated[str, WithJsonSchema({"type": "string", "enum": list(parameter.choices)})]
    fields: dict[str, Any] = {"evidence": (str, ...), "value": (value, ...), "status": (Status, ...)}
    return create_model(f"Argument{place}x{number}", __base__=Queries, **fields)
