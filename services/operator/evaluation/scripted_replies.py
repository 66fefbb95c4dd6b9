"""
The reply that a scenario's label asks for, as the model would say it: the approved texts that hold the labelled ones,
or these themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.operator.evaluation.scenario import Judged, Scenario
from shared.events.composition import Composition
from shared.llm.rehearsal.rules import Situation
from shared.text.plain import folded


def is_asked_about(scenario: Scenario, situation: Situation) -> bool:
    """Whether the reply of *scenario* is judged and *situation* shows the guidelines and texts that apply in it."""
    shown = situation.sections.get("guidelines", {})
    said = (
        [entry["text"] for entry in shown.get("follow", [])] + shown.get("principles", []) + shown.get("observed", [])
    )
    applying = [one for one in scenario.guidelines if one.id in scenario.expected.ids]
    return (
        scenario.expected.judged is Judged.REPLIED
        and len(said) == len(applying)
        and all(any(text.startswith(one.condition.strip().rstrip(".")) for text in said) for one in applying)
        and ("texts" in situation.sections) is (scenario.composition is Composition.STRICT)
        and all(_holding(group, situation.sections["texts"]) for group in _of_texts(scenario))
    )


def labelled_reply(scenario: Scenario, situation: Situation, usual: Mapping[str, Any]) -> dict[str, Any]:
    """The conclusion of a draft, or of a pick, that *scenario* is labelled with; *usual* is what else would be said."""
    silent = scenario.expected.answer == "silence"
    key = "picks" if "picks" in usual else "segments"
    if silent:
        return {"decision": "stay_silent", key: []}
    performs = [entry["guideline"] for entry in situation.sections.get("guidelines", {}).get("follow", [])]
    if key == "segments":
        said = [group[0] for group in scenario.expected.says] or ["Here is what I can tell you."]
        return {"decision": "reply", key: [_segment(text, performs) for text in said]}
    if scenario.expected.answer == "no_match":
        return {"decision": "reply", "draft": "as labelled", key: []}
    shown = situation.sections.get("texts", [])
    numbers = dict.fromkeys(_holding(group, shown) for group in scenario.expected.says)
    plain = [entry["id"] for entry in shown if "{{" not in entry["text"]]
    picked = [number for number in numbers if number] or plain[:1]
    return {"decision": "reply", "draft": "as labelled", key: [_pick(number, performs) for number in picked]}


def _of_texts(scenario: Scenario) -> Sequence[Sequence[str]]:
    return scenario.expected.says if scenario.composition is Composition.STRICT else ()


def _holding(group: Sequence[str], shown: Sequence[Mapping[str, str]]) -> str:
    """The shown text that holds one of *group*; empty where none does."""
    return next((entry["id"] for entry in shown if any(folded(one) in folded(entry["text"]) for one in group)), "")


def _segment(text: str, performs: Sequence[str]) -> dict[str, Any]:
    return {
        "performs": list(performs),
        "kind": "social",
        "claim_kind": "other",
        "fact_ids": [],
        "value": "",
        "open_question": "",
        "text": text,
    }


def _pick(number: str, performs: Sequence[str]) -> dict[str, Any]:
    return {"covers": "as labelled", "text_id": number, "fields": [], "performs": list(performs), "quality": "high"}
