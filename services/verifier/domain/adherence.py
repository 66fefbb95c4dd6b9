"""
Whether a reply did what its guidelines ask: by code where the guideline names the words, else by a model, evidence
first, else by the draft's own word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.verifier.domain.blueprints import JudgedGuideline
from services.verifier.domain.claims import Piece, reply_of
from shared.arq.wording import contains_phrase
from shared.events.claims import Judge
from shared.events.turns import Adherence, GuidelineVerdict
from shared.playbook.model import Guideline
from shared.text.english import content_set
from shared.text.plain import squeezed
from shared.text.words import words

QUOTED_WORDS_MIN = 2
"""A quotation of fewer words in a guideline's action names a thing and is not what is to be said."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What a model said of one guideline. `masked`: it saw the reply with the claims under question hidden; it is asked
    again with the whole reply before a reply is kept back on its word.
    """

    evidence: str
    verdict: GuidelineVerdict
    masked: bool


def mask(position: int) -> str:
    """The name that stands in a masked reply for the claim at *position*."""
    return f"claim {position}"


def judged_once(said: Sequence[JudgedGuideline], guidelines: int) -> str | None:
    """What is wrong with the form of *said*; None if each of *guidelines* guidelines is judged once."""
    judged = sorted(one.guideline for one in said)
    if judged != sorted(f"G{number}" for number in range(1, guidelines + 1)):
        return f"guidelines: {guidelines} to be judged once each, got {len(judged)}"
    return None


def judgements(
    guidelines: Sequence[Guideline], said: Sequence[JudgedGuideline], *, masked: bool
) -> dict[str, Judgement]:
    """What *said* (`G1` is the first of *guidelines*) judges, by guideline."""
    by_number = {one.guideline: one for one in said}
    return {
        guideline.id: Judgement(one.evidence, GuidelineVerdict(one.verdict), masked)
        for number, guideline in enumerate(guidelines, start=1)
        if (one := by_number.get(f"G{number}")) is not None
    }


def adherence(
    guidelines: Sequence[Guideline], judged: Mapping[str, Judgement], pieces: Sequence[Piece]
) -> tuple[Adherence, ...]:
    """
    What is known of each of *guidelines* in the reply that *pieces* now make.

    Code counts one as performed where the reply has every text that its action puts in quotation marks. A model's
    `performed` counts only on evidence that stands in the reply, and, where that is a masked claim, if the claim holds.
    Where nobody was asked, a segment that is still in the reply and was written to perform it is the draft's word.
    """
    return tuple(_of(guideline, judged.get(guideline.id), pieces) for guideline in guidelines)


def quotations(action: str) -> list[str]:
    """The texts in double quotation marks in *action*, of QUOTED_WORDS_MIN words at least."""
    return [text for text in squeezed(action).split('"')[1::2] if len(words(text)) >= QUOTED_WORDS_MIN]


def _of(guideline: Guideline, judgement: Judgement | None, pieces: Sequence[Piece]) -> Adherence:
    reply = reply_of(pieces)
    quoted = quotations(guideline.action)
    if quoted and all(contains_phrase(reply, text) for text in quoted):
        return _adherence(guideline, quoted[0], GuidelineVerdict.PERFORMED, Judge.CODE)
    if judgement is None:
        return _declared(guideline, pieces)
    if judgement.verdict is not GuidelineVerdict.PERFORMED:
        return _adherence(guideline, judgement.evidence, judgement.verdict, Judge.MODEL)
    if evidence := _standing(judgement, pieces, reply):
        return _adherence(guideline, evidence, GuidelineVerdict.PERFORMED, Judge.MODEL)
    return _adherence(guideline, "", GuidelineVerdict.UNJUDGED, Judge.NOBODY)


def _declared(guideline: Guideline, pieces: Sequence[Piece]) -> Adherence:
    for piece in pieces:
        if guideline.id in piece.segment.guideline_ids and not piece.dropped and not piece.failing:
            return _adherence(guideline, piece.segment.text, GuidelineVerdict.PERFORMED, Judge.DRAFT)
    return _adherence(guideline, "", GuidelineVerdict.UNJUDGED, Judge.NOBODY)


def _standing(judgement: Judgement, pieces: Sequence[Piece], reply: str) -> str:
    """The evidence, masked claims by their texts; empty where it does not stand in the reply."""
    named = [piece for piece in pieces if piece.is_claim and contains_phrase(judgement.evidence, mask(piece.position))]
    if judgement.masked and named:
        holds = all(not piece.dropped and not piece.failing for piece in named)
        return " ".join(piece.segment.text for piece in named) if holds else ""
    return judgement.evidence if content_set(judgement.evidence) & content_set(reply) else ""


def _adherence(guideline: Guideline, evidence: str, verdict: GuidelineVerdict, judge: Judge) -> Adherence:
    return Adherence(guideline_id=guideline.id, evidence=evidence, verdict=verdict, judge=judge)
