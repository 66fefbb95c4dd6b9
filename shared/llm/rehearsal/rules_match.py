"""
How the rehearsal model matches guidelines: by the words that a condition shares with the newest messages.

Data sections that it reads: `guidelines` and `more_guidelines` ({id, kind?, when, do?, options?}), `journeys` ({id,
path?, states}), `conversation` ({from, text, new?}), `variables`, `already_applied` (ids), `results` ({tool, status}).
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from shared.llm.rehearsal.lexicon import terms, words
from shared.llm.rehearsal.rules import Rule, Situation

SHARE_NEEDED = 0.6
"""Of the weight of one alternative of a condition that must stand in the new messages."""
SHARE_REMEMBERED = 0.8
"""The same for a lasting fact, in any message of the customer."""
RARE_MAX = 2
"""A single term decides only where no more conditions than this have it."""
CONDITIONS_KEPT_MAX = 16_384
EVIDENCE_WORDS_MAX = 12
RESTATED_WORDS_MAX = 10

# What conditions are about, apart from their subject: the customer, the agent, and what either does.
_FRAME: Final = frozenset(
    terms(
        "customer user client agent ask asks wants says mention mentions report reports need needs whether yet already "
        "anything something offers gives"
    ),
)
_ALTERNATIVE: Final = re.compile(r"\bor\b|,|;", re.IGNORECASE)
# Words that mean the same at a service desk; the first of each stands for all.
_SYNONYMS: Final = (
    ("hello", "hi", "hey", "greetings", "morning", "evening"),
    ("thanks", "thank", "thankful", "cheers"),
    ("goodbye", "bye", "farewell"),
    ("cost", "costs", "price", "fee", "fees", "charge", "charged"),
    ("lost", "lose", "stolen", "missing"),
    ("angry", "frustrated", "annoyed", "furious", "complains", "complaint", "unacceptable"),
    ("safe", "protected", "secure"),
    ("change", "update", "changed", "changes"),
    ("close", "closing", "cancel"),
    ("pin", "password"),
)
_MEANING: Final = {term: terms(group[0])[0] for group in _SYNONYMS for word in group for term in terms(word)}


def match(situation: Situation) -> dict[str, Any]:
    """The answer to `match_guidelines_v1`."""
    guidelines = _asked(situation.sections)
    done = frozenset(situation.sections.get("already_applied", []))
    heard = _Heard(situation.sections, [guideline["when"] for guideline in guidelines])
    checks, again, principles = [], [], []
    for guideline in guidelines:
        number, kind = guideline["id"], guideline.get("kind", "action")
        evidence = heard.evidence(guideline["when"], lasting=kind == "observation")
        if number in done:
            again.append(_reapplication(guideline, evidence))
        elif kind == "principle":
            principles += [number] if evidence else []
        elif kind != "choice":
            checks.append(_check(guideline, evidence))
    return {"checks": checks, "reapplications": again, "principles": principles}


def match_situations(situation: Situation) -> dict[str, Any]:
    """
    The answer to `match_situations_v1`. A choice is open where its own words are heard and those of one option at most
    are not decisive; a journey goes on one state each turn.
    """
    answer = match(situation)
    guidelines = _asked(situation.sections)
    heard = _Heard(situation.sections, [guideline["when"] for guideline in guidelines])
    fits = {guideline["id"] for guideline in guidelines if heard.evidence(guideline["when"], lasting=False)}
    choices = [_choice(guideline, fits) for guideline in guidelines if guideline.get("kind") == "choice"]
    used = {result["tool"] for result in situation.sections.get("results", []) if result["status"] == "done"}
    journeys = [_journey(journey, heard, used) for journey in situation.sections.get("journeys", [])]
    return {**answer, "choices": choices, "journeys": journeys}


def _asked(sections: Mapping[str, Any]) -> list[Any]:
    return [*sections.get("guidelines", []), *sections.get("more_guidelines", [])]


def _choice(guideline: Mapping[str, Any], fits: Collection[str]) -> dict[str, Any]:
    named = [option for option in guideline["options"] if option in fits]
    is_open = guideline["id"] in fits and len(named) != 1
    return {
        "guideline": guideline["id"],
        "evidence": "the request fits several" if is_open else "the request is clear, or another",
        "asked_before": "no",
        "settled": "no" if is_open else "yes",
        "options": (named or guideline["options"]) if is_open else named,
        "verdict": "ask" if is_open else "clear",
    }


def _journey(journey: Mapping[str, Any], heard: "_Heard", used: Collection[str]) -> dict[str, Any]:
    """
    One state further, wherever the customer answers, or the state's tool is among those *used*; by the first transition
    whose condition is heard, or has none.
    """
    states = {state["id"]: state for state in journey["states"]}
    path = journey.get("path", [])
    steps = []
    if path:
        state = states[path[-1]]
        ways = [
            way["to"]
            for way in state.get("next", [])
            if not way.get("when") or heard.evidence(way["when"], lasting=True)
        ]
        done = (state["kind"] != "tool" or state.get("tool") in used) and bool(ways or not state.get("next"))
        steps.append(
            {
                "state": state["id"],
                "evidence": "the customer went on",
                "completed": "completed" if done else "needs_tool" if state["kind"] == "tool" else "needs_customer",
                "leads_to": ways[0] if done and ways else "none",
            }
        )
    return {
        "journey": journey["id"],
        "situation": "goes on" if path else "begins",
        "course": "goes_on",
        "back_to": "none",
        "steps": steps,
    }


class _Heard:
    """
    What the customer said, as sets of terms: in the messages that wait for an answer, and ever. A term weighs the less
    the more of the *conditions* have it.
    """

    def __init__(self, sections: Mapping[str, Any], conditions: Iterable[str]) -> None:
        said = [message for message in sections.get("conversation", []) if message.get("from") == "customer"]
        self._new = [message["text"] for message in said if message.get("new")] or [m["text"] for m in said[-1:]]
        self._new_terms = _meanings(" ".join(self._new))
        told = [f"{name} {value}" for name, value in sections.get("variables", {}).items()]
        self._ever_terms = _meanings(" ".join([*(message["text"] for message in said), *told]))
        self._spread = Counter(term for condition in conditions for term in _meanings(condition))

    def evidence(self, condition: str, *, lasting: bool) -> str:
        """What decides that *condition* holds; empty if it does not."""
        for wanted in _alternatives(condition):
            if len(wanted) == 1 and self._spread[min(wanted)] > RARE_MAX:
                continue
            if self._share(wanted, self._new_terms) >= SHARE_NEEDED:
                return self._quote(wanted)
            if lasting and self._share(wanted, self._ever_terms) >= SHARE_REMEMBERED:
                return f"said before: {' '.join(sorted(wanted & self._ever_terms))}"
        return ""

    def _share(self, wanted: frozenset[str], heard: frozenset[str]) -> float:
        weights = {term: 1 / (self._spread[term] or 1) for term in wanted}
        return sum(weights[term] for term in wanted & heard) / sum(weights.values())

    def _quote(self, wanted: frozenset[str]) -> str:
        best = max(self._new, key=lambda text: len(wanted & _meanings(text)))
        return f"“{' '.join(best.split()[:EVIDENCE_WORDS_MAX])}”"


@lru_cache(maxsize=CONDITIONS_KEPT_MAX)
def _alternatives(condition: str) -> tuple[frozenset[str], ...]:
    """The sets of terms of which one must be heard: the parts of *condition* that `or` divides, and all of it."""
    whole = _meanings(condition)
    parts = (_meanings(part) for part in _ALTERNATIVE.split(condition))
    return tuple(dict.fromkeys((*filter(None, parts), whole))) if whole else ()


@lru_cache(maxsize=CONDITIONS_KEPT_MAX)
def _meanings(text: str) -> frozenset[str]:
    return frozenset(_MEANING.get(term, term) for term in terms(text)) - _FRAME


def _check(guideline: Mapping[str, Any], evidence: str) -> dict[str, Any]:
    return {
        "guideline": guideline["id"],
        "condition": _restated(guideline["when"]),
        "evidence": evidence or "nothing in the new messages",
        "verdict": _verdict(bool(evidence)),
    }


def _reapplication(guideline: Mapping[str, Any], evidence: str) -> dict[str, Any]:
    """A question that comes up again is a new occasion; a matter that is merely still there is not."""
    return {
        "guideline": guideline["id"],
        "condition": _restated(guideline["when"]),
        "evidence": evidence or "not raised again",
        "met_again": "yes" if evidence else "no",
        "outstanding": "substance" if evidence else "nothing",
        "verdict": _verdict(bool(evidence)),
    }


def _restated(condition: str) -> str:
    return " ".join(words(condition)[:RESTATED_WORDS_MAX])


def _verdict(applies: bool) -> str:
    return "applies" if applies else "not_now"


RULES: Final[Mapping[str, Rule]] = {"match_guidelines_v1": match, "match_situations_v1": match_situations}
