"""
Mending, cheapest first: put the source's value, leave the segment out, write it anew. What passed stays as it is,
byte for byte.

The cheap repairs cannot break what is right (papers on self-correction find that free rewriting does as much harm
as good where drafts are mostly right); only what neither of them mends is written anew by the model, from the
verified source.
"""

from collections.abc import Sequence

from services.verifier.domain.blueprints import Edit, EditedSegment
from services.verifier.domain.claims import Piece
from services.verifier.domain.gate import Finding, Ground, asserts, judge
from shared.arq.open_question import open_question
from shared.events.claims import ClaimKind, Correction, Judge, Verdict
from shared.events.turns import FactRecord, Segment, SegmentKind
from shared.text.visible import cleaned


def gated(piece: Piece, ground: Ground) -> Piece:
    """*piece* with the gate's finding on its present text, if it asserts something and nothing is known yet."""
    if not piece.open:
        return piece
    finding: Finding = judge(piece.segment, ground)
    return piece.judged(finding.verdict, Judge.CODE, finding.reason, restored=finding.restored)


def mended_by_code(pieces: Sequence[Piece], ground: Ground) -> tuple[Piece, ...]:
    """
    *pieces* with every failing one restored to its source's value or, where the reply goes on to say something
    without it, left out. What neither mends stays failing.
    """
    mended = [_restored(piece, ground) if piece.failing and piece.restored else piece for piece in pieces]
    for place, piece in enumerate(mended):
        if piece.failing and not piece.open and _can_do_without(mended, place):
            mended[place] = piece.without()
    return tuple(mended)


def edited(
    pieces: Sequence[Piece], failing: Sequence[Piece], edit: Edit, facts: Sequence[FactRecord], ground: Ground
) -> tuple[Piece, ...]:
    """*pieces* with those in *failing* (`S1` is the first) as *edit* writes them; all others unchanged."""
    written = {segment.segment: segment for segment in edit.segments}
    by_position = {piece.position: written[f"S{number}"] for number, piece in enumerate(failing, start=1)}
    return tuple(
        _rewritten(piece, by_position[piece.position], facts, ground) if piece.position in by_position else piece
        for piece in pieces
    )


def complaint(edit: Edit, failing: int, facts: int) -> str | None:
    """What is wrong with the form of *edit*; None if every failing segment is written once, on facts that exist."""
    if sorted(said.segment for said in edit.segments) != sorted(f"S{number}" for number in range(1, failing + 1)):
        return f"segments: {failing} to be written once each, got {len(edit.segments)}"
    known = {f"F{number}" for number in range(1, facts + 1)}
    for said in edit.segments:
        if not known.issuperset(said.fact_ids):
            return f"segments: {said.segment} names a fact that was not given"
        if said.text.strip() and said.kind in {"claim", "action"} and not said.fact_ids:
            return f"segments: {said.segment} states something that rests on no fact"
    return None


def _restored(piece: Piece, ground: Ground) -> Piece:
    values = {"text": piece.restored, "value": ""}
    mended = piece.rewritten(piece.segment.model_copy(update=values), Correction.VALUE_RESTORED)
    return gated(mended, ground)


def _can_do_without(pieces: Sequence[Piece], place: int) -> bool:
    """Whether something but greetings is left when the piece at *place* goes; what may yet fail does not count."""
    return any(
        other != place
        and not piece.dropped
        and not (piece.failing and not piece.open)
        and piece.segment.kind is not SegmentKind.SOCIAL
        for other, piece in enumerate(pieces)
    )


def _rewritten(piece: Piece, said: EditedSegment, facts: Sequence[FactRecord], ground: Ground) -> Piece:
    text = cleaned(said.text).strip()
    if not text:
        return piece.without()
    cited = [facts[int(number[1:]) - 1] for number in dict.fromkeys(said.fact_ids)]
    segment = Segment(
        kind=SegmentKind(said.kind),
        text=text,
        claim_kind=ClaimKind(said.claim_kind),
        fact_ids=tuple(fact.id for fact in cited),
        value=said.value.strip(),
        open_question=open_question(said.open_question, text, said.value, [fact.text for fact in cited]),
        guideline_ids=piece.segment.guideline_ids,
    )
    mended = piece.rewritten(segment, Correction.EDITED)
    if not asserts(segment, ground):
        return mended.judged(Verdict.SUPPORTED, Judge.CODE, "states_nothing")
    return gated(mended, ground)
