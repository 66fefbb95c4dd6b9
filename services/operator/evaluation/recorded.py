"""
Recorded scenarios of another engine's test suite, translated into this package's own.

The file is a JSON list of objects with `id`, `area`, `guidelines`, `conversation`, `expected_matched` and `extra`.
Which areas fit:

* `guideline_matching/*`: the model's verdicts. The kind that an area is about is declared on its guidelines. Where it
  is left to a judgement of an earlier reply whether a guideline was applied, it counts as not applied: that judgement
  is no input of matching and was not recorded.
* `disambiguation`: what the customer is offered; nothing where the request is clear.
* `journey_step_selection`: the state that is due. A state without an action is one that leads on (a fork), or, where
  nothing follows, the journey's end.

Which do not, as they ask something else than what applies to a conversation now:

* `relationship_resolution`: begins after the model's verdicts, has no conversation, and is decided by code alone: the
  matcher's unit tests run it.
* `indexing/*`: classifies a guideline when a playbook is written. There is no turn.
* `response_analysis`: judges a reply that was sent, which is the verifier's work, after matching.
* `e2e/*`: states properties of the reply's text, which someone has to judge.

Nor does a scenario without a conversation or without guidelines, whatever its area.

Capabilities are shown as terms of the glossary, results of tools as variables: matching knows no others.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import Fatal

UNFIT = {
    "relationship_resolution": "decided by code after the model's verdicts; it has no conversation",
    "indexing": "classifies a guideline when a playbook is written; there is no turn",
    "response_analysis": "judges a reply that was sent, which is the verifier's work",
    "e2e": "states properties of the reply's text, which someone has to judge",
}
DECLARED: Mapping[str, dict[str, Any]] = {
    "guideline_matching/agent_intention": {"agent_intention": True},
    "guideline_matching/low_criticality": {"criticality": "low"},
    "guideline_matching/previously_applied_customer_dependent": {"customer_dependent": True},
}
HEAD = "__head__"
ID_CHARS_MAX = 64
_NO_ID = re.compile(r"[^a-z0-9_-]+")


def translated(document: object) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """
    The data of own scenarios, and what does not fit: ids with the reason.

    Raises:
        Fatal: *document* is no such list, or one of its scenarios lacks what its area needs.

    """
    if not isinstance(document, list):
        raise Fatal("the JSON holds no list of scenarios")
    scenarios, unfit = [], {}
    for place, item in enumerate(document):
        try:
            if reason := _unfit(item):
                unfit[item["id"]] = reason
            else:
                scenarios.append(_scenario(item))
        except (KeyError, TypeError, AttributeError) as error:
            raise Fatal(f"scenario {place} of the JSON is not of the recorded form: {error!r}") from None
    return scenarios, unfit


def _unfit(item: Mapping[str, Any]) -> str:
    area = item["area"].partition("/")[0]
    if area in UNFIT:
        return UNFIT[area]
    if area not in {"guideline_matching", "disambiguation", "journey_step_selection"}:
        return "an area that is not known"
    if not item["conversation"]:
        return "has no conversation"
    return "" if item["guidelines"] else "its guidelines were not recorded, so any matcher is right"


def _scenario(item: Mapping[str, Any]) -> dict[str, Any]:
    common = {
        "id": item["id"],
        "area": item["area"],
        "name": item["name"],
        "glossary": _glossary(item["extra"]),
        "variables": _variables(item["extra"]),
        "conversation": [{"source": line["source"], "text": line["text"]} for line in item["conversation"]],
    }
    if item["area"] == "journey_step_selection":
        return common | _step(item)
    return common | _matching(item)


def _matching(item: Mapping[str, Any]) -> dict[str, Any]:
    extra, area = item["extra"], item["area"]
    names = _names([guideline["id"] for guideline in item["guidelines"]])
    declared = DECLARED.get(area, {})
    is_choice = area == "disambiguation"
    head = HEAD if is_choice else extra.get("disambiguation_head")
    targets = extra.get("disambiguation_targets") or [name for name in names if name != head]
    return {
        "guidelines": [
            {
                "id": names[guideline["id"]],
                "condition": guideline["condition"],
                "action": guideline["action"] or "",
                **(declared if guideline["action"] else {}),
            }
            for guideline in item["guidelines"]
        ],
        "relationships": [_choice(names[head], [names[name] for name in targets])] if head else [],
        "applied": [names[name] for name in extra.get("previously_applied", [])],
        "expected": {
            "judged": "choice" if is_choice else "verdicts",
            "ids": [names[name] for name in item["expected_matched"]],
        },
    }


def _choice(head: str, targets: Sequence[str]) -> dict[str, Any]:
    return {"kind": "disambiguation", "source": head, "targets": list(targets)}


def _step(item: Mapping[str, Any]) -> dict[str, Any]:
    journey, path = item["extra"]["journey"], [name for name in item["extra"]["previous_path"] or [] if name]
    nodes = {node["id"]: node for node in journey["nodes"]}
    expected = item["expected_matched"]
    # A list that continues the way so far is the way, of which the last state is due; any other names alternatives.
    if path and len(expected) > len(path) and expected[: len(path)] == path:
        expected = expected[-1:]
    return {
        "journey": {
            "id": _names([journey["name"]])[journey["name"]],
            "title": journey["title"],
            "description": journey.get("description") or "",
            "conditions": journey["triggers"],
            "states": [_state(node, nodes) for node in journey["nodes"] if not _is_end(node)],
        },
        "path": path,
        "expected": {"judged": "step", "ids": [name for name in expected if not _is_end(nodes[name])]},
    }


def _state(node: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kind = node["kind"] if node.get("action") else "fork"
    ways = [nodes[name] for name in node.get("follow_up_ids", [])]
    state = {
        "id": node["id"],
        "kind": kind,
        "action": node.get("action") or "",
        "needs_customer": bool(node.get("customer_dependent_action")),
        "next": [
            {"to": "end" if _is_end(way) else way["id"], "when": way.get("condition") or ""}
            for way in sorted(ways, key=lambda way: not way.get("condition"))  # what is always open comes last
        ],
    }
    return state | {"tool": f"tool-{node['id']}"} if kind == "tool" else state


def _is_end(node: Mapping[str, Any]) -> bool:
    return not node.get("action") and not node.get("follow_up_ids")


def _glossary(extra: Mapping[str, Any]) -> list[dict[str, Any]]:
    terms = [
        {"term": term["name"], "meaning": term["description"], "synonyms": term.get("synonyms") or []}
        for term in extra.get("terms", [])
    ]
    return terms + [{"term": item["title"], "meaning": item["description"]} for item in extra.get("capabilities", [])]


def _variables(extra: Mapping[str, Any]) -> dict[str, str]:
    known = {item["name"]: _text(item["value"]) for item in extra.get("context_variables", [])}
    for place, event in enumerate(extra.get("staged_tool_events", []), start=1):
        known[f"result {place} of {event['tool_id']} {_text(event['arguments'])}"] = _text(event["result"])
    return known


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _names(ids: Sequence[str]) -> dict[str, str]:
    """Names as a playbook allows them, each once."""
    names: dict[str, str] = {}
    for name in ids:
        plain = _NO_ID.sub("-", name.lower()).strip("-_")[: ID_CHARS_MAX - 4] or "g"
        taken = set(names.values())
        names[name] = next(
            made
            for number in range(1, len(ids) + 2)
            if (made := plain if number == 1 else f"{plain}-{number}") not in taken
        )
    return names
