"""
Verification as a procedure without I/O: it yields what to ask a model, and is sent the answers.

Gate → mend by code → blind answers → cross-check → mend → again for what changed, up to the playbook's rounds. A
claim that is right costs nothing when it repeats its fact, and shares one blind call otherwise.
"""

import hashlib
from collections.abc import Collection, Sequence

from services.verifier.domain import blind, crosscheck, questioning, revision
from services.verifier.domain.adherence import Judgement, adherence, judgements
from services.verifier.domain.approved import is_strict, unapproved
from services.verifier.domain.blind import NO_QUESTION, Grounded
from services.verifier.domain.blueprints import CrossCheck, Edit, JudgedGuideline, edit_blueprint
from services.verifier.domain.case import Case
from services.verifier.domain.claims import Piece, pieces_of, reply_of, verdicts_of
from services.verifier.domain.gate import reply_complaints
from services.verifier.domain.leaking import tells_instructions
from services.verifier.domain.prompts import edit_prompt
from services.verifier.domain.questioning import Asking, Query
from shared.events.claims import Judge, Verdict
from shared.events.turns import Adherence, FactRecord, GuidelineVerdict, Spent, Verification
from shared.playbook.model import Criticality, Variant


class Procedure:
    """
    The verification of one draft. `run` once, to its end or to the first question that cannot be answered; then read
    `passed`, `reply` and `verification`.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._pieces = pieces_of(case.drafted.draft.segments, case.ground)
        self._strict = is_strict(case)
        self._judged: dict[str, Judgement] = {}
        self._complaints = self._wrong_with(case.drafted.draft.text)
        self._asked = False
        self._done = False
        self.rounds = 0
        self.calibrated: bool | None = None
        """Whether the blind check agreed with code, where it was asked for calibration only."""

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The segments as they now stand."""
        return self._pieces

    @property
    def reply(self) -> str:
        """The reply as it now stands."""
        return reply_of(self._pieces)

    @property
    def passed(self) -> bool:
        """Whether everything in the reply is supported and nothing else is wrong with it."""
        return self._done and not self._failing() and not self.rejection

    @property
    def rejection(self) -> str:
        """Why the reply as a whole may not leave, a bounded word; empty if it may."""
        if self._complaints:
            return self._complaints[0].partition(":")[0]
        if not self.reply:
            return "empty"
        return "guideline_not_performed" if self._critical({GuidelineVerdict.NOT_PERFORMED}) else ""

    @property
    def adherence(self) -> tuple[Adherence, ...]:
        """What is known of each guideline that the reply had to perform."""
        return adherence(self._case.guidelines, self._judged, self._pieces)

    @property
    def leaves(self) -> bool:
        """Whether the reply may be sent: it passed, or failures of single claims are only to be recorded."""
        return self._done and not self.rejection and (not self._failing() or not self._case.corrects)

    def run(self) -> Asking[None]:
        """Yields what to ask, at once; expects the answers in that order, each of which passed its query's check."""
        case = self._case
        if any(complaint.startswith(("restated", "composition")) for complaint in self._complaints):
            self._done = True
            return
        # An approved text is sent as it was approved or not at all.
        mends = case.corrects and case.playbook.verification.rounds_max > 0 and not self._strict
        self._pieces = tuple(revision.gated(piece, case.ground) for piece in self._pieces)
        if mends and any(piece.failing and not piece.open for piece in self._pieces):
            self.rounds = 1
            self._pieces = revision.mended_by_code(self._pieces, case.ground)
        yield from self._check([piece for piece in self._pieces if piece.open])
        if case.calibrates and not self._asked:
            yield from self._calibrate()
        rounds_left = case.playbook.verification.rounds_max if mends else 0
        while self._failing() and rounds_left:
            rounds_left -= 1
            self.rounds += 1
            yield from self._mend()
            yield from self._check([piece for piece in self._pieces if piece.open])
        if case.variant is not Variant.OFF and not self._failing() and self._unsettled():
            yield from self._cross_check([])
        self._complaints = self._wrong_with(self.reply)
        self._done = True

    def _critical(self, verdicts: Collection[GuidelineVerdict]) -> list[str]:
        """The guidelines of high criticality that are judged so."""
        high = {g.id for g in self._case.guidelines if g.criticality is Criticality.HIGH}
        judged = [found for found in self.adherence if found.verdict in verdicts]
        return [found.guideline_id for found in judged if found.guideline_id in high]

    def _unsettled(self) -> bool:
        """Whether a guideline of high criticality is yet to be judged by somebody who sees the whole reply."""
        doubtful = self._critical({GuidelineVerdict.UNJUDGED, GuidelineVerdict.NOT_PERFORMED})
        return any(name not in self._judged or self._judged[name].masked for name in doubtful)

    def verification(self, spent: Spent) -> Verification:
        """The record, whether or not the procedure came to its end; `passed` in it says that the reply may leave."""
        return Verification(
            passed=self.leaves,
            verified_by=Judge.MODEL if self._asked else Judge.CODE,
            claims=verdicts_of(self._pieces),
            adherence=self.adherence,
            complaints=self._complaints,
            rounds=self.rounds,
            corrects=self._case.corrects,
            draft_sha256=sha256_of(self._case.drafted.draft.text),
            spent=spent,
        )

    def _check(self, pieces: Sequence[Piece]) -> Asking[None]:
        """Blind answers for *pieces*, and the cross-check for what code cannot decide by them."""
        if not pieces or self._case.variant is Variant.OFF:
            return
        self._asked = True
        asked = [piece for piece in pieces if not piece.unread]
        undecided = [(piece, NO_QUESTION) for piece in pieces if piece.unread]
        if asked:
            found = yield from questioning.check(asked, self._case, self._pieces)
            self._put([piece for piece, _ in found.checked])
            self._judge(found.guidelines, masked=self._case.variant is not Variant.JOINT)
            undecided += [(piece, answer) for piece, answer in found.checked if piece.open]
        if undecided:
            yield from self._cross_check(undecided)

    def _cross_check(self, undecided: Sequence[tuple[Piece, Grounded]]) -> Asking[None]:
        """One call for all claims and the guidelines, or one call a claim, the first with the guidelines."""
        self._asked = True
        alone = self._case.variant is Variant.FACTOR_REVISE
        groups = [[pair] for pair in undecided] if alone and undecided else [list(undecided)]
        guidelines = self._case.guidelines
        checked: Sequence[CrossCheck] = yield tuple(
            questioning.cross_check(group, guidelines if number == 0 else (), self.reply)
            for number, group in enumerate(groups)
        )
        self._judge(checked[0].guidelines, masked=False)
        for group, said in zip(groups, checked, strict=True):
            self._put(crosscheck.by_model([piece for piece, _ in group], said, self._facts))

    def _calibrate(self) -> Asking[None]:
        """Ask about claims that code has settled, only to learn how often the blind check agrees; verdicts stay."""
        settled = [piece for piece in self._pieces if piece.is_claim and not piece.dropped and not piece.failing]
        if settled:
            self._asked = True
            fresh = [piece.rewritten(piece.segment, piece.correction) for piece in settled]
            again = yield from questioning.check(fresh, self._case, self._pieces)
            self._judge(again.guidelines, masked=self._case.variant is not Variant.JOINT)
            verdicts = {piece.verdict for piece, _ in again.checked}
            self.calibrated = verdicts <= {Verdict.SUPPORTED, Verdict.UNCHECKED}

    def _judge(self, said: Sequence[JudgedGuideline], *, masked: bool) -> None:
        self._judged |= judgements(self._case.guidelines, said, masked=masked)

    def _mend(self) -> Asking[None]:
        self._pieces = revision.mended_by_code(self._pieces, self._case.ground)
        failing = [piece for piece in self._failing() if not piece.open]
        if not failing:
            return
        self._asked = True
        facts = blind.examine(failing, self._facts, "").facts
        playbook = self._case.playbook
        query = Query(
            "edit",
            edit_blueprint(len(failing), len(facts)),
            edit_prompt(
                [fact.text for fact in facts],
                [
                    {"text": piece.segment.text, "fault": piece.verdict.value, "verified": piece.hint}
                    for piece in failing
                ],
                [piece.segment.text for piece in self._pieces if not piece.dropped and piece not in failing],
                {"tone": playbook.profile.tone, "never_write": list(playbook.phrases.forbidden)},
            ),
            lambda said: revision.complaint(said, len(failing), len(facts)),
        )
        edit: Edit
        (edit,) = yield (query,)
        self._pieces = revision.edited(self._pieces, failing, edit, facts, self._case.ground)

    @property
    def _facts(self) -> tuple[FactRecord, ...]:
        return self._case.drafted.draft.facts

    def _failing(self) -> list[Piece]:
        unasked = self._case.variant is Variant.OFF
        return [piece for piece in self._pieces if piece.failing and not (unasked and piece.open)]

    def _put(self, judged: Sequence[Piece]) -> None:
        by_position = {piece.position: piece for piece in judged}
        self._pieces = tuple(
            by_position.get(piece.position, piece) if piece.is_claim else piece for piece in self._pieces
        )

    def _wrong_with(self, text: str) -> tuple[str, ...]:
        case = self._case
        found = reply_complaints(text, case.drafted.draft.restated, case.known_guidelines, case.playbook)
        if tells_instructions(text, case):
            found = (*found, "instructions: the reply tells what it was instructed")
        return (*unapproved(case, self._pieces), *found) if self._strict else found


def sha256_of(text: str) -> str:
    """The hash that names a reply, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
