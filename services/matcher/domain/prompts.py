"""
The matcher's prompt: fixed rules and the catalogue first, so that providers can cache them, the conversation last.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.matcher.domain.candidates import Candidate
from services.matcher.domain.rules import CLOSING, JUDGING, SITUATIONS
from shared.arq.prompt import Section
from shared.arq.wording import contains_phrase
from shared.events.turns import TurnOpened, Utterance
from shared.playbook.model import Journey, State, Term

GLOSSARY_CHARS_MAX = 1_500
"""A larger glossary is not shown whole: only the terms that the conversation uses."""


def fixed_sections(glossary: Sequence[Term], *, with_situations: bool) -> tuple[Section, ...]:
    """The rules, with those about journeys and choices where a playbook has any, and a short glossary."""
    rules = f"{JUDGING}\n{SITUATIONS}" if with_situations else JUDGING
    sections = (Section("rules", rules),)
    return (*sections, _glossary(glossary)) if glossary and is_short(glossary) else sections


def catalogue(candidates: Sequence[Candidate]) -> Section:
    """The candidates that are asked about in every turn, as `G1`, `G2` …"""
    numbers = {candidate.id: f"G{place}" for place, candidate in enumerate(candidates, start=1)}
    return Section("guidelines", data=described(candidates, numbers))


def described(candidates: Sequence[Candidate], numbers: Mapping[str, str]) -> list[dict[str, Any]]:
    """*candidates* as data, under their *numbers* (by id)."""
    return [candidate.described(numbers[candidate.id], numbers) for candidate in candidates]


def journey_data(number: str, journey: Journey, path: Sequence[str], numbers: Mapping[str, str]) -> dict[str, Any]:
    """A journey under way as data; *numbers* are those of its states, by id."""
    data: dict[str, Any] = {"id": number, "title": journey.title}
    if journey.description:
        data["about"] = journey.description
    if path:
        data["path"] = [numbers[name] for name in path if name in numbers]
    data["states"] = [_state(state, numbers) for state in journey.states]
    return data


def turn_sections(opened: TurnOpened, already_applied: Sequence[str], terms: Sequence[Term]) -> tuple[Section, ...]:
    """What is known of the turn; *already_applied* are numbers, *terms* those to explain."""
    sections = []
    if terms:
        sections.append(_glossary(terms))
    if opened.variables:
        sections.append(Section("variables", data=dict(sorted(opened.variables.items()))))
    if opened.customer_name:
        sections.append(Section("customer", data={"name": opened.customer_name}))
    if already_applied:
        sections.append(Section("already_applied", data=list(already_applied)))
    sections.append(Section("conversation", data=_conversation(opened.transcript, frozenset(opened.covers))))
    return (*sections, Section("task", CLOSING))


def _state(state: State, numbers: Mapping[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {"id": numbers[state.id], "kind": str(state.kind)}
    if state.action:
        data["do"] = state.action
    if state.tool:
        data["tool"] = state.tool
    if state.needs_customer:
        data["needs_customer"] = True
    if state.next:
        data["next"] = [
            {"to": numbers.get(transition.to, transition.to)} | ({"when": transition.when} if transition.when else {})
            for transition in state.next
        ]
    return data


def is_short(glossary: Sequence[Term]) -> bool:
    """Whether the whole glossary is shown."""
    return sum(len(term.term) + len(term.meaning) for term in glossary) <= GLOSSARY_CHARS_MAX


def mentioned(glossary: Sequence[Term], transcript: Sequence[Utterance]) -> tuple[Term, ...]:
    """The terms that the transcript uses, by name or synonym, as many as may be shown."""
    text = "\n".join(utterance.text for utterance in transcript)
    found: list[Term] = []
    for term in glossary:
        if any(contains_phrase(text, name) for name in (term.term, *term.synonyms)):
            if not is_short([*found, term]):
                break
            found.append(term)
    return tuple(found)


def _glossary(terms: Sequence[Term]) -> Section:
    return Section("glossary", data=[_term(term) for term in terms])


def _term(term: Term) -> dict[str, Any]:
    data: dict[str, Any] = {"term": term.term, "means": term.meaning}
    return data | {"also": list(term.synonyms)} if term.synonyms else data


def _conversation(transcript: Sequence[Utterance], new: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {"from": str(utterance.author), "text": utterance.text} | ({"new": True} if utterance.id in new else {})
        for utterance in transcript
    ]
