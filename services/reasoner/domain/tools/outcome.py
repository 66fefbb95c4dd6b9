"""
What the calls of a turn come to in its reply: facts that it may cite, guidelines for this turn only, questions for
what is missing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from pydantic import JsonValue

from services.reasoner.domain.tools.inference import asked_for
from shared.events.tools import ParameterProblem, ToolResult, ToolStatus
from shared.events.turns import FactRecord, Instruction, Matching
from shared.playbook.tools import Parameter, Tool

FACTS_MAX: Final = 40
FACT_CHARS_MAX: Final = 2_000
SOURCE: Final = "tool:"
"""Of facts that a call brought; with no other source may a reply say that something was done."""
UNDONE_SOURCE: Final = "call:"
_SENTENCE_END: Final = re.compile(r"[.;!?]+\s+")
_UNDONE: Final[Mapping[ToolStatus, str]] = {
    ToolStatus.FAILED: "was tried and did not work; nothing was changed",
    ToolStatus.UNKNOWN: "was tried, and it cannot be told whether it was done; a colleague has to look",
    ToolStatus.REFUSED: "was not done: a colleague did not allow it",
    ToolStatus.EXPIRED: "was not done: nobody allowed it in time",
    ToolStatus.OTHER: "was not done",
}


def facts_of(results: Sequence[ToolResult], tools: Mapping[str, Tool]) -> tuple[FactRecord, ...]:
    """What *results* let a reply assert: the parts of their data one by one, so that a claim cites the one it means."""
    # An answer may have thousands of parts.
    return tuple(islice(_facts(results, tools), FACTS_MAX))


def _facts(results: Sequence[ToolResult], tools: Mapping[str, Tool]) -> Iterator[FactRecord]:
    for number, result in enumerate(results, start=1):
        tool = result.call.tool
        done = result.status is ToolStatus.DONE
        for place, text in enumerate(_texts(result, tools.get(tool)), start=1):
            source = f"{SOURCE if done else UNDONE_SOURCE}{tool}"
            yield FactRecord(id=f"tool.{tool}.{number}.{place}", text=text[:FACT_CHARS_MAX], source=source)


def instructions_of(
    results: Sequence[ToolResult], problems: Sequence[ParameterProblem], tools: Mapping[str, Tool]
) -> tuple[Instruction, ...]:
    """The guidelines of this turn that *results* bring along, and the questions that *problems* raise."""
    brought = [
        Instruction(
            id=f"tool.{result.call.tool}.{number}-{place}",
            condition=guideline.condition or f"The tool {result.call.tool} was used",
            action=guideline.action,
        )
        for number, result in enumerate(results, start=1)
        if result.status is ToolStatus.DONE
        for place, guideline in enumerate(result.guidelines, start=1)
    ]
    return (*brought, *_questions(problems, tools))


def drafted_by(matching: Matching, instructions: Sequence[Instruction], results: Sequence[ToolResult]) -> Matching:
    """
    What the draft goes by: *matching* with *instructions* before the rest, and without the steps whose tool has not
    been used, which no reply can perform.
    """
    ran = {result.call.tool for result in results}
    waiting = {step.id for step in matching.instructions if step.tool and step.tool not in ran}
    if not instructions and not waiting:
        return matching
    named = tuple(instruction.id for instruction in instructions)
    return matching.model_copy(
        update={
            "active": (*named, *(name for name in matching.active if name not in waiting)),
            "instructions": (*instructions, *(step for step in matching.instructions if step.id not in waiting)),
        }
    )


def _questions(problems: Sequence[ParameterProblem], tools: Mapping[str, Tool]) -> Iterator[Instruction]:
    lacking: dict[str, list[str]] = {}
    for problem in asked_for(problems, tools):
        parameters = {parameter.name: parameter for parameter in tools[problem.tool].parameters}
        lacking.setdefault(problem.tool, []).append(_lack(parameters[problem.parameter], problem))
    for tool, lacks in lacking.items():
        asked = [lack for lack in lacks if lack]
        action = f"Ask the customer for {'; and for '.join(asked)}" if asked else "Say that it cannot be done right now"
        yield Instruction(
            id=f"tool.{tool}.missing",
            condition=f"This cannot be done yet: {tools[tool].description.strip().rstrip('.')}",
            action=action,
        )


def _lack(parameter: Parameter, problem: ParameterProblem) -> str:
    """What to ask for; empty for what is never asked of the customer."""
    if parameter.hidden:
        return ""
    words = parameter.description.strip().rstrip(".") or parameter.name.replace("_", " ")
    if parameter.choices:
        words += f" (one of: {', '.join(parameter.choices)})"
    elif parameter.examples:
        words += f" (for example {parameter.examples[0]})"
    if parameter.significance:
        words += f", which is needed {parameter.significance.strip().rstrip('.')}"
    return f"{words}; what was given does not fit" if problem.problem == "invalid" else words


def _texts(result: ToolResult, tool: Tool | None) -> Iterator[str]:
    name = result.call.tool.replace("_", " ").replace("-", " ")
    what = tool.description.strip().rstrip(".") if tool else name
    if result.status is not ToolStatus.DONE:
        yield f"{what}: {_UNDONE.get(result.status, _UNDONE[ToolStatus.OTHER])}."
        # Whole sentences of a fact may be repeated unchecked, so none of what is said of a failure stands alone.
        yield from (f"{name} was not done, and said: {_SENTENCE_END.sub(', ', text)}" for text in _said(result, name))
        return
    yield from _said(result, name) or [f"{what}: done."]


def _said(result: ToolResult, name: str) -> list[str]:
    if isinstance(result.data, dict):
        return [f"{name}, {key}: {_shown(value)}" for key, value in islice(result.data.items(), FACTS_MAX)]
    if isinstance(result.data, list):
        return [_shown(value) for value in result.data[:FACTS_MAX]]
    return [] if result.data is None or result.data == "" else [_shown(result.data)]


def _shown(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
