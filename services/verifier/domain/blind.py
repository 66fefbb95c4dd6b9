"""
The blind check: open questions on the facts, answered in a fresh context that holds nothing of the draft (CoVe's
two-step execution, arXiv 2309.11495; grounded here: the answers come from the facts offered, not from what the
model remembers). Guidelines are judged in the same call, by a reply in which the claims under question are masked.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from services.verifier.domain.adherence import judged_once, mask
from services.verifier.domain.blueprints import NO_FACT, BlindAnswer, BlindAnswers
from services.verifier.domain.claims import Piece
from shared.arq.open_question import open_question
from shared.events.turns import FactRecord
from shared.text.english import content_set, content_words
from shared.text.plain import folded

FACTS_CHARS_MAX = 1_600
"""
Facts beside those that the claims cite are shown up to this much, the likeliest first, so that a wrong citation
shows.
"""


@dataclass(frozen=True, slots=True)
class Examination:
    """One blind call: *pieces* in the order in which their questions are asked (`Q1` is the first), on *facts*."""

    pieces: tuple[Piece, ...]
    questions: tuple[str, ...]
    facts: tuple[FactRecord, ...]


@dataclass(frozen=True, slots=True)
class Grounded:
    """
    A blind answer, its quote compared with the fact. `quote` and `fact` are empty where the quote does not stand in
    the fact: such an answer is worth nothing.
    """

    question: str
    status: str
    answer: str
    quote: str
    fact: str


NO_QUESTION = Grounded("", "not_asked", "", "", "")
"""Stands for the answer behind a segment that is said to state nothing."""


def examine(
    pieces: Sequence[Piece], facts: Sequence[FactRecord], turn_id: str, *, neutral: bool = False
) -> Examination:
    """
    The questions behind *pieces*, shuffled by the turn's id, so that neither their order nor their neighbours tell
    what the draft said.
    *neutral* asks in code's own words instead of the draft's.
    """
    by_id = {fact.id: fact for fact in facts}
    asked = sorted(pieces, key=lambda piece: _shuffle(turn_id, piece.position))
    questions = tuple(_question(piece, by_id, neutral=neutral) for piece in asked)
    return Examination(tuple(asked), questions, _shown(asked, questions, facts))


def masked(pieces: Sequence[Piece], asked: Sequence[Piece], facts: Sequence[FactRecord]) -> str:
    """
    The reply of *pieces* with each of *asked* replaced by `[claim POSITION: QUESTION]`: what it would state is what is
    to be found out.
    """
    by_id = {fact.id: fact for fact in facts}
    hidden = {piece.position for piece in asked}
    return " ".join(
        f"[{mask(piece.position)}: {_question(piece, by_id, neutral=False)}]"
        if piece.position in hidden
        else piece.segment.text.strip()
        for piece in pieces
        if not piece.dropped and piece.segment.text.strip()
    )


def complaint(examination: Examination, answers: BlindAnswers, guidelines: int) -> str | None:
    """
    What is wrong with the form of *answers*; None if every question is answered once by facts that exist, and every
    guideline judged once.
    """
    asked = sorted(f"Q{number}" for number in range(1, len(examination.questions) + 1))
    if sorted(answer.question for answer in answers.answers) != asked:
        return f"answers: {len(asked)} questions to be answered once each, got {len(answers.answers)}"
    facts = {f"F{number}" for number in range(1, len(examination.facts) + 1)} | {NO_FACT}
    if any(answer.fact not in facts for answer in answers.answers):
        return "answers: a fact that was not given"
    return judged_once(answers.guidelines, guidelines)


def grounded(examination: Examination, answers: BlindAnswers) -> dict[int, Grounded]:
    """What is known of each claim by position, quotes compared with the facts they name."""
    found = {}
    for answer in answers.answers:
        piece = examination.pieces[int(answer.question[1:]) - 1]
        question = examination.questions[int(answer.question[1:]) - 1]
        found[piece.position] = _ground(question, answer, examination.facts)
    return found


def _ground(question: str, answer: BlindAnswer, facts: Sequence[FactRecord]) -> Grounded:
    if answer.status == "not_in_facts" or answer.fact == NO_FACT:
        return Grounded(question, "not_in_facts", "", "", "")
    fact = facts[int(answer.fact[1:]) - 1].text
    quote = folded(answer.quote).strip(" .\"'")
    if not quote or quote not in folded(fact):
        return Grounded(question, "not_in_facts", "", "", "")
    return Grounded(question, answer.status, answer.answer, answer.quote, fact)


def _question(piece: Piece, facts: dict[str, FactRecord], *, neutral: bool) -> str:
    segment = piece.segment
    cited = [facts[fact_id].text for fact_id in segment.fact_ids if fact_id in facts]
    return open_question("" if neutral else segment.open_question, segment.text, segment.value, cited)


def _shuffle(turn_id: str, position: int) -> bytes:
    return hashlib.sha256(f"{turn_id}\x1f{position}".encode()).digest()


def _shown(pieces: Sequence[Piece], questions: Sequence[str], facts: Sequence[FactRecord]) -> tuple[FactRecord, ...]:
    cited = {fact_id for piece in pieces for fact_id in piece.segment.fact_ids}
    words = frozenset(word for question in questions for word in content_words(question))
    ranked = sorted(
        (fact for fact in facts if fact.id not in cited),
        key=lambda fact: -len(words & content_set(fact.text)),
    )
    room = FACTS_CHARS_MAX
    for fact in ranked:
        if len(fact.text) <= room:
            cited.add(fact.id)
            room -= len(fact.text)
    return tuple(fact for fact in facts if fact.id in cited)
