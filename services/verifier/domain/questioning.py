"""
How the questions behind claims are put: all in one call, one call each, until one verdict is ahead, or (joint) with
the draft.

Everything here yields queries that may be asked at once, and is sent their answers.
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from services.verifier.domain import blind, crosscheck
from services.verifier.domain.blind import Examination, Grounded
from services.verifier.domain.blueprints import JudgedGuideline, blind_blueprint, cross_check_blueprint
from services.verifier.domain.case import Case
from services.verifier.domain.claims import Piece, reply_of
from services.verifier.domain.prompts import blind_prompt, cross_check_prompt
from shared.arq.blueprint import Blueprint
from shared.arq.prompt import Prompt
from shared.events.claims import ClaimKind, Judge, Verdict
from shared.events.turns import SegmentKind
from shared.playbook.model import Guideline, Variant

QUESTIONS_TOGETHER_MAX = 10
"""More questions than this are asked one call each: errors in one long answer are correlated."""
VOTES_MAX = 8
AHEAD_BY = 2
"""First to ahead by k (MAKER, arXiv 2511.09030): with k = 2 an undisputed claim takes two votes."""
VOTE_TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class Query:
    """
    One question to a model; `purpose` is a bounded label, `check` finds what is wrong with an answer's form.
    `temperature` where it must be another than usual.
    """

    purpose: str
    blueprint: Blueprint[Any]
    prompt: Prompt
    check: Callable[[Any], str | None]
    temperature: float | None = None


T = TypeVar("T")
Asking = Generator[tuple[Query, ...], Sequence[Any], T]
Checked = list[tuple[Piece, Grounded]]


@dataclass(frozen=True, slots=True)
class Found:
    """
    What the blind check found: the pieces that were asked about, each with its answer and judged by it where code can;
    and what was said of the guidelines, if they were judged.
    """

    checked: Checked
    guidelines: tuple[JudgedGuideline, ...] = ()


def check(pieces: Sequence[Piece], case: Case, whole: Sequence[Piece]) -> Asking[Found]:
    """
    Blind answers on every one of *pieces*. The first call also judges the guidelines, by the reply of the *whole*, in
    which *pieces* are masked; votes do not, as each of them is cast on one claim alone.
    """
    risky = [piece for piece in pieces if _is_risky(piece, case)]
    voting = risky if case.playbook.verification.votes and case.variant is not Variant.JOINT else []
    others = [piece for piece in pieces if piece not in voting]
    examinations = [
        blind.examine(group, case.drafted.draft.facts, case.drafted.opened.turn.id)
        for group in _groups(others, risky, case.variant)
    ]
    draft = reply_of(whole) if case.variant is Variant.JOINT else ""
    shown = draft or blind.masked(whole, pieces, case.drafted.draft.facts)
    checked: Checked = []
    guidelines: tuple[JudgedGuideline, ...] = ()
    if examinations:
        said = yield tuple(
            _blind_query(examination, case.guidelines if number == 0 else (), shown, draft)
            for number, examination in enumerate(examinations)
        )
        guidelines = said[0].guidelines
        for examination, answers in zip(examinations, said, strict=True):
            grounded = blind.grounded(examination, answers)
            for piece in examination.pieces:
                answer = grounded[piece.position]
                checked.append((_judged(piece, answer, case), answer))
    if voting:
        checked += yield from _vote(voting, case)
    return Found(checked, guidelines)


def cross_check(undecided: Sequence[tuple[Piece, Grounded]], guidelines: Sequence[Guideline], reply: str) -> Query:
    """The cross-check of *undecided* claims, with the judgement of *guidelines* by *reply*."""
    claims = [
        {"text": piece.segment.text, "question": answer.question, "answer": answer.answer, "quote": answer.quote}
        for piece, answer in undecided
    ]
    return Query(
        "cross_check",
        cross_check_blueprint(len(claims), len(guidelines)),
        cross_check_prompt(claims, [_wording(guideline) for guideline in guidelines], reply),
        lambda said: crosscheck.complaint(said, len(claims), len(guidelines)),
    )


def leader(votes: Sequence[Verdict]) -> Verdict | None:
    """The verdict that is ahead of every other by AHEAD_BY; None while none is."""
    counts = Counter(votes).most_common(2)
    if not counts:
        return None
    second = counts[1][1] if len(counts) > 1 else 0
    return counts[0][0] if counts[0][1] - second >= AHEAD_BY else None


def _vote(pieces: Sequence[Piece], case: Case) -> Asking[Checked]:
    """
    Ask about each of *pieces* again and again, in turns by its own question and by code's, until one verdict is
    ahead; a claim without one after VOTES_MAX votes is unsupported.
    """
    ballots: dict[int, Checked] = {piece.position: [] for piece in pieces}
    turn_id, facts = case.drafted.opened.turn.id, case.drafted.draft.facts
    decided: Checked = []
    waiting = list(pieces)
    for number in range(0, VOTES_MAX, AHEAD_BY):
        examinations = [
            blind.examine([piece], facts, turn_id, neutral=(number + step) % 2 == 1)
            for piece in waiting
            for step in range(AHEAD_BY)
        ]
        said = yield tuple(_blind_query(examination, temperature=VOTE_TEMPERATURE) for examination in examinations)
        for examination, answers in zip(examinations, said, strict=True):
            [piece] = examination.pieces
            answer = blind.grounded(examination, answers)[piece.position]
            ballots[piece.position].append((_judged(piece, answer, case), answer))
        counted = [(piece, ballots[piece.position]) for piece in waiting]
        decided += [winner for piece, cast in counted if (winner := _winner(piece, cast)) is not None]
        waiting = [piece for piece, cast in counted if _winner(piece, cast) is None]
        if not waiting:
            return decided
    return decided + [
        (piece.judged(Verdict.UNSUPPORTED, Judge.VOTE, "votes_divided"), ballots[piece.position][-1][1])
        for piece in waiting
    ]


def _winner(piece: Piece, cast: Checked) -> tuple[Piece, Grounded] | None:
    verdict = leader([piece.verdict for piece, _ in cast])
    if verdict is None:
        return None
    said, answer = next((said, answer) for said, answer in cast if said.verdict is verdict)
    if verdict is Verdict.UNCHECKED:
        return piece, answer
    return piece.judged(verdict, Judge.VOTE, said.reason, restored=said.restored, hint=said.hint), answer


def _judged(piece: Piece, answer: Grounded, case: Case) -> Piece:
    """By code; in the variant that has a model compare each claim, code only says what the facts do not have at all."""
    judged = crosscheck.by_code(piece, answer)
    compares = case.variant is Variant.FACTOR_REVISE and judged.verdict is Verdict.SUPPORTED
    return piece if compares else judged


def _groups(pieces: Sequence[Piece], risky: Sequence[Piece], variant: Variant) -> list[list[Piece]]:
    if not pieces or variant is Variant.JOINT:
        return [list(pieces)] if pieces else []
    if variant is not Variant.TWO_STEP or len(pieces) > QUESTIONS_TOGETHER_MAX:
        return [[piece] for piece in pieces]
    together = [piece for piece in pieces if piece not in risky]
    return [[piece] for piece in pieces if piece in risky] + ([together] if together else [])


def _is_risky(piece: Piece, case: Case) -> bool:
    kind = ClaimKind.ACTION if piece.segment.kind is SegmentKind.ACTION else piece.segment.claim_kind
    return kind in case.playbook.verification.risky_kinds


def _blind_query(
    examination: Examination,
    guidelines: Sequence[Guideline] = (),
    reply: str = "",
    draft: str = "",
    temperature: float | None = None,
) -> Query:
    facts, wordings = [fact.text for fact in examination.facts], [_wording(guideline) for guideline in guidelines]
    return Query(
        "verify",
        blind_blueprint(len(examination.questions), len(facts), len(wordings)),
        blind_prompt(facts, examination.questions, wordings, reply, draft),
        lambda said: blind.complaint(examination, said, len(wordings)),
        temperature,
    )


def _wording(guideline: Guideline) -> str:
    return f"{guideline.condition.strip().rstrip('.')} -> {guideline.action.strip()}"
