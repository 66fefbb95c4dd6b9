"""
Replies of approved texts only: the model says freely what it would say, then picks the texts that say it.

Draft first, pick after: what was just written is what the texts are compared with, in the same answer (one call). A
pick is by number; what fills its fields is found by code, and `generative` fields are quoted from a fact, which code
checks. A text that fits badly is not sent: the playbook's `no_match` is.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from services.reasoner.domain.blueprints import REPLY, Decision, RestatedAnswer, numbers
from services.reasoner.domain.choosing import CANNED, Choice
from services.reasoner.domain.task import Task
from shared.arq.blueprint import Blueprint, Queries
from shared.arq.wording import contains_phrase
from shared.events.claims import ClaimKind, ReasoningMode
from shared.events.composition import FilledField
from shared.events.turns import FactRecord, Segment, SegmentKind
from shared.playbook.templates import Unfilled
from shared.text.plain import squeezed

PICKS_MAX: Final = 3
LOW: Final = "low"
MatchQuality = Literal["high", "partial", "low"]


class FieldAnswer(Queries):
    """A field that a fact has to fill: which fact, then its words."""

    field: str
    fact_id: str
    value: str


class PickAnswer(Queries):
    """An approved text: what of the draft it says and does, how well, and what fills it."""

    covers: str
    text_id: str
    fields: tuple[FieldAnswer, ...]
    performs: tuple[str, ...]
    quality: MatchQuality


class PickArqAnswer(Queries):
    """The queries of mode `arq` where only approved texts may be sent."""

    customer_asks: str
    guidelines: tuple[RestatedAnswer, ...]
    facts_needed: tuple[str, ...]
    insights: tuple[str, ...]
    decision: Decision
    draft: str
    picks: tuple[PickAnswer, ...]


class PickCotAnswer(Queries):
    """The queries of mode `cot` where only approved texts may be sent."""

    reasoning: str
    decision: Decision
    draft: str
    picks: tuple[PickAnswer, ...]


class PickDirectAnswer(Queries):
    """The queries of mode `direct` where only approved texts may be sent."""

    decision: Decision
    draft: str
    picks: tuple[PickAnswer, ...]


PickedAnswer = PickArqAnswer | PickCotAnswer | PickDirectAnswer

_ANSWERS: Final[dict[ReasoningMode, tuple[str, type[PickArqAnswer] | type[PickCotAnswer] | type[PickDirectAnswer]]]] = {
    ReasoningMode.ARQ: ("pick_arq_v1", PickArqAnswer),
    ReasoningMode.COT: ("pick_cot_v1", PickCotAnswer),
    ReasoningMode.DIRECT: ("pick_direct_v1", PickDirectAnswer),
}


def pick_blueprint(mode: ReasoningMode, guidelines: int, facts: int, texts: int) -> Blueprint[PickedAnswer]:
    """What a reply of approved texts is asked for, when *texts* may be used (`T1` …); see `draft_blueprint`."""
    name, answer = _ANSWERS[mode]
    fact_numbers, guideline_numbers = numbers("F", facts), numbers("G", guidelines)
    return Blueprint(
        name,
        answer,
        (
            ("guideline", guideline_numbers),
            ("facts_needed", fact_numbers),
            ("performs", guideline_numbers),
            ("fact_id", fact_numbers),
            ("text_id", numbers("T", texts)),
        ),
    )


def wrong_picks(task: Task, answer: PickedAnswer) -> Iterator[str]:
    """What is wrong with the texts that *answer* picks."""
    if answer.decision != REPLY:
        if answer.picks:
            yield "decision: silent, yet with picks"
        return
    if len(answer.picks) > PICKS_MAX:
        yield f"picks: {len(answer.picks)}, more than {PICKS_MAX}"
    said = [pick.text_id for pick in answer.picks]
    if len(set(said)) < len(said):
        yield "picks: a text is picked twice"
    for place, pick in enumerate(answer.picks, start=1):
        if pick.text_id not in numbers("T", len(task.choices)):
            yield f"pick {place}: names a text that was not offered"
            return
        if not set(numbers("G", len(task.follow))) >= set(pick.performs):
            yield f"pick {place}: performs a guideline that was not given"
        if pick.quality != LOW:
            yield from _wrong_fields(task, pick, place)


def segments_of(task: Task, answer: PickedAnswer) -> tuple[Segment, ...]:
    """The reply that *answer* picks, of which `wrong_picks` found nothing wrong; none where no text fits."""
    facts = task.facts.by_number()
    return tuple(_segment(task, pick, facts) for pick in answer.picks if pick.quality != LOW)


def _wrong_fields(task: Task, pick: PickAnswer, place: int) -> Iterator[str]:
    choice, facts = _choice(task, pick), task.facts.by_number()
    if sorted(field.field for field in pick.fields) != sorted(choice.generative):
        yield f"pick {place}: {len(choice.generative)} fields to be filled once each"
        return
    for field in pick.fields:
        fact = facts.get(field.fact_id)
        if fact is None or fact.source == CANNED:
            yield f"pick {place}: fills a field from a fact that was not offered"
        elif not contains_phrase(fact.text, field.value):
            yield f"pick {place}: fills a field with words that its fact does not have"
    try:
        choice.text(_found(pick.fields, facts))
    except Unfilled:
        yield f"pick {place}: the text cannot be filled"


def _segment(task: Task, pick: PickAnswer, facts: dict[str, FactRecord]) -> Segment:
    choice = _choice(task, pick)
    found = _found(pick.fields, facts)
    fields = (*choice.fields, *found)
    return Segment(
        kind=SegmentKind.CLAIM,
        text=choice.text(found),
        claim_kind=ClaimKind.FACT,
        fact_ids=tuple(dict.fromkeys([choice.record.id, *(field.fact_id for field in found)])),
        value=str(found[0].value) if len(found) == 1 else "",
        open_question=_question(choice) if found else "",
        guideline_ids=tuple(task.follow[int(number[1:]) - 1].id for number in dict.fromkeys(pick.performs)),
        canned_id=choice.reply.id,
        fields=fields,
    )


def _question(choice: Choice) -> str:
    names = [name.partition(".")[2].replace("_", " ") for name in choice.generative]
    return f"What do the facts say about the {' and the '.join(names)}?"


def _found(answers: Sequence[FieldAnswer], facts: dict[str, FactRecord]) -> tuple[FilledField, ...]:
    return tuple(
        FilledField(name=field.field, value=squeezed(field.value), fact_id=facts[field.fact_id].id)
        for field in answers
        if field.fact_id in facts
    )


def _choice(task: Task, pick: PickAnswer) -> Choice:
    return task.choices[int(pick.text_id[1:]) - 1]
