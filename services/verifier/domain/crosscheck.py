"""
The cross-check: what a claim says against what the blind answer says (CoVe's factor+revise step, arXiv 2309.11495).

Code decides where it can: typed values, and claims whose words stand in what was quoted. What it flags goes to the
model, which sees claim, question, answer and quote. The model's `supported` is believed only where code finds the claim
subject in the facts at all, so that a checker that agrees with everything lets no invention out.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from services.verifier.domain.adherence import judged_once
from services.verifier.domain.blind import Grounded
from services.verifier.domain.blueprints import CrossCheck
from services.verifier.domain.claims import STATES_NOTHING, Piece
from services.verifier.domain.gate import replaced, source_value
from services.verifier.domain.values import Value, standing_forms, stands, values_in
from shared.events.claims import Judge, Verdict
from shared.events.turns import FactRecord, SegmentKind
from shared.text.english import content_set, content_words, negations, reads_english, stem
from shared.text.plain import folded

SHARED_WORDS_MIN = 0.25
"""Share of a claim's words of content that its facts must have before a model's `supported` counts."""

# Words of a service's English that put a fact another way and say nothing of their own.
_PLAIN_WORDS = """
    pay cost charge price get give take need make go come reach arrive stay use case yes please note each every per but
    though while whereas well too again
"""
_PLAIN: Final = frozenset(stem(word) for word in _PLAIN_WORDS.split())


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
    reason = _confirmation(text, answer)
    return piece.judged(Verdict.SUPPORTED, Judge.CODE, reason) if reason else piece


def _confirmation(text: str, answer: Grounded) -> str:
    """
    Why code takes *text* for supported by *answer*; empty where a model has to judge.

    It has to say what the quote says, in its order, no more and no less: a word of its own may be another product's
    name, two words in another order another statement, and what is left out the condition. (Measured on the labelled
    drafts of `samples/verification`: one word of its own and any order let 12 of 29 wrong entities pass.)
    """
    quote = answer.quote
    if not (reads_english(text) and reads_english(answer.fact)):
        # Which words bear meaning is known for English alone; elsewhere only the quote's own words settle anything.
        return "words_stand_in_quote" if folded(text).strip(" .!") in folded(quote) else ""
    if negations(text) != negations(quote) or not _same_values(values_in(text), quote):
        return ""
    return "words_stand_in_quote" if _bare_words(text) == _bare_words(quote) else ""


def by_model(pieces: Sequence[Piece], checked: CrossCheck, facts: Sequence[FactRecord]) -> tuple[Piece, ...]:
    """*pieces* (`C1` is the first) with the verdicts of *checked*."""
    by_id = {fact.id: fact for fact in facts}
    judged = list(pieces)
    for said in checked.claims:
        place = int(said.claim[1:]) - 1
        piece = pieces[place]
        verdict, reason = _believed(piece, said.verdict, by_id)
        judged[place] = piece.judged(verdict, Judge.MODEL, reason)
    return tuple(judged)


def _believed(piece: Piece, word: str, facts: Mapping[str, FactRecord]) -> tuple[Verdict, str]:
    """What a model's *word* makes of *piece*, and why."""
    if word == STATES_NOTHING:
        greets_or_asks = piece.unread and piece.segment.kind in {SegmentKind.SOCIAL, SegmentKind.QUESTION}
        return (Verdict.SUPPORTED if greets_or_asks else Verdict.UNSUPPORTED), STATES_NOTHING
    if word == Verdict.SUPPORTED and not _has_ground(piece, facts):
        return Verdict.UNSUPPORTED, "subject_not_in_facts"
    return Verdict(word), "cross_check"


def complaint(checked: CrossCheck, claims: int, guidelines: int) -> str | None:
    """What is wrong with the form of *checked*; None if every claim and guideline is judged once."""
    if sorted(said.claim for said in checked.claims) != sorted(f"C{number}" for number in range(1, claims + 1)):
        return f"claims: {claims} to be judged once each, got {len(checked.claims)}"
    return judged_once(checked.guidelines, guidelines)


def _told(answer: Grounded) -> str:
    """What a verified source says: the quote, which stands in the fact; the answer's own words may not."""
    return answer.quote


def _differing(stated: Sequence[Value], answer: Grounded) -> list[Value]:
    """The values of the claim that differ from values of their kind in the answer."""
    told = f"{answer.answer} {answer.quote}"
    known = standing_forms(told)
    kinds = {value.kind for value in values_in(told)}
    return [value for value in stated if value.kind in kinds and not stands(value, known)]


def _same_values(stated: Sequence[Value], quote: str) -> bool:
    """Whether *quote* states the values of the claim, in its order and as often: `5 to 5 days` is not `3 to 5 days`."""
    told = values_in(quote)
    return len(told) == len(stated) and all(
        stands(own, standing_forms(quote[other.start : other.end])) for own, other in zip(stated, told, strict=True)
    )


def _bare_words(text: str) -> list[str]:
    """The words of content in *text* in order, without its values and plain words."""
    kept, end = [], 0
    for value in values_in(text):
        kept.append(text[end : value.start])
        end = value.end
    kept.append(text[end:])
    return [word for word in content_words(" ".join(kept)) if word not in _PLAIN]


def _has_ground(piece: Piece, facts: Mapping[str, FactRecord]) -> bool:
    text = piece.segment.text
    cited = " ".join(facts[fact_id].text for fact_id in piece.segment.fact_ids if fact_id in facts)
    if not (reads_english(text) and reads_english(cited)):
        # Words of two languages cannot be compared by their letters.
        return bool(cited)
    said = content_set(text)
    return not said or len(said & content_set(cited)) >= SHARED_WORDS_MIN * len(said)
