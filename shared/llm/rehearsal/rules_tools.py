"""
How the rehearsal model decides on tools: what is offered is called, with the values that customers gave in a form that
can be found without understanding.

Data sections that it reads: `history` and `now.messages` ({by, text}), `now.date`, `known.variables`, `called`
({tool, arguments, status}), `tools` ({tool, description, because, alike, parameters: {name, type, description, choices,
pattern, default}}). A value is found by the parameter's choices, its pattern, its type, or as what follows its name
(`date of birth: …`, `to Berlin`); the newest message that has one counts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from shared.llm.rehearsal.lexicon import ISO_DATE, similarity, terms
from shared.llm.rehearsal.rules import Rule, Situation

NEED: Final = "customer.needs"
BEST: Final = "best."
CUSTOMER: Final = "customer"
FINISHED: Final = frozenset({"done", "unknown", "refused", "expired", "failed"})
_NUMBER: Final = re.compile(r"(?<![\w.,-])(?!0\d)\d+(?:\.\d+)?(?![\w-]|[.,]\d)")
_TIME: Final = re.compile(r"\b(\d{1,2}):(\d{2})\b")
_QUOTED: Final = re.compile(r"[\"“']([^\"”']{1,80})[\"”']")
_DAYS: Final = {"today": 0, "tomorrow": 1}
_YES: Final = re.compile(r"\b(yes|sure|please do|of course)\b", re.IGNORECASE)
_NO: Final = re.compile(r"\b(no|don't|do not)\b", re.IGNORECASE)
_FOLLOWING: Final = r"\b\s*(?:is|are|:|=)?\s+((?:(?!\b(?:to|from|on|at|and|for|please)\b)[\w'’.-]+\s?){1,4})"


def call_tools(situation: Situation) -> dict[str, Any]:
    """The answer to `call_tools_v1`."""
    tools = {tool["tool"]: tool for tool in situation.sections.get("tools", [])}
    said = _said(situation)
    answer: dict[str, Any] = {}
    for name in situation.schema["properties"]:
        if name == NEED:
            answer[name] = (said[0] if said else "Nothing was said.")[:200]
        elif name.startswith(BEST):
            alike = [tool for tool in tools.values() if tool.get("alike") == name.removeprefix(BEST)]
            answer[name] = {"comparison": "By the words of their descriptions.", "decision": _best(alike, said)}
        else:
            answer[name] = _decided(situation, tools[name], said)
    return answer


def _decided(situation: Situation, tool: Mapping[str, Any], said: Sequence[str]) -> dict[str, Any]:
    called = any(
        call["tool"] == tool["tool"] and call["status"] in FINISHED for call in situation.sections.get("called", [])
    )
    answer: dict[str, Any] = {
        "rationale": "It was called already." if called else f"Asked for by: {'; '.join(tool['because'])[:200]}",
        "decision": "already_done" if called else "call",
    }
    parameters = tool.get("parameters", [])
    if parameters:
        answer["calls"] = [] if called else [_call(situation, parameters, said)]
    return answer


def _call(situation: Situation, parameters: Iterable[Mapping[str, Any]], said: Sequence[str]) -> dict[str, Any]:
    variables = situation.sections.get("known", {}).get("variables", {})
    today = situation.sections.get("now", {}).get("date", "")
    taken: set[str] = set()
    call = {}
    for parameter in parameters:
        evidence = value = ""
        if parameter.get("source") != CUSTOMER or not said:
            evidence = value = str(variables.get(parameter["name"], ""))
        if not value:
            evidence, value = _found(parameter, said, taken, today)
        taken.add(evidence)
        call[parameter["name"]] = _argument(parameter, evidence, value)
    return call


def _argument(parameter: Mapping[str, Any], evidence: str, value: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"integer": 0, "number": 0.0, "boolean": False}
    typed: Any = value
    if parameter["type"] in empty:
        typed = empty[parameter["type"]]
        if value:
            typed = value == "true" if parameter["type"] == "boolean" else float(value)
            typed = int(typed) if parameter["type"] == "integer" else typed
    elif not value and parameter.get("choices"):
        typed = parameter["choices"][0]
    return {"evidence": evidence, "value": typed, "status": "given" if value else "missing"}


def _found(parameter: Mapping[str, Any], said: Sequence[str], taken: set[str], today: str) -> tuple[str, str]:
    """The words that a value of *parameter* is taken from in the newest text of *said*, and the value."""
    for text in said:
        for evidence, value in _values(parameter, text, today):
            if evidence and evidence not in taken:
                return evidence, value
    return "", ""


def _values(parameter: Mapping[str, Any], text: str, today: str) -> Iterable[tuple[str, str]]:
    kind = parameter["type"]
    if choices := parameter.get("choices"):
        yield from (
            (choice, choice) for choice in choices if re.search(rf"\b{re.escape(choice)}\b", text, re.IGNORECASE)
        )
    elif parameter.get("pattern"):
        yield from ((found[0], found[0]) for found in re.finditer(_bounded(parameter["pattern"]), text))
    elif kind in {"integer", "number"}:
        yield from _numbers(parameter, text)
    elif kind in {"date", "datetime"}:
        yield from _instants(kind, text, today)
    elif kind == "boolean":
        for pattern, word in ((_YES, "true"), (_NO, "false")):
            yield from ((found[0], word) for found in pattern.finditer(text))
    else:
        yield from _named(parameter, text)


def _numbers(parameter: Mapping[str, Any], text: str) -> Iterable[tuple[str, str]]:
    """The numbers of *text*; for what has a default, only those beside the parameter's name: `2 seats`, `seats: 2`."""
    name = re.escape(parameter["name"].split("_")[-1])
    for found in _NUMBER.finditer(text):
        beside = re.match(rf"\s+{name}", text[found.end() :], re.IGNORECASE) or re.search(
            rf"{name}\s*(is|:|=)?\s*$", text[: found.start()], re.IGNORECASE
        )
        if ("default" not in parameter or beside) and (parameter["type"] == "number" or "." not in found[0]):
            yield found[0], found[0]


