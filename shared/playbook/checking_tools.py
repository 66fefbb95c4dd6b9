"""
What authors get wrong in tools: names that nothing bears, values that could never fit, requests that could never be
made.
"""

import re
from collections.abc import Iterable, Iterator
from math import isfinite

from shared.playbook.checking_addresses import PLACE
from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import Playbook
from shared.playbook.nearest import Nearest
from shared.playbook.patterns import compiled, fits
from shared.playbook.tools import HttpCall, Parameter, ParameterType, Tool

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"})
BODIED = frozenset({"POST", "PUT", "PATCH"})
_AUTHORITY = re.compile(r"https?://([^/?#]*)")
# What other engines know and RE2 does not.
_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")
_POSSESSIVE = re.compile(r"[*+?}]\+|\(\?>")
_BEYOND_COUNTING = re.compile(r"(?<!\\)\{(?:\d*,)?\d{5,}")
_REPETITION = re.compile(r"\{\d+(?:,\d*)?\}")
_NUMERIC = frozenset({ParameterType.INTEGER, ParameterType.NUMBER})


def tool_findings(playbook: Playbook) -> Iterator[Finding]:
    """Everything that the rules find in the tools of *playbook*, and in what refers to them."""
    names = [tool.id for tool in playbook.tools]
    nearest = Nearest()
    yield from _repeated(names, ("tools",), "id")
    for path, name in _references(playbook):
        if name not in names:
            hint = nearest.hint(name, names, "declare it among `tools`")
            yield _error("unknown_reference", path, f"there is no tool `{name}`", hint)
    for index, tool in enumerate(playbook.tools):
        where: Path = ("tools", index)
        yield from _repeated([parameter.name for parameter in tool.parameters], (*where, "parameters"), "name")
        for place, parameter in enumerate(tool.parameters):
            yield from _parameter(parameter, (*where, "parameters", place))
        if tool.http is not None:
            yield from _request(tool, tool.http, (*where, "http"))
        headers = tool.http.headers if tool.http else tool.mcp.headers if tool.mcp else {}
        kind = "http" if tool.http else "mcp"
        for name, value in headers.items():
            if name.lower() in SECRET_HEADERS and "secret:" not in value:
                reason = "a secret stands in the playbook, which every stage and every reader of its topic sees"
                yield _error("secret", (*where, kind, "headers", name), reason, "write `secret:NAME`")


def _references(playbook: Playbook) -> Iterator[tuple[Path, str]]:
    for index, guideline in enumerate(playbook.guidelines):
        for key, names in (("tools", guideline.tools), ("reevaluate_after", guideline.reevaluate_after)):
            for place, name in enumerate(names):
                yield ("guidelines", index, key, place), name
    # A journey may be drawn before the tools that its steps will use.
    for index, journey in enumerate(playbook.journeys if playbook.tools else ()):
        for place, state in enumerate(journey.states):
            if state.tool is not None:
                yield ("journeys", index, "states", place, "tool"), state.tool


def _parameter(parameter: Parameter, where: Path) -> Iterator[Finding]:
    if reason := _unusable(parameter.pattern):
        yield _error("bad_pattern", (*where, "pattern"), reason, _mended(parameter.pattern))
        return
    yield from _choices(parameter, where)
    if parameter.type in _NUMERIC and isinstance(parameter.default, str) and not _is_number(parameter.default):
        reason = f"the default `{parameter.default}` is no finite number"
        yield _error("bad_default", (*where, "default"), reason, "correct it")
    if parameter.default is not None and parameter.choices and str(parameter.default) not in parameter.choices:
        reason = f"the default `{parameter.default}` is none of the choices"
        yield _error("bad_default", (*where, "default"), reason, "name one of them")
    if parameter.hidden and parameter.required and parameter.default is None and parameter.source == "customer":
        reason = "a hidden value that only the customer could give is never asked for, so the tool is never called"
        yield _warning("never_given", (*where, "hidden"), reason, "show it, or let it come from the context")


def _choices(parameter: Parameter, where: Path) -> Iterator[Finding]:
    if parameter.pattern and parameter.type in {*_NUMERIC, ParameterType.BOOLEAN}:
        yield _error("bad_pattern", (*where, "pattern"), "only texts and dates have patterns", "drop it")
    elif parameter.pattern:
        for place, choice in enumerate(parameter.choices):
            if not fits(parameter.pattern, choice):
                reason = f"the choice `{choice}` does not fit the pattern"
                yield _error("bad_pattern", (*where, "choices", place), reason, "correct one of them")
    if parameter.type in _NUMERIC:
        for place, choice in enumerate(parameter.choices):
            if not _is_number(choice):
                yield _error("bad_choice", (*where, "choices", place), f"`{choice}` is no finite number", "correct it")


def _request(tool: Tool, http: HttpCall, where: Path) -> Iterator[Finding]:
    known = {parameter.name: parameter for parameter in tool.parameters}
    authority = _AUTHORITY.match(http.url)
    if authority and PLACE.search(authority[1]):
        yield _error("open_host", (*where, "url"), "a value chooses the host", "write the host out")
    for name in PLACE.findall(http.url):
        if name not in known:
            yield _error("unknown_reference", (*where, "url"), f"there is no parameter `{name}`", "declare it")
        elif not known[name].required and known[name].default is None:
            reason = f"the address needs `{name}`, which may be missing"
            yield _error("open_address", (*where, "url"), reason, "make it required, or give it a default")
    for place, name in enumerate(http.query):
        if name not in known:
            yield _error("unknown_reference", (*where, "query", place), f"there is no parameter `{name}`", "declare it")
    if tool.consequential and not http.idempotency_header and http.method in BODIED:
        reason = "the endpoint does not recognise a repeated call, so after a crash nobody can tell what was done"
        yield _warning("no_key", where, reason, "let it honour a key and name it as `idempotency_header`")


def _repeated(names: Iterable[str], where: Path, key: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            yield _error(
                "duplicate_id", (*where, place, key), f"`{name}` is declared twice", f"give each its own {key}"
            )
        seen.add(name)


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _unusable(pattern: str) -> str:
    """Why no text can be compared with *pattern*; empty where one can."""
    if _BEYOND_COUNTING.search(pattern):
        return "it repeats more than 1,000 times"  # RE2 takes a number of many digits for a text
    try:
        compiled(pattern)
    except ValueError as error:
        return f"no regular expression that can be used: {error}"
    return ""


def _mended(pattern: str) -> str:
    """What to write instead of *pattern*, by what RE2 does not know."""
    if _LOOKAROUND.search(pattern):
        return "write what the text is, not what stands around it: a pattern has to fit the whole text anyway"
    if _BACK_REFERENCE.search(pattern):
        return "write the repeated part out, or leave it to the tool to compare"
    if _POSSESSIVE.search(pattern):
        return "drop the `+` after the repetition: nothing is ever tried twice"
    if _REPETITION.search(pattern):
        return "repeat at most 1,000 times, and not a repetition within another; `+` repeats without an end"
    return "correct it; docs/tools.md says what a pattern may hold"


def _error(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, rule, path, reason, remedy)


def _warning(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, rule, path, reason, remedy)
