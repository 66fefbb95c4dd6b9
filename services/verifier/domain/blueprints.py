"""
What the verifier asks of a model: blind answers, the cross-check, the edit. Evidence comes before every verdict.
"""

from typing import Literal

from shared.arq.blueprint import Blueprint, Queries

NO_FACT = "none"
AnswerStatus = Literal["answered", "not_in_facts", "ambiguous"]
ClaimVerdictWord = Literal["supported", "partial", "contradicted", "unsupported", "states_nothing"]
AdherenceWord = Literal["performed", "partly", "not_performed", "not_applicable"]


class BlindAnswer(Queries):
    """
    One open question, answered from the facts alone: where it stands, then what it says, then whether that answers.
    """

    question: str
    fact: str
    quote: str
    answer: str
    status: AnswerStatus


class JudgedGuideline(Queries):
    """Whether the reply did what a guideline asks: where it shows, then whether it did."""

    guideline: str
    evidence: str
    verdict: AdherenceWord


class BlindAnswers(Queries):
    """All questions of one call, and the guidelines of the reply."""

    answers: tuple[BlindAnswer, ...]
    guidelines: tuple[JudgedGuideline, ...]


class CrossCheckedClaim(Queries):
    """A claim held against what another source answered."""

    claim: str
    evidence: str
    verdict: ClaimVerdictWord


class CrossCheck(Queries):
    """The claims that code could not decide, and the guidelines of the reply."""

    claims: tuple[CrossCheckedClaim, ...]
    guidelines: tuple[JudgedGuideline, ...]


class EditedSegment(Queries):
    """A failing segment, written anew: what it rests on, then what it says; an empty text leaves it out."""

    segment: str
    kind: Literal["claim", "action", "question", "social"]
    claim_kind: Literal["fact", "number", "policy", "action", "other"]
    fact_ids: tuple[str, ...]
    value: str
    open_question: str
    text: str


class Edit(Queries):
    """The failing segments of one call."""

    segments: tuple[EditedSegment, ...]


def blind_blueprint(questions: int, facts: int, guidelines: int) -> Blueprint[BlindAnswers]:
    """*questions* questions (`Q1` …) on *facts* facts (`F1` …), and *guidelines* guidelines (`G1` …)."""
    choices = (
        ("question", numbers("Q", questions)),
        ("fact", (*numbers("F", facts), NO_FACT)),
        ("guideline", numbers("G", guidelines)),
    )
    return Blueprint("blind_answers_v2", BlindAnswers, choices)


def cross_check_blueprint(claims: int, guidelines: int) -> Blueprint[CrossCheck]:
    """*claims* claims (`C1` …) and *guidelines* guidelines (`G1` …)."""
    choices = (("claim", numbers("C", claims)), ("guideline", numbers("G", guidelines)))
    return Blueprint("cross_check_v2", CrossCheck, choices)


def edit_blueprint(segments: int, facts: int) -> Blueprint[Edit]:
    """*segments* failing segments (`S1` …), to be written by *facts* facts (`F1` …)."""
    return Blueprint("edit_segments_v1", Edit, (("segment", numbers("S", segments)), ("fact_ids", numbers("F", facts))))


def numbers(letter: str, count: int) -> tuple[str, ...]:
    """`Q1` to `Qn`: names that recur, so that an endpoint compiles few schemas."""
    return tuple(f"{letter}{number}" for number in range(1, count + 1))
