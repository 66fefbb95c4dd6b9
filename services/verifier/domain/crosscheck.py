"""
The cross-check: what a claim says against what the blind answer says (CoVe's factor+revise step, arXiv 2309.11495).

Code decides where it can: typed values, and claims whose words all stand in the quote. The rest goes to the model,
which sees claim, question, answer and quote. The model's `supported` is believed only where code finds the claim's
subject in the facts at all, so that a checker that agrees with everything lets no invention out.
"""

from collections.abc import Mapping, Sequence

from services.verifier.domain.blind import Grounded
from services.verifier.domain.blueprints import CrossCheck
from services.verifier.domain.claims import Piece
from services.verifier.domain.gate import replaced, source_value
from services.verifier.domain.values import Value, standing_forms, stands, values_in
from shared.arq.wording import content_set, negations, reads_english, stem
from shared.events.claims import Judge, Verdict
from shared.events.turns import Adherence, FactRecord, GuidelineVerdict
from shared.playbook.model import Guideline

SHARED_WORDS_MIN = 0.25
"""Share of a claim's words of content that its facts must have before a model's `supported` counts."""

NOVEL_WORDS_MAX = 1
"""Words of its own that a claim may have when code takes it for supported by its value alone."""
_STRONG_WORDS = "always all any every everyone free guaranteed instantly immediately unlimited automatically forever"
_STRONG = frozenset(stem(word) for word in _STRONG_WORDS.split())


def by_code(piece: Piece, answer: Grounded) -> Piece:
    """*piece* judged by *answer* where code can; unchanged where a model has to."""
    if answer.status == "not_in_facts":
        return piece.judged(Verdict.UNSUPPORTED, Judge.CODE, "not_in_facts")
    if answer.status != "answered":
        return piece
    text = piece.segment.text
    stated = values_in(text)
    if wrong := _differing(stated, answer):
        restored = ""
        if len(wrong) == 1 and (literal := source_value(wrong[0], text, [_told(answer)])):
            restored = replaced(text, wrong[0], literal)
        return piece.judged(Verdict.CONTRADICTED, Judge.CODE, "other_value", restored=restored, hint=_told(answer))
    reason = _confirmation(piece, stated, answer)
    return piece.judged(Verdict.SUPPORTED, Judge.CODE, reason) if reason else piece


def _confirmation(piece: Piece, stated: Sequence[Value], answer: Grounded) -> str:
    """Why code takes the claim for supported by *answer*; empty where a model has to judge."""
    text = piece.segment.text
    if not _in_order(stated, answer.quote) or negations(text) != negations(answer.quote):
        return ""
    if content_set(text) <= content_set(answer.quote):
        return "words_stand_in_quote"
    in_answer = standing_forms(answer.answer)
    if any(stands(value, in_answer) for value in stated) and not _adds(piece, answer):
        return "value_answered"
    return ""


def by_model(pieces: Sequence[Piece], checked: CrossCheck, facts: Sequence[FactRecord]) -> tuple[Piece, ...]:
    """*pieces* (`C1` is the first) with the verdicts of *checked*."""
    by_id = {fact.id: fact for fact in facts}
    judged = list(pieces)
    for said in checked.claims:
        place = int(said.claim[1:]) - 1
        piece = pieces[place]
        verdict, reason = Verdict(said.verdict), "cross_check"
        if verdict is Verdict.SUPPORTED and not _has_ground(piece, by_id):
            verdict, reason = Verdict.UNSUPPORTED, "subject_not_in_facts"
        judged[place] = piece.judged(verdict, Judge.MODEL, reason)
    return tuple(judged)


def complaint(checked: CrossCheck, claims: int, guidelines: int) -> str | None:
    """What is wrong with the form of *checked*; None if every claim and guideline is judged once."""
    if sorted(said.claim for said in checked.claims) != sorted(f"C{number}" for number in range(1, claims + 1)):
        return f"claims: {claims} to be judged once each, got {len(checked.claims)}"
    judged = sorted(said.guideline for said in checked.guidelines)
    if judged != sorted(f"G{number}" for number in range(1, guidelines + 1)):
        return f"guidelines: {guidelines} to be judged once each, got {len(judged)}"
    return None


def declared_adherence(guidelines: Sequence[Guideline], pieces: Sequence[Piece]) -> tuple[Adherence, ...]:
    """
    What the draft itself says of each guideline: performed where a segment that is still in the reply was written to
    perform it; else unjudged. It costs no call; a model's judgement replaces it where there is one.
    """
    by_guideline = {
        name: piece.segment.text
        for piece in reversed(pieces)
        if not piece.dropped and not piece.failing
        for name in piece.segment.guideline_ids
    }
    return tuple(
        Adherence(guideline_id=g.id, evidence=by_guideline[g.id], verdict=GuidelineVerdict.PERFORMED)
        if g.id in by_guideline
        else Adherence(guideline_id=g.id, verdict=GuidelineVerdict.UNJUDGED)
        for g in guidelines
    )


def judged_adherence(guidelines: Sequence[Guideline], checked: CrossCheck, reply: str) -> tuple[Adherence, ...]:
    """The model's judgement of each guideline; `performed` without evidence in the reply does not count."""
    said = {judged.guideline: judged for judged in checked.guidelines}
    found = []
    for number, guideline in enumerate(guidelines, start=1):
        judged = said[f"G{number}"]
        verdict = GuidelineVerdict(judged.verdict)
        if verdict is GuidelineVerdict.PERFORMED and not content_set(judged.evidence) & content_set(reply):
            verdict = GuidelineVerdict.UNJUDGED
        found.append(Adherence(guideline_id=guideline.id, evidence=judged.evidence, verdict=verdict))
    return tuple(found)


def _told(answer: Grounded) -> str:
    """What a verified source says: the quote, which stands in the fact; the answer's own words may not."""
    return answer.quote


def _differing(stated: Sequence[Value], answer: Grounded) -> list[Value]:
    """The values of the claim that differ from values of their kind in the answer."""
    told = f"{answer.answer} {answer.quote}"
    known = standing_forms(told)
    kinds = {value.kind for value in values_in(told)}
    return [value for value in stated if value.kind in kinds and not stands(value, known)]


def _in_order(stated: Sequence[Value], quote: str) -> bool:
    """Whether *quote* states all values of the claim, in its order and as often: `5 to 5 days` is not `3 to 5 days`."""
    told = iter(values_in(quote))
    return all(any(stands(value, standing_forms(quote[own.start : own.end])) for own in told) for value in stated)


def _adds(piece: Piece, answer: Grounded) -> bool:
    """
    Whether the claim says more than its value: words that neither the fact nor the question has, or a turned
    meaning.
    """
    text = piece.segment.text
    novel = content_set(text) - content_set(answer.fact) - content_set(answer.question)
    return len(novel) > NOVEL_WORDS_MAX or bool(novel & _STRONG)


def _has_ground(piece: Piece, facts: Mapping[str, FactRecord]) -> bool:
    text = piece.segment.text
    cited = " ".join(facts[fact_id].text for fact_id in piece.segment.fact_ids if fact_id in facts)
    if not (reads_english(text) and reads_english(cited)):
        # Words of two languages cannot be compared by their letters.
        return bool(cited)
    said = content_set(text)
    return not said or len(said & content_set(cited)) >= SHARED_WORDS_MIN * len(said)
