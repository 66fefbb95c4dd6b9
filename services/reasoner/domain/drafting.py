"""
From a model's answer to a draft: what is wrong with it, and what is kept of it.

A draft that breaks a rule is thrown away and made anew, never mended: one sign of a lost thread seldom comes alone
(MAKER, arXiv 2511.09030). The one exception is an open question that gives its answer away: the question is no part
of the reply, so code asks a neutral one in its place.
"""

from collections.abc import Iterator, Sequence

from services.reasoner.domain.blueprints import REPLY, ArqAnswer, CotAnswer, DraftAnswer, SegmentAnswer, numbers
from services.reasoner.domain.leaking import leaks
from services.reasoner.domain.strict import (
    PickArqAnswer,
    PickCotAnswer,
    PickDirectAnswer,
    PickedAnswer,
    segments_of,
    wrong_picks,
)
from services.reasoner.domain.task import Task, guideline_text
from shared.arq.open_question import open_question
from shared.arq.wording import contains_phrase, same_wording
from shared.events.claims import ClaimKind
from shared.events.turns import Draft, FactRecord, Restated, Segment, SegmentKind, Spent

SEGMENTS_MAX = 24
INSIGHTS_MAX = 3
INSIGHT_CHARS_MAX = 1_000
WOULD_SAY = "would say: "
"""Begins the insight that keeps what a strict reply's texts were picked for."""
ASSERTING = frozenset({"claim", "action"})


def complaint(task: Task, answer: DraftAnswer | PickedAnswer) -> str | None:
    """What is wrong with *answer*, without quoting anybody's text; None where it is good enough to be checked."""
    return next(_complaints(task, answer), None)


def draft_of(task: Task, answer: DraftAnswer | PickedAnswer, spent: Spent) -> Draft:
    """The draft that *answer* makes, which `complaint` found nothing wrong with."""
    insights: Sequence[str] = ()
    restated: tuple[Restated, ...] = ()
    if isinstance(answer, ArqAnswer | PickArqAnswer):
        insights = answer.insights[:INSIGHTS_MAX]
        restated = tuple(
            Restated(guideline_id=task.follow[int(said.guideline[1:]) - 1].id, text=said.text)
            for said in answer.guidelines
        )
    elif isinstance(answer, CotAnswer | PickCotAnswer):
        insights = (answer.reasoning,)
    if isinstance(answer, PickArqAnswer | PickCotAnswer | PickDirectAnswer) and answer.draft.strip():
        insights = (*insights, f"{WOULD_SAY}{answer.draft.strip()}")
    return Draft(
        mode=task.mode,
        composition=task.composition,
        segments=_segments(task, answer) if answer.decision == REPLY else (),
        facts=task.facts.records,
        restated=restated,
        insights=tuple(insight[:INSIGHT_CHARS_MAX] for insight in insights),
        spent=spent,
    )


def nothing_said(task: Task) -> Draft:
    """The record of a draft that nobody was asked for, because there is nothing that may be said."""
    return Draft(mode=task.mode, composition=task.composition, segments=(), facts=task.facts.records)


def _segments(task: Task, answer: DraftAnswer | PickedAnswer) -> tuple[Segment, ...]:
    if isinstance(answer, PickArqAnswer | PickCotAnswer | PickDirectAnswer):
        return segments_of(task, answer)
    facts = task.facts.by_number()
    return tuple(_segment(said, task, facts) for said in answer.segments)


def _complaints(task: Task, answer: DraftAnswer | PickedAnswer) -> Iterator[str]:
    if isinstance(answer, ArqAnswer | PickArqAnswer):
        yield from _wrongly_restated(task, answer)
        yield from _unknown_facts("facts_needed", answer.facts_needed, task)
    if isinstance(answer, PickArqAnswer | PickCotAnswer | PickDirectAnswer):
        yield from wrong_picks(task, answer)
    elif answer.decision == REPLY:
        yield from _wrong_segments(task, answer.segments)
        yield from _wrong_reply(task, " ".join(said.text.strip() for said in answer.segments))
    elif answer.segments:
        yield "decision: silent, yet with segments"


def _wrongly_restated(task: Task, answer: ArqAnswer | PickArqAnswer) -> Iterator[str]:
    given = {f"G{place}": guideline_text(guideline) for place, guideline in enumerate(task.follow, start=1)}
    said = [restated.guideline for restated in answer.guidelines]
    if sorted(said) != sorted(given):
        yield f"guidelines: {len(given)} to be restated once each, got {len(said)}"
        return
    for restated in answer.guidelines:
        if not same_wording(restated.text, given[restated.guideline]):
            yield f"guidelines: {restated.guideline} is not repeated word for word"


def _unknown_facts(place: str, numbers: Sequence[str], task: Task) -> Iterator[str]:
    if not task.facts.by_number().keys() >= set(numbers):
        yield f"{place}: names a fact that was not offered"


def _wrong_segments(task: Task, segments: Sequence[SegmentAnswer]) -> Iterator[str]:
    if not 1 <= len(segments) <= SEGMENTS_MAX:
        yield f"segments: {len(segments)}, outside 1 to {SEGMENTS_MAX}"
    for place, said in enumerate(segments, start=1):
        yield from _unknown_facts(f"segment {place}", said.fact_ids, task)
        if not set(numbers("G", len(task.follow))) >= set(said.performs):
            yield f"segment {place}: performs a guideline that was not given"
        if not said.text.strip():
            yield f"segment {place}: no text"
        if said.kind in ASSERTING and not said.fact_ids:
            yield f"segment {place}: states something that rests on no fact"


def _wrong_reply(task: Task, text: str) -> Iterator[str]:
    if len(text) > task.playbook.limits.reply_chars:
        yield f"reply: {len(text)} characters, more than {task.playbook.limits.reply_chars}"
    for number, phrase in enumerate(task.playbook.phrases.forbidden, start=1):
        if contains_phrase(text, phrase):
            yield f"reply: contains forbidden phrase {number}"
    for number, phrase in enumerate(task.playbook.phrases.required, start=1):
        if not contains_phrase(text, phrase):
            yield f"reply: lacks required phrase {number}"
    if leaks(text, task):
        yield "reply: tells what it was instructed"


def _segment(said: SegmentAnswer, task: Task, facts: dict[str, FactRecord]) -> Segment:
    cited = [facts[number] for number in dict.fromkeys(said.fact_ids)]
    asserts = said.kind in ASSERTING
    return Segment(
        kind=SegmentKind(said.kind),
        text=said.text.strip(),
        claim_kind=ClaimKind.ACTION if said.kind == "action" else ClaimKind(said.claim_kind),
        fact_ids=tuple(record.id for record in cited),
        value=said.value.strip(),
        open_question=_question(said, cited) if asserts else "",
        guideline_ids=tuple(task.follow[int(number[1:]) - 1].id for number in dict.fromkeys(said.performs)),
    )


def _question(said: SegmentAnswer, cited: Sequence[FactRecord]) -> str:
    return open_question(said.open_question, said.text, said.value, [record.text for record in cited])
