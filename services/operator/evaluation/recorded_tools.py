"""
Recorded scenarios about tools: which are to be called, with which arguments.

The recording states it in English, as properties of the events that a turn leaves. What it says of calls is read here:
that there are none; which tools are called; with which arguments, as far as they are told by value. What a tool
answered and what the reply mentions is not judged.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.playbook.tools import ParameterType

Names = Callable[[Sequence[str]], dict[str, str]]
NO_CALL: Final = "no tool calls event is emitted"
NOT_TOLD: Final = "does not say which tools are called"
PRECEDENCE_MAX: Final = 100
URL: Final = "http://tool.invalid/"
"""Which tool is called with which arguments is judged, not what it answers: it leads nowhere."""
_TYPES: Final = {
    "string": ParameterType.STRING,
    "integer": ParameterType.INTEGER,
    "int": ParameterType.INTEGER,
    "number": ParameterType.NUMBER,
    "float": ParameterType.NUMBER,
    "boolean": ParameterType.BOOLEAN,
    "bool": ParameterType.BOOLEAN,
    "date": ParameterType.DATE,
    "datetime": ParameterType.DATETIME,
}
_CALLED: Final = re.compile(r'(?P<no>no )?(?:a )?call (?:to|with tool_id of) "(?:local:)?(?P<tool>[\w-]+)"')
_NUMBERS: Final = re.compile(r'contains the numbers? (?P<values>.*) in the "(?P<tool>[\w-]+)" tool call')
_UNDER: Final = re.compile(r'under "(?P<tool>[\w-]+)"')
_AS: Final = re.compile(r"(?P<value>[\w.,]+) as (?P<name>[\w]+(?: price)?)")
_ROUTE: Final = re.compile(r"(?:with (?P<amount>\d+) )?(?:\w+ as \w+ )?from (?P<source>\w+) to (?P<target>\w+)")


def translated(item: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The scenario's own parts, beside what all areas have."""
    extra = item["extra"]
    guidelines = names([one["id"] for one in item["guidelines"]])
    tools = names([tool["name"] for tool in extra["tools"]])
    of_guideline: dict[str, list[str]] = {}
    for pair in extra["tool_associations"]:
        of_guideline.setdefault(pair["guideline"], []).append(tools[pair["tool"]])
    alike = {name.strip('"') for pair in extra.get("tool_overlaps", []) for name in pair}
    variables = {item["name"]: str(item["value"]) for item in extra.get("context_variables", [])}
    return {
        "conversation": [
            {"source": line["source"], "text": line["text"]} for line in item["conversation"] if line["text"]
        ],
        "variables": variables | ({"customer_name": extra["customer_name"]} if extra.get("customer_name") else {}),
        "guidelines": [
            {"id": guidelines[one["id"]], "condition": one["condition"], "action": one["action"] or ""}
            | {"tools": of_guideline.get(one["id"], [])}
            for one in item["guidelines"]
        ],
        "tools": [_tool(tool, tools[tool["name"]], tool["name"] in alike) for tool in extra["tools"]],
        "expected": {
            "judged": "calls",
            "ids": [guidelines[name] for name in of_guideline],
            "calls": _expected(item, tools),
        },
    }


def unfit(item: Mapping[str, Any]) -> str:
    """Why *item* does not fit; empty if it does."""
    if not item["extra"].get("tools") or not item["extra"].get("tool_associations"):
        return "its tools were not recorded"
    known = {tool["name"]: tool["name"] for tool in item["extra"]["tools"]}
    if any(pair["tool"] not in known for pair in item["extra"]["tool_associations"]):
        return "its tools were not recorded"
    return "" if _expected(item, known) is not None else NOT_TOLD


def _expected(item: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]] | None:
    """The calls that *item* says are made; None where it does not tell."""
    told = item["expected_response_property"]
    if "staged" in told:
        return None
    if NO_CALL in told.split(" AND "):
        return []
    tools = {tool["name"]: tool for tool in item["extra"]["tools"]}
    found = [call for part in told.split(" AND ") for call in _calls(part, tools)]
    if not found and len(tools) == 1 and "the tool calls event contains 1 tool call(s)" in told:
        [(name, tool)] = tools.items()
        found = [(name, _named(told, tool["parameters"]))]
    return [{"tool": names[name], "arguments": arguments} for name, arguments in found] or None


def _calls(part: str, tools: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The calls that *part* of the property is about: the tools' names, with the arguments that are told."""
    if (numbers := _NUMBERS.search(part)) and numbers["tool"] in tools:
        needed = list(tools[numbers["tool"]]["parameters"])
        values = [float(value) for value in re.findall(r"\d+(?:\.\d+)?", numbers["values"])]
        return [(numbers["tool"], dict(zip(needed, values, strict=False)))]
    if (under := _UNDER.search(part)) and under["tool"] in tools:
        return [(under["tool"], {})]
    called = list(_CALLED.finditer(part))
    if not called:
        return []
    ends = [later.start() for later in called[1:]] + [len(part)]
    return [
        (one["tool"], _arguments(part[one.end() : end], tools[one["tool"]]["parameters"]))
        for one, end in zip(called, ends, strict=True)
        if one["tool"] in tools and not one["no"]
    ]


def _arguments(told: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`with amount 1500 and from_account Mark`, `200 as amount`, `200 from Fredric to Alisse`."""
    found = _named(told, parameters)
    for clause in re.split(r" and (?=\w+ )", told.strip().removeprefix("with ")):
        name, _, value = clause.strip().partition(" ")
        if name in parameters and value:
            found[name] = _value(value.strip(), parameters[name])
    if route := _ROUTE.search(told):
        told_of = {"amount": route["amount"], "from_account": route["source"], "to_account": route["target"]}
        found |= {
            name: _value(value, parameters[name]) for name, value in told_of.items() if value and name in parameters
        }
    return found


def _named(told: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for one in _AS.finditer(told):
        name = one["name"].replace(" ", "_")
        if name in parameters and one["value"] != "None":
            found[name] = _value(one["value"], parameters[name])
    return found


def _value(text: str, parameter: Mapping[str, Any]) -> Any:
    if _TYPES.get(parameter.get("type", "")) in {ParameterType.INTEGER, ParameterType.NUMBER}:
        plain = text.replace(",", "")
        return float(plain) if re.fullmatch(r"\d+(\.\d+)?", plain) else text
    return text


def _tool(tool: Mapping[str, Any], name: str, alike: bool) -> dict[str, Any]:
    ranks = sorted({parameter.get("precedence", 0) for parameter in tool["parameters"].values()})
    return {
        "id": name,
        "description": tool["description"] or name,
        "consequential": bool(tool.get("consequential")),
        "overlap": "alike" if alike else None,
        "http": {"url": URL, "method": "POST"},
        "parameters": [
            {
                "name": key,
                "type": _TYPES.get(parameter.get("type", "string"), ParameterType.STRING),
                "description": parameter.get("description") or "",
                "choices": [str(choice) for choice in parameter.get("enum") or []],
                "required": key in tool["required"],
                "source": parameter.get("source") or "any",
                "hidden": bool(parameter.get("hidden")),
                "precedence": min(ranks.index(parameter.get("precedence", 0)), PRECEDENCE_MAX),
            }
            for key, parameter in tool["parameters"].items()
        ],
    }
