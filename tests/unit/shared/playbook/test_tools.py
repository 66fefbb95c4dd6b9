"""Tools of a playbook: what the checks find in them, by line."""

import pytest

from shared.playbook.checking import check
from shared.playbook.model import Playbook

TOOL = {
    "id": "pay",
    "description": "Pay",
    "parameters": [{"name": "to"}, {"name": "how", "required": False}],
    "http": {"url": "https://bank.example/pay/{to}"},
}


def found(tools=(TOOL,), **more):
    declared = {"agent": "bank", "profile": {"name": "Bank"}, "tools": list(tools)} | more
    return [(f.severity.value, f.rule, ".".join(map(str, f.path))) for f in check(Playbook.model_validate(declared))]


def tool(http=None, parameter=None, **changes):
    made = TOOL | changes
    if http is not None:
        made["http"] = TOOL["http"] | http
    if parameter is not None:
        made["parameters"] = [{"name": "to"} | parameter]
    return made


def test_a_sound_tool_is_not_complained_of():
    assert found(guidelines=[{"id": "g", "condition": "c", "tools": ["pay"], "reevaluate_after": ["pay"]}]) == []


MISTAKES = [
    (tool(http={"url": "https://{to}.example/"}), "error", "open_host", "tools.0.http.url"),
    (tool(http={"url": "https://x.example/{whom}"}), "error", "unknown_reference", "tools.0.http.url"),
    (tool(http={"url": "https://x.example/{how}"}), "error", "open_address", "tools.0.http.url"),
    (tool(http={"query": ["whom"]}), "error", "unknown_reference", "tools.0.http.query.0"),
    (tool(http={"headers": {"Authorization": "Bearer abc"}}), "error", "secret", "tools.0.http.headers.Authorization"),
    (tool(http={"method": "POST"}, consequential=True), "warning", "no_key", "tools.0.http"),
    (tool(parameter={"pattern": "["}), "error", "bad_pattern", "tools.0.parameters.0.pattern"),
    (tool(parameter={"pattern": "a", "type": "number"}), "error", "bad_pattern", "tools.0.parameters.0.pattern"),
    (tool(parameter={"pattern": "a", "choices": ["b"]}), "error", "bad_pattern", "tools.0.parameters.0.choices.0"),
    (tool(parameter={"type": "integer", "choices": ["b"]}), "error", "bad_choice", "tools.0.parameters.0.choices.0"),
    (tool(parameter={"choices": ["a"], "default": "b"}), "error", "bad_default", "tools.0.parameters.0.default"),
    (tool(parameter={"hidden": True, "source": "customer"}), "warning", "never_given", "tools.0.parameters.0.hidden"),
]


@pytest.mark.parametrize(("declared", "severity", "rule", "path"), MISTAKES, ids=lambda held: str(held)[:40])
def test_a_mistake_is_found_where_it_stands(declared, severity, rule, path):
    assert (severity, rule, path) in found([declared])


def test_a_secret_by_name_is_fine():
    assert found([tool(http={"headers": {"authorization": "Bearer secret:bank"}})]) == []


def test_names_are_told_apart_and_references_lead_somewhere():
    assert ("error", "duplicate_id", "tools.1.id") in found([TOOL, TOOL])
    twice = tool(parameters=[{"name": "to"}, {"name": "to"}])
    assert ("error", "duplicate_id", "tools.0.parameters.1.name") in found([twice])
    guideline = {"id": "g", "condition": "c", "tools": ["pai"], "reevaluate_after": ["x"]}
    journey = {
        "id": "j", "title": "J", "conditions": ["c"], "states": [{"id": "s", "kind": "tool", "tool": "other"}]
    }  # fmt: skip
    paths = {path for _, rule, path in found(guidelines=[guideline], journeys=[journey]) if rule == "unknown_reference"}
    assert paths == {"guidelines.0.tools.0", "guidelines.0.reevaluate_after.0", "journeys.0.states.0.tool"}
