"""
What one turn's draft has to do: which guidelines it must perform, by which facts, in which mode.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.reasoner.domain.choosing import Choice, choices_of
from services.reasoner.domain.knowledge import Knowledge, Offered, offered, turn_words
from shared.events.claims import ReasoningMode
from shared.events.composition import Composition
from shared.events.tools import ToolResult
from shared.events.turns import FactRecord, Matching, TurnOpened, Utterance
from shared.playbook.active import active_guidelines
from shared.playbook.approved import composition_of
from shared.playbook.model import Criticality, Guideline, Playbook, Term
from shared.playbook.variables import variables_of

FOLLOWED_MAX = 6
"""More than five or six joint instructions are not reliably performed together (ManyIFEval, arXiv 2509.21051)."""
RESTATED_CHARS_MAX = 1_500
"""A longer guideline is shown in full, but not repeated: the repetition would cost more than its attention is worth."""
_RANK = {Criticality.HIGH: 0, Criticality.MEDIUM: 1, Criticality.LOW: 2}


@dataclass(frozen=True, slots=True)
class Task:
    """
    `follow` are restated and performed (`G1` is the first), `principles` heed in general; `observed` merely holds now.
    `choices` are the approved texts that `composition` shows (`T1` is the first of a strict reply's); `outdated` names
    variables that were told too long ago.
    """

    playbook: Playbook
    mode: ReasoningMode
    follow: tuple[Guideline, ...]
    principles: tuple[Guideline, ...]
    observed: tuple[Guideline, ...]
    facts: Offered
    terms: tuple[Term, ...]
    history: tuple[Utterance, ...]
    messages: tuple[Utterance, ...]
    customer_name: str
    composition: Composition = Composition.FLUID
    choices: tuple[Choice, ...] = ()
    outdated: tuple[str, ...] = ()


def task_of(
    opened: TurnOpened,
    matching: Matching,
    playbook: Playbook,
    knowledge: Knowledge,
    results: Sequence[ToolResult] = (),
    brought: Sequence[FactRecord] = (),
) -> Task:
    """
    What the reply to *opened* has to do by *playbook* when *matching* says which guidelines apply, after *results* of
    tools; *brought* are the facts of this turn from elsewhere.
    """
    guidelines = active_guidelines(matching, {guideline.id: guideline for guideline in playbook.guidelines})
    acting = sorted((g for g in guidelines if g.action), key=lambda g: _RANK[g.criticality])
    follow = tuple(g for g in acting if _restatable(g))[:FOLLOWED_MAX]
    history, messages = _split(opened)
    words = turn_words(
        [*(m.text for m in messages), *(guideline_text(g) for g in guidelines)], english=knowledge.english
    )
    composition = composition_of(playbook, guidelines)
    choices = choices_of(playbook, composition, opened, matching, results, words, english=knowledge.english)
    variables = variables_of(opened, playbook)
    facts = offered(knowledge, variables.current, words).records
    return Task(
        playbook=playbook,
        mode=mode_of(playbook, opened.turn.arm),
        follow=follow,
        principles=tuple(g for g in acting if g not in follow),
        observed=tuple(g for g in guidelines if not g.action),
        facts=Offered((*facts, *brought, *(choice.record for choice in choices))),
        terms=knowledge.relevant_terms(words),
        history=history,
        messages=messages,
        customer_name=opened.customer_name,
        composition=composition,
        choices=choices,
        outdated=variables.outdated,
    )


def mode_of(playbook: Playbook, arm: str) -> ReasoningMode:
    """How replies are reasoned: as the experiment's *arm* says, else as the playbook does."""
    if playbook.experiment is not None and arm in playbook.experiment.arms:
        return playbook.experiment.arms[arm].mode or playbook.mode
    return playbook.mode


def guideline_text(guideline: Guideline) -> str:
    """A guideline as one text, the one that is restated."""
    condition = guideline.condition.strip().rstrip(".")
    return f"{condition} -> {guideline.action.strip()}" if guideline.action else condition


def _restatable(guideline: Guideline) -> bool:
    return guideline.criticality is not Criticality.LOW and len(guideline_text(guideline)) <= RESTATED_CHARS_MAX


def messages_of(opened: TurnOpened) -> tuple[Utterance, ...]:
    """The messages that the turn answers."""
    return _split(opened)[1]


def _split(opened: TurnOpened) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """The transcript before the messages that the turn answers, and from the first of these on."""
    covered = set(opened.covers)
    for place, utterance in enumerate(opened.transcript):
        if utterance.id in covered:
            return opened.transcript[:place], opened.transcript[place:]
    return opened.transcript[:-1], opened.transcript[-1:]
