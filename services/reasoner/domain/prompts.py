"""
The draft's prompt: what never changes first (rules, the playbook's catalogue by id), then the history, which only
grows, then what this turn adds, the customer's message last.
"""

from collections.abc import Sequence
from typing import Any

from services.reasoner.domain.choosing import CANNED
from services.reasoner.domain.knowledge import PLAYBOOK, RETRIEVER, Knowledge
from services.reasoner.domain.rules import rules
from services.reasoner.domain.task import Task, guideline_text
from shared.arq.prompt import Prompt, Section
from shared.events.composition import Composition
from shared.events.turns import Utterance
from shared.playbook.model import Guideline, Playbook, Term


def catalogue(playbook: Playbook, knowledge: Knowledge) -> tuple[Section, ...]:
    """The part of the prompt that a playbook version fixes."""
    profile, phrases = playbook.profile, playbook.phrases
    agent: dict[str, Any] = {"name": profile.name, "description": profile.description, "tone": profile.tone}
    agent |= {"never_write": list(phrases.forbidden), "always_write": list(phrases.required)}
    agent["reply_characters_max"] = playbook.limits.reply_chars
    sections = [Section("agent", data={name: value for name, value in agent.items() if value})]
    if knowledge.all_terms and knowledge.terms:
        sections.append(_glossary(knowledge.terms))
    told = [{"name": variable.name, "about": variable.description} for variable in playbook.variables]
    if described := [entry for entry in told if entry["about"]]:
        sections.append(Section("variables", data=described))
    if knowledge.all_facts and knowledge.facts:
        sections.append(Section("facts", data=numbered([fact.text for fact in knowledge.facts])))
    return tuple(sections)


def draft_prompt(task: Task, fixed: Sequence[Section], knowledge: Knowledge) -> Prompt:
    """What the model is asked; *fixed* is the playbook's `catalogue`."""
    dynamic = [Section("history", data=_messages(task.history))]
    if not knowledge.all_terms and task.terms:
        dynamic.append(_glossary(task.terms))
    dynamic += _known(task, knowledge)
    dynamic.append(Section("guidelines", data=_guidelines(task)))
    now: dict[str, Any] = {"customer_name": task.customer_name, "messages": _messages(task.messages)}
    if task.outdated:
        now["not_known_any_more"] = list(task.outdated)
    dynamic.append(Section("now", data=now))
    return Prompt((Section("rules", rules(task.mode, task.composition)), *fixed), tuple(dynamic))


def numbered(texts: Sequence[str]) -> list[dict[str, str]]:
    """Facts as the prompt shows them, from `F1`."""
    return [{"id": f"F{place}", "text": text} for place, text in enumerate(texts, start=1)]


def _known(task: Task, knowledge: Knowledge) -> list[Section]:
    """The facts that the catalogue does not hold, and the approved texts; each fact by its number among all."""
    shown: dict[str, list[dict[str, str]]] = {}
    for number, record in task.facts.by_number().items():
        entry = {"id": number, "text": record.text}
        if record.source == CANNED:
            shown.setdefault("approved_texts", []).append(entry)
        elif record.source.startswith(RETRIEVER):
            shown.setdefault("documents", []).append(entry | ({"from": record.origin} if record.origin else {}))
        elif record.source != PLAYBOOK:
            shown.setdefault("conversation_facts", []).append(entry)
        elif not knowledge.all_facts:
            shown.setdefault("facts", []).append(entry)
    if task.composition is Composition.STRICT:
        texts = enumerate((choice.shown for choice in task.choices), start=1)
        shown["texts"] = [{"id": f"T{place}", "text": text} for place, text in texts]
        shown.pop("approved_texts", None)
    order = ("facts", "conversation_facts", "documents", "approved_texts", "texts")
    return [Section(name, data=shown[name]) for name in order if name in shown]


def _glossary(terms: Sequence[Term]) -> Section:
    return Section(
        "glossary",
        data=[
            {"term": term.term, "meaning": term.meaning} | ({"synonyms": list(term.synonyms)} if term.synonyms else {})
            for term in terms
        ],
    )


def _messages(utterances: Sequence[Utterance]) -> list[dict[str, str]]:
    return [{"by": utterance.author.value, "text": utterance.text} for utterance in utterances]


def _guidelines(task: Task) -> dict[str, Any]:
    follow = [{"guideline": f"G{place}", "text": guideline_text(g)} for place, g in enumerate(task.follow, start=1)]
    shown: dict[str, Any] = {"follow": follow}
    if task.principles:
        shown["principles"] = _texts(task.principles)
    if task.observed:
        shown["observed"] = _texts(task.observed)
    return shown


def _texts(guidelines: Sequence[Guideline]) -> list[str]:
    return [guideline_text(guideline) for guideline in guidelines]
