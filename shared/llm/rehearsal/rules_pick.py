"""
How the rehearsal model picks approved texts: the one that shares the most words with the question and the guidelines.

Data sections that it reads, beside those of the free drafts (rules_draft): `texts` ({id, text}). A field in double
braces is filled with the first number, else the whole, of the fact that shares the most words with the text and the
question; in `hallucination_rate` of all cases with another number.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from shared.llm.rehearsal.lexicon import numbers, terms
from shared.llm.rehearsal.rules import Rule, Situation
from shared.llm.rehearsal.rules_draft import ACKNOWLEDGEMENTS, action_of, asked_in, facts_in, guidelines_in

SCORE_MIN = 1.0
WEIGHT_OF_GUIDELINES = 0.5
PARTIAL_BELOW = 2.0
_FIELD: Final = re.compile(r"\{\{(generative\.[a-z0-9_]+)\}\}")


def pick_arq(situation: Situation) -> dict[str, Any]:
    """The answer to `pick_arq_v1`."""
    conclusion = _conclusion(situation)
    needed = [field["fact_id"] for pick in conclusion["picks"] for field in pick["fields"]]
    return {
        "customer_asks": asked_in(situation)[:200],
        "guidelines": [
            {"guideline": entry["guideline"], "text": entry["text"]}
            for entry in guidelines_in(situation).get("follow", [])
        ],
        "facts_needed": list(dict.fromkeys(needed)),
        "insights": [],
        **conclusion,
    }


def pick_cot(situation: Situation) -> dict[str, Any]:
    """The answer to `pick_cot_v1`."""
    return {"reasoning": "The text that shares the most words with the question fits.", **_conclusion(situation)}


def pick_direct(situation: Situation) -> dict[str, Any]:
    """The answer to `pick_direct_v1`."""
    return _conclusion(situation)


def _conclusion(situation: Situation) -> dict[str, Any]:
    asked = asked_in(situation)
    follow = guidelines_in(situation).get("follow", [])
    if not follow and asked.strip(" .!").lower() in ACKNOWLEDGEMENTS:
        return {"decision": "stay_silent", "draft": "", "picks": []}
    actions = [action_of(entry["text"]) for entry in follow]
    actions += [action_of(text) for text in guidelines_in(situation).get("principles", [])]
    draft = " ".join(actions) or asked
    guided = {term for action in actions for term in terms(action)}
    scored = [(_score(entry["text"], set(terms(asked)), guided), entry) for entry in situation.sections["texts"]]
    best, text = max(scored, key=lambda pair: pair[0])
    if best < SCORE_MIN:
        return {"decision": "reply", "draft": draft, "picks": []}
    pick = {
        "covers": draft[:80],
        "text_id": text["id"],
        "fields": _fields(situation, text["text"], asked),
        "performs": [entry["guideline"] for entry in follow],
        "quality": "high" if best >= PARTIAL_BELOW else "partial",
    }
    return {"decision": "reply", "draft": draft, "picks": [pick]}


def _fields(situation: Situation, text: str, asked: str) -> list[dict[str, str]]:
    facts = facts_in(situation)
    if not facts:
        return []
    sought = {*terms(text), *terms(asked)}
    fact: Mapping[str, str] = max(facts, key=lambda held: len(sought.intersection(terms(held["text"]))))
    value = _value(situation, fact["text"])
    names: Sequence[str] = list(dict.fromkeys(_FIELD.findall(text)))
    return [{"field": name, "fact_id": fact["id"], "value": value} for name in names]


def _value(situation: Situation, text: str) -> str:
    found = [number for number in numbers(text) if number in text]
    if not found:
        return text
    if situation.chance(situation.settings.hallucination_rate):
        return f"{int(found[0].partition('.')[0]) + situation.random.randint(1, 9)}"
    return found[0]


def _score(text: str, asked: set[str], guided: Iterable[str]) -> float:
    own = set(terms(text))
    return len(own & asked) + WEIGHT_OF_GUIDELINES * len(own.intersection(guided) - asked)


RULES: Final[Mapping[str, Rule]] = {
    "pick_arq_v1": pick_arq,
    "pick_cot_v1": pick_cot,
    "pick_direct_v1": pick_direct,
}
