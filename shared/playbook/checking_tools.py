"""
What authors get wrong in tools: names that nothing bears, values that could never fit, requests that could never be
made.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import Playbook
from shared.playbook.tools import HttpCall, Parameter, ParameterType, Tool

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"})
BODIED = frozenset({"POST", "PUT", "PATCH"})
PLACE = re.compile(r"\{([^{}]*)\}")
_NUMERIC = frozenset({ParameterType.INTEGER, ParameterType.NUMBER})


def tool_findings(playbook: Playbook) -> Iterator[Finding]:
    """Everything that the rules find in the tools of *playbook*, and in what refers to them."""
    names = [tool.id for tool in playbook.tools]
    yield from _repeated(names, ("tools",), "id")
    for path, name in _references(playbook):
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "declare it among `tools`"
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
    try:
        re.compile(parameter.pattern)
    except re.error as error:
        yield _error("bad_pattern", (*where, "pattern"), f"no regular expression: {error}", "correct it")
        return
    yield from _choices(parameter, where)
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
            if re.fullmatch(parameter.pattern, choice) is None:
                reason = f"the choice `{choice}` does not fit the pattern"
                yield _error("bad_pattern", (*where, "choices", place), reason, "correct one of them")
    if parameter.type in _NUMERIC:
        for place, choice in enumerate(parameter.choices):
            if not _is_number(choice):
                yield _error("bad_choice", (*where, "choices", place), f"`{choice}` is no number", "correct it")


def _request(tool: Tool, http: HttpCall, where: Path) -> Iterator[Finding]:
    known = {parameter.name: parameter for parameter in tool.parameters}
    if PLACE.search(urlsplit(http.url).netloc):
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
        float(text)
    except ValueError:
        return False
    return True


def _error(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, rule, path, reason, remedy)


def _warning(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, rule, path, reason, remedy)