def _instants(kind: str, text: str, today: str) -> Iterable[tuple[str, str]]:
    days = [(found[0], found[0]) for found in ISO_DATE.finditer(text)]
    for word, ahead in _DAYS.items():
        if today and (found := re.search(rf"\b{word}\b", text, re.IGNORECASE)):
            days.append((found[0], (date.fromisoformat(today) + timedelta(days=ahead)).isoformat()))
    if kind == "date":
        yield from days
    elif days and (clock := _TIME.search(text)):
        yield days[0][0], f"{days[0][1]}T{int(clock[1]):02}:{clock[2]}"


def _named(parameter: Mapping[str, Any], text: str) -> Iterable[tuple[str, str]]:
    """What stands in quotation marks, or follows the parameter's name: `from the Harbour to the Castle, please`."""
    last = parameter["name"].split("_")[-1]
    words = {parameter["name"].replace("_", " "), last}
    for word in sorted(words, key=len, reverse=True):
        for found in re.finditer(rf"\b{re.escape(word)}{_FOLLOWING}", text, re.IGNORECASE):
            value = found[1].strip(" .")
            yield value, value
    for found in _QUOTED.finditer(text):
        yield found[1], found[1]


def _bounded(pattern: str) -> str:
    return rf"(?<!\w)(?:{pattern.removeprefix('^').removesuffix('$')})(?!\w)"


def _best(alike: Sequence[Mapping[str, Any]], said: Sequence[str]) -> list[str]:
    asked = said[0] if said else ""
    best = max(alike, key=lambda tool: similarity(tool["description"], asked))
    return [str(best["tool"])] if set(terms(best["description"])) & set(terms(asked)) else []


def _said(situation: Situation) -> list[str]:
    """What customers said, the newest first."""
    now = situation.sections.get("now", {}).get("messages", [])
    messages = [*situation.sections.get("history", []), *now]
    return [message["text"] for message in reversed(messages) if message["by"] == CUSTOMER]


RULES: Final[Mapping[str, Rule]] = {"call_tools_v1": call_tools}
