"""
Verification as a procedure without I/O: it yields what to ask a model, and is sent the answers.

Gate → mend by code → blind answers → cross-check → mend → again for what changed, up to the playbook's rounds. A
claim that is right costs nothing when it repeats its fact, and shares one blind call otherwise.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from services.verifier.domain import blind, crosscheck, revision
from services.verifier.domain.blueprints import (
    BlindAnswers,
    CrossCheck,
    Edit,
    blind_blueprint,
    cross_check_blueprint,
    edit_blueprint,
)
from services.verifier.domain.case import Case
from services.verifier.domain.claims import Piece, pieces_of, reply_of, verdicts_of
from services.verifier.domain.gate import reply_complaints
from services.verifier.domain.prompts import blind_prompt, cross_check_prompt, edit_prompt
from shared.arq.blueprint import Blueprint
from shared.arq.prompt import Prompt
from shared.events.claims import Judge, Verdict
from shared.events.turns import Adherence, FactRecord, GuidelineVerdict, Spent, Verification
from shared.playbook.model import Criticality, Guideline


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a model; `purpose` is a bounded label, `check` finds what is wrong with an answer's form."""

    purpose: str
    blueprint: Blueprint[Any]
    prompt: Prompt
    check: Callable[[Any], str | None]


class Procedure:
    """
    The verification of one draft. `run` once, to its end or to the first question that cannot be answered; then read
    `passed`, `reply` and `verification`.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._pieces = pieces_of(case.drafted.draft.segments, case.ground)
        self._judged: tuple[Adherence, ...] | None = None
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
        return "guideline_not_performed" if self._critical(GuidelineVerdict.NOT_PERFORMED) else ""

    @property
    def adherence(self) -> tuple[Adherence, ...]:
        """What is known of each guideline that the reply had to perform."""
        if self._judged is not None:
            return self._judged
        return crosscheck.declared_adherence(self._case.guidelines, self._pieces)

    @property
    def leaves(self) -> bool:
        """Whether the reply may be sent: it passed, or failures of single claims are only to be recorded."""
        return self._done and not self.rejection and (not self._failing() or not self._case.corrects)

    def run(self) -> Generator[Query, Any, None]:
        """Yields what to ask; expects the answer that fits the query's blueprint and passed its check."""
        case = self._case
        if any(complaint.startswith("restated") for complaint in self._complaints):
            self._done = True
            return
        mends = case.corrects and case.playbook.verification.rounds_max > 0
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
        if self._judged is None and not self._failing() and self._critical(GuidelineVerdict.UNJUDGED):
            yield from self._cross_check([], {})
        self._complaints = self._wrong_with(self.reply)
        self._done = True

    def _critical(self, verdict: GuidelineVerdict) -> bool:
        """Whether a guideline of high criticality is judged so."""
        high = {g.id for g in self._case.guidelines if g.criticality is Criticality.HIGH}
        return any(found.guideline_id in high and found.verdict is verdict for found in self.adherence)

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

    def _check(self, pieces: Sequence[Piece]) -> Generator[Query, Any, None]:
        """Blind answers for *pieces*, and the cross-check for what code cannot decide by them."""
        if not pieces:
            return
        answers = yield from self._ask_blind(pieces)
        judged = [crosscheck.by_code(piece, answers[piece.position]) for piece in pieces]
        undecided = [piece for piece in judged if piece.open]
        self._put(judged)
        if undecided:
            yield from self._cross_check(undecided, answers)

    def _ask_blind(self, pieces: Sequence[Piece]) -> Generator[Query, Any, dict[int, blind.Grounded]]:
        self._asked = True
        examination = blind.examine(pieces, self._facts, self._case.drafted.opened.turn.id)
        answers: BlindAnswers = yield Query(
            "verify",
            blind_blueprint(len(examination.questions), len(examination.facts)),
            blind_prompt([fact.text for fact in examination.facts], examination.questions),
            lambda said: blind.complaint(examination, said),
        )
        return blind.grounded(examination, answers)

    def _cross_check(self, pieces: Sequence[Piece], answers: dict[int, blind.Grounded]) -> Generator[Query, Any, None]:
        guidelines = self._case.guidelines
        claims = [
            {
                "text": piece.segment.text,
                "question": piece.segment.open_question,
                "answer": answers[piece.position].answer,
                "quote": answers[piece.position].quote,
            }
            for piece in pieces
        ]
        checked: CrossCheck = yield Query(
            "cross_check",
            cross_check_blueprint(len(claims), len(guidelines)),
            cross_check_prompt(claims, [_wording(g) for g in guidelines], self.reply),
            lambda said: crosscheck.complaint(said, len(claims), len(guidelines)),
        )
        self._judged = crosscheck.judged_adherence(guidelines, checked, self.reply)
        self._put(crosscheck.by_model(pieces, checked, self._facts))

    def _calibrate(self) -> Generator[Query, Any, None]:
        """Ask about claims that code has settled, only to learn how often the blind check agrees; verdicts stay."""
        settled = [piece for piece in self._pieces if piece.is_claim and not piece.dropped and not piece.failing]
        if settled:
            answers = yield from self._ask_blind(settled)
            fresh = [piece.rewritten(piece.segment, piece.correction) for piece in settled]
            again = [crosscheck.by_code(piece, answers[piece.position]) for piece in fresh]
            self.calibrated = all(piece.verdict in {Verdict.SUPPORTED, Verdict.UNCHECKED} for piece in again)

    def _mend(self) -> Generator[Query, Any, None]:
        self._pieces = revision.mended_by_code(self._pieces, self._case.ground)
        failing = [piece for piece in self._failing() if not piece.open]
        if not failing:
            return
        self._asked = True
        facts = blind.examine(failing, self._facts, "").facts
        playbook = self._case.playbook
        edit: Edit = yield Query(
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
        self._pieces = revision.edited(self._pieces, failing, edit, facts, self._case.ground)

    @property
    def _facts(self) -> tuple[FactRecord, ...]:
        return self._case.drafted.draft.facts

    def _failing(self) -> list[Piece]:
        return [piece for piece in self._pieces if piece.failing]

    def _put(self, judged: Sequence[Piece]) -> None:
        by_position = {piece.position: piece for piece in judged}
        self._pieces = tuple(
            by_position.get(piece.position, piece) if piece.is_claim else piece for piece in self._pieces
        )

    def _wrong_with(self, text: str) -> tuple[str, ...]:
        case = self._case
        return reply_complaints(text, case.drafted.draft.restated, case.known_guidelines, case.playbook)


def sha256_of(text: str) -> str:
    """The hash that names a reply, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _wording(guideline: Guideline) -> str:
    return f"{guideline.condition.strip().rstrip('.')} -> {guideline.action.strip()}"
