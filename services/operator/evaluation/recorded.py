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
* `relationship_resolution`: begins after the model's verdicts, which are given: it is played with scripted answers
  only. Where a recording has active journeys, it shows their states as guidelines and nothing else of them, so that no
  turn can be made of it: the matcher's unit tests resolve these.
* `response_analysis`: the guidelines that the verifier finds performed by a reply. What the reply states counts as a
  fact, as only its adherence is judged.
* `indexing/*`: the kind of a guideline, as `holdfast playbook check --with-model` finds it.
* `e2e/strict_canned_responses*`, `e2e/glossary`, `e2e/context_variables`, `e2e/capabilities`, `e2e/supervision`,
  `e2e/proactivity`: what leaves as the reply, as far as code can see it (recorded_replies.py).
* `e2e/tools`: which tools are called, with which arguments (recorded_tools.py).

Which do not: the other `e2e/*` state properties of the reply's text, which someone has to judge; and a scenario without
a conversation or without guidelines that its area needs.

Another area is one more entry of `AREAS`, and, where it judges something new, one of
`services.operator.evaluation.handlers.HANDLERS` and one of `services.operator.evaluation.scripted.scripted_rules`.

Capabilities are shown as terms of the glossary, results of tools as variables: matching knows no others.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.operator.evaluation import recorded_replies, recorded_tools
from shared.errors import Fatal

DECLARED: Mapping[str, dict[str, Any]] = {
    "guideline_matching/agent_intention": {"agent_intention": True},
    "guideline_matching/low_criticality": {"criticality": "low"},
    "guideline_matching/previously_applied_customer_dependent": {"customer_dependent": True},
}
E2E = "states properties of the reply's text, which someone has to judge"
UNKNOWN = "an area that is not known"
SCRIPTED_ONLY = frozenset({"relationship_resolution"})
"""Areas whose verdicts are given: a model has nothing to say in them."""
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
            area = _area(item)
            if area is None or (reason := _unfit(item, area)):
                unfit[item["id"]] = reason if area else E2E if item["area"].startswith("e2e/") else UNKNOWN
            else:
                scenarios.append(_scenario(item, area.translate))
        except (KeyError, TypeError, AttributeError) as error:
            raise Fatal(f"scenario {place} of the JSON is not of the recorded form: {error!r}") from None
    return scenarios, unfit


def _area(item: Mapping[str, Any]) -> "Area | None":
    """The entry of `AREAS` with the longest name that the item's area begins with."""
    names = [name for name in AREAS if f"{item['area']}/".startswith(f"{name}/")]
    return AREAS[max(names, key=len)] if names else None


def _unfit(item: Mapping[str, Any], area: "Area") -> str:
    if area.converses and not item["conversation"]:
        return "has no conversation"
    if area.needs_guidelines and not item["guidelines"]:
        return "its guidelines were not recorded, so any matcher is right"
    return area.unfit(item)


def _scenario(item: Mapping[str, Any], translate: "Translate") -> dict[str, Any]:
    common = {
        "id": item["id"],
        "area": item["area"],
        "name": item["name"],
        "glossary": _glossary(item["extra"]),
        "variables": _variables(item["extra"]),
        "conversation": [{"source": line["source"], "text": line["text"]} for line in item["conversation"]],
    }
    return common | translate(item)


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


def _related(item: Mapping[str, Any]) -> dict[str, Any]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for number, one in enumerate(item["extra"]["relationships"]):
        source, target = (_reference(one[end], one[f"{end}_type"]) for end in ("source", "target"))
        groups.setdefault((one["kind"], source, one.get("group", str(number))), []).append(target)
    return {
        "guidelines": [
            # Many recorded texts are the same letter: the id sets them apart. Verdicts are given: retrieval has no say.
            {
                "id": one["id"],
                "condition": f"{one['id']} {one['condition'] or ''}".strip(),
                "action": one["action"] or "",
            }
            | {"tags": one["tags"], "priority": one["priority"], "pinned": True}
            for one in item["guidelines"]
        ],
        "relationships": [
            {"kind": kind, "source": source, "targets": targets} for (kind, source, _), targets in groups.items()
        ],
        "conversation": [{"source": "customer", "text": item["name"]}],
        "expected": {
            "judged": "active",
            "ids": item["expected_matched"],
            "matched": item["extra"]["initially_matched"],
        },
    }


def _with_journeys(item: Mapping[str, Any]) -> str:
    named = [one[end] for one in item["extra"]["relationships"] for end in ("source", "target")]
    if item["extra"]["active_journeys"] or any(name.startswith("journey:") for name in named):
        return "shows journeys' states as guidelines and nothing else of them; the matcher's unit tests resolve it"
    return ""


def _reference(name: str, kind: str) -> str:
    prefix = {"tag_any": "any:", "tag_all": "tag:"}.get(kind, "")
    return prefix + name


def _performed(item: Mapping[str, Any]) -> dict[str, Any]:
    names = _names([guideline["id"] for guideline in item["guidelines"]])
    return {
        # What is of high criticality is judged by somebody who sees the whole reply.
        "guidelines": [
            {"id": names[one["id"]], "condition": one["condition"], "action": one["action"], "criticality": "high"}
            for one in item["guidelines"]
        ],
        "expected": {"judged": "performed", "ids": [names[name] for name in item["expected_matched"]]},
    }


def _classified(item: Mapping[str, Any]) -> dict[str, Any]:
    guidelines = [{key: one[key] for key in ("id", "condition", "action")} for one in item["guidelines"]]
    ids = [one["id"] for one in guidelines] if item["extra"]["expected_label"] else []
    return {
        "guidelines": guidelines,
        "expected": {"judged": "classified", "ids": ids, "kind": item["area"].partition("/")[2]},
    }


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


Translate = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Area:
    """
    How scenarios of an area become this package's own: *translate* gives what differs by area, *unfit* the reason why
    one does not fit (empty: it does); *converses* says that they need a conversation, *needs_guidelines* that they
    need guidelines.
    """

    translate: Translate
    unfit: Callable[[Mapping[str, Any]], str] = lambda _: ""
    converses: bool = True
    needs_guidelines: bool = True


REPLIES: Final = Area(
    lambda item: recorded_replies.translated(item, _names),
    recorded_replies.unfit,
    converses=False,
    needs_guidelines=False,
)
AREAS: Final[Mapping[str, Area]] = {
    "guideline_matching": Area(_matching),
    "disambiguation": Area(_matching),
    "journey_step_selection": Area(_step),
    "relationship_resolution": Area(_related, _with_journeys, converses=False),
    "response_analysis": Area(_performed),
    "indexing": Area(_classified, converses=False),
    "e2e/strict_canned_responses": REPLIES,
    "e2e/strict_canned_responses_capabilities": REPLIES,
    "e2e/glossary": REPLIES,
    "e2e/context_variables": REPLIES,
    "e2e/capabilities": REPLIES,
    "e2e/supervision": REPLIES,
    "e2e/proactivity": REPLIES,
    "e2e/tools": Area(lambda item: recorded_tools.translated(item, _names), recorded_tools.unfit),
}
