"""
A draft under examination: its segments, each with what was found of it so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.verifier.domain.gate import Ground, asserts
from shared.events.claims import ClaimKind, Correction, Judge, Verdict
from shared.events.turns import ClaimVerdict, Segment, SegmentKind
from shared.text.visible import cleaned, hidden

STATES_NOTHING = "states_nothing"
"""Why a model lets a segment pass that code could not read: it greets or asks."""


@dataclass(frozen=True, slots=True)
class Piece:
    """
    A segment as it now stands, and as it was drafted. `position` counts the draft's claims from 1; 0 is a segment
    that asserts nothing.

    `first` is what was found of the draft's own text, `verdict` of the text as it is now. `hint` is what a verified
    source says in its place, for the edit.
    """

    segment: Segment
    position: int
    original: Segment
    verdict: Verdict = Verdict.UNCHECKED
    judge: Judge = Judge.NOBODY
    reason: str = ""
    restored: str = ""
    hint: str = ""
    first: Verdict | None = None
    first_judge: Judge = Judge.NOBODY
    first_reason: str = ""
    correction: Correction = Correction.NONE
    dropped: bool = False

    @property
    def is_claim(self) -> bool:
        """Whether it asserts something, or did before it was edited."""
        return self.position > 0

    @property
    def unread(self) -> bool:
        """Whether it is said to state nothing, in a language that code does not read: no question stands behind it."""
        return self.reason == "language"

    @property
    def open(self) -> bool:
        """Whether nothing is known of it yet."""
        return self.is_claim and not self.dropped and self.verdict is Verdict.UNCHECKED

    @property
    def failing(self) -> bool:
        """Whether it must not leave as it is."""
        return self.is_claim and not self.dropped and self.verdict is not Verdict.SUPPORTED

    def judged(self, verdict: Verdict, judge: Judge, reason: str, *, restored: str = "", hint: str = "") -> "Piece":
        """The piece with *verdict* on its present text; the first one is also the draft's."""
        known = replace(self, verdict=verdict, judge=judge, reason=reason, restored=restored, hint=hint or self.hint)
        if self.first is None and verdict is not Verdict.UNCHECKED:
            known = replace(known, first=verdict, first_judge=judge, first_reason=reason)
        return known

    def rewritten(self, segment: Segment, correction: Correction) -> "Piece":
        """The piece with another segment, of which nothing is known yet."""
        return replace(
            self,
            segment=_visible(segment),
            correction=correction,
            verdict=Verdict.UNCHECKED,
            judge=Judge.NOBODY,
            reason="",
            restored="",
        )

    def without(self) -> "Piece":
        """The piece left out of the reply; nothing wrong is said any more."""
        return replace(
            self, dropped=True, correction=Correction.DROPPED, verdict=Verdict.SUPPORTED, judge=Judge.CODE, restored=""
        )


def pieces_of(segments: Sequence[Segment], ground: Ground) -> tuple[Piece, ...]:
    """The segments of a draft without what they hide, its claims numbered: what is verified is what is sent."""
    pieces: list[Piece] = []
    position = 0
    for segment in map(_visible, segments):
        claims = bool(segment.text.strip()) and asserts(segment, ground)
        position += claims
        pieces.append(Piece(segment, position if claims else 0, segment))
    return tuple(pieces)


def reply_of(pieces: Sequence[Piece]) -> str:
    """The reply as it now stands: what `Draft.text` is for a draft."""
    return " ".join(piece.segment.text.strip() for piece in pieces if not piece.dropped and piece.segment.text.strip())


def verdicts_of(pieces: Sequence[Piece]) -> tuple[ClaimVerdict, ...]:
    """The record of every claim; what turned out to state nothing is none."""
    claims = [piece for piece in pieces if piece.is_claim and piece.first_reason != STATES_NOTHING]
    return tuple(_verdict(piece, position) for position, piece in enumerate(claims, start=1))


def _visible(segment: Segment) -> Segment:
    return segment.model_copy(update={"text": cleaned(segment.text)}) if hidden(segment.text) else segment


def _verdict(piece: Piece, position: int) -> ClaimVerdict:
    settled = piece.first is not None
    return ClaimVerdict(
        position=position,
        kind=ClaimKind.ACTION if piece.original.kind is SegmentKind.ACTION else piece.original.claim_kind,
        text=piece.original.text,
        draft_verdict=piece.first or Verdict.UNCHECKED,
        final_verdict=piece.verdict,
        correction=piece.correction,
        judge=piece.first_judge if settled else Judge.NOBODY,
        reason=piece.first_reason,
    )
