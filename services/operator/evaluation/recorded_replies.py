"""
Recorded scenarios about whole replies: of what is stated about the reply, that which code can see.

The recording states properties of the reply in English. Read here are: that there is none; that it is the engine's
words where nothing fits; texts that it contains, one or several or either of two. Of any other property only the
structure is judged: that a reply leaves and, where only approved texts may, that it is made of them.

Capabilities and the glossary are facts as well, for what a reply states has to be one. Of a journey, the step that the
recorded path has come to stands as a guideline. Approved texts with a field of another engine are left out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Names = Callable[[Sequence[str]], dict[str, str]]
COMPOSITIONS: Final[Mapping[str, str]] = {"canned_strict": "strict", "canned_composited": "composed"}
GUEST: Final = "Guest"
_FOREIGN: Final = re.compile(r"std\.(invalid|missing)_params")
_CONTAINS: Final = re.compile(r'contains the text "([^"]+)"')
_EITHER: Final = re.compile(r'contains either "([^"]+)" or "([^"]+)"')
_TOOL_FIELD: Final = re.compile(r"\{\{\s*(?!std\.|generative\.)[a-z_]+\s*\}\}")


def translated(item: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The scenario's own parts, beside what all areas have."""
    extra = item["extra"]
    ids = names([one["id"] for one in item["guidelines"]])
    guidelines = [
        {"id": ids[one["id"]], "condition": one["condition"], "action": one["action"] or ""}
        for one in item["guidelines"]
    ]
    step = _step(extra)
    active = [ids[name] for name in item["expected_matched"] if name in ids] or list(ids.values())
    knows = [*_facts("term", extra.get("terms", []), "name"), *_facts("can", extra.get("capabilities", []), "title")]
    return {
        "guidelines": [*guidelines, *step],
        "facts": knows,
        "composition": COMPOSITIONS.get(extra["composition_mode"], "fluid"),
        "canned_replies": [{"id": f"text-{place}", "text": text} for place, text in enumerate(_texts(extra), start=1)],
        "customer_name": extra.get("customer_name") or GUEST,
        "expected": {"judged": "replied", "ids": [*active, *(one["id"] for one in step)]} | _expected(item),
    }


def unfit(item: Mapping[str, Any]) -> str:
    """Why *item* does not fit; empty if it does."""
    for group in _says(item["expected_response_property"]):
        holding = [text for text in _texts(item["extra"]) if any(_has(text, said) for said in group)]
        if item["extra"]["composition_mode"] == "canned_strict" and not any(map(_fillable(item["extra"]), holding)):
            return "its text is filled by a tool that was not recorded, or from the customer's words, which are no fact"
    return ""


def _fillable(extra: Mapping[str, Any]) -> Callable[[str], bool]:
    knows = bool(extra.get("context_variables"))
    return lambda text: not _TOOL_FIELD.search(text) and ("generative." not in text or knows)


def _expected(item: Mapping[str, Any]) -> dict[str, Any]:
    told = item["expected_response_property"]
    if "no message events are emitted" in told:
        return {"answer": "silence"}
    if "a no-match message is emitted" in told:
        return {"answer": "no_match"}
    return {"answer": "reply", "says": _says(told)}


def _says(told: str) -> list[list[str]]:
    """Each group is of texts of which one has to be in the reply."""
    groups = [list(found.groups()) for found in _EITHER.finditer(told)]
    return groups + [[found[1]] for found in _CONTAINS.finditer(told)]


def _texts(extra: Mapping[str, Any]) -> list[str]:
    return [text for text in extra.get("canned_responses", []) if not _FOREIGN.search(text)]


def _has(text: str, said: str) -> bool:
    """Whether *said* may be what *text* is filled to: between its fields anything may stand."""
    parts = re.split(r"\{\{.*?\}\}", text)
    pattern = ".*?".join(re.escape(part) for part in parts)
    return said.casefold() in text.casefold() or re.fullmatch(pattern, said, re.IGNORECASE | re.DOTALL) is not None


def _facts(kind: str, listed: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, str]]:
    return [
        {"id": f"{kind}-{place}", "text": f"{one[key].replace('_', ' ')}: {one['description']}"}
        for place, one in enumerate(listed, start=1)
    ]


def _step(extra: Mapping[str, Any]) -> list[dict[str, str]]:
    """The step of a journey that its recorded path ends with."""
    found = []
    for journey, path in zip(extra.get("journeys", []), extra.get("journey_paths", {}).values(), strict=False):
        reached = re.findall(r"\d+", path)
        actions = {str(node["node"]): node.get("action") for node in journey["nodes"]}
        if reached and actions.get(reached[-1]):
            found.append({"id": "journey-step", "condition": journey["triggers"][0], "action": actions[reached[-1]]})
    return found[:1]
