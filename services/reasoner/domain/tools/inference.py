"""
From a model's answer about the candidate tools to the calls that are made and the values that are missing.

A call is the same as another when its tool and arguments are: its id is derived from them and the turn, so whether it
was made already is compared, not asked.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.reasoner.domain.tools.arguments import Said, arguments
from services.reasoner.domain.tools.blueprints import BEST, CALL, overlaps
from services.reasoner.domain.tools.candidates import Candidate
from shared.events.conversation import Author
from shared.events.envelope import derived_id
from shared.events.tools import ParameterProblem, ToolCall, ToolResult
from shared.events.turns import TurnOpened
from shared.playbook.tools import Scalar, Tool


@dataclass(frozen=True, slots=True)
class Decided:
    """The calls to make, and what the other calls lack; of a tool that could be called with other arguments, both."""

    calls: tuple[ToolCall, ...] = ()
    problems: tuple[ParameterProblem, ...] = ()


def call_of(turn_id: str, tool: str, values: Mapping[str, Scalar]) -> ToolCall:
    """The call of *tool* with *values* in a turn."""
    exact = json.dumps(dict(values), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return ToolCall(id=derived_id("tool", turn_id, tool, exact), tool=tool, arguments=dict(values))


def known_in(opened: TurnOpened, results: Sequence[ToolResult]) -> Said:
    """What a value may be taken from: *results* are those of the turn so far."""
    return Said(
        customer=tuple(said.text for said in opened.transcript if said.author is Author.CUSTOMER),
        variables=tuple(opened.variables.values()),
        context=tuple(json.dumps(result.data, ensure_ascii=False) for result in results),
    )


def complaint(candidates: Sequence[Candidate], answer: Mapping[str, Any], calls_max: int) -> str | None:
    """What is wrong with *answer*, without quoting anybody's text; None where it can be worked with."""
    for candidate in candidates:
        said = answer[candidate.tool.id]
        calls = said.get("calls", ())
        if said["decision"] == CALL and candidate.tool.parameters and not calls:
            return "a tool is to be called, but no call is given"
        if len(calls) > calls_max:
            return f"{len(calls)} calls of one tool, more than {calls_max}"
    return None


def without_asking(candidates: Iterable[Candidate], turn_id: str) -> list[ToolCall]:
    """The calls of those *candidates* that only read and take no arguments: nothing is left to decide."""
    return [call_of(turn_id, candidate.tool.id, {}) for candidate in candidates if not candidate.needs_asking]


def decided(
    candidates: Sequence[Candidate], answer: Mapping[str, Any], known: Said, turn_id: str, done: Iterable[str]
) -> Decided:
    """
    What *answer* comes to: calls of *candidates* alone, in their order, none twice and none of those *done* (ids).
    """
    tools = [candidate.tool for candidate in candidates]
    passed_over = _passed_over(tools, answer)
    calls: dict[str, ToolCall] = {}
    problems: dict[tuple[str, str], ParameterProblem] = {}
    for tool in tools:
        said = answer[tool.id]
        if said["decision"] != CALL or tool.id in passed_over:
            continue
        for one in said.get("calls", ({},)):
            found = arguments(tool, one, known)
            problems |= {(problem.tool, problem.parameter): problem for problem in found.problems}
            if not found.problems:
                call = call_of(turn_id, tool.id, found.values)
                calls[call.id] = call
    remaining = [call for call in _once(tools, answer, calls.values()) if call.id not in set(done)]
    return Decided(tuple(remaining), tuple(problems.values()))


def asked_for(problems: Sequence[ParameterProblem], tools: Mapping[str, Tool]) -> tuple[ParameterProblem, ...]:
    """
    Of *problems* those that the reply asks about: for each tool, those of the lowest precedence, the others in their
    turn.
    """
    ranks = {
        (tool.id, parameter.name): parameter.precedence for tool in tools.values() for parameter in tool.parameters
    }
    lowest: dict[str, int] = {}
    for problem in problems:
        rank = ranks[problem.tool, problem.parameter]
        lowest[problem.tool] = min(rank, lowest.get(problem.tool, rank))
    return tuple(problem for problem in problems if ranks[problem.tool, problem.parameter] == lowest[problem.tool])


def _passed_over(tools: Sequence[Tool], answer: Mapping[str, Any]) -> set[str]:
    """Of the tools that do alike, those that do not fit best."""
    return {
        tool.id
        for name in overlaps(tools)
        for tool in tools
        if tool.overlap == name and tool.id not in answer[f"{BEST}{name}"]["decision"]
    }


def _once(tools: Sequence[Tool], answer: Mapping[str, Any], calls: Iterable[ToolCall]) -> list[ToolCall]:
    """*calls* without those that do by one tool what an alike and better fitting one does with the same arguments."""
    ranks = {tool: place for name in overlaps(tools) for place, tool in enumerate(answer[f"{BEST}{name}"]["decision"])}
    groups = {tool.id: tool.overlap for tool in tools if tool.id in ranks}
    kept: dict[tuple[object, ...], ToolCall] = {}
    for call in sorted(calls, key=lambda call: ranks.get(call.tool, 0)):
        exact = json.dumps(call.arguments, sort_keys=True)
        kept.setdefault((groups.get(call.tool, call.id), exact), call)
    return list(kept.values())
