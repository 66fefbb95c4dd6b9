"""
The draft's blueprints: one for each reasoning mode, with the same conclusion, so that the modes can be compared.

`arq` restates what matters right before it decides (Karov, Zohar, Marcovitz 2025, arXiv 2503.03669): the customer's
question, the guidelines, the facts, at most three insights, whether to speak, and only then the reply, last. `cot`
reasons freely in one field; `direct` does not reason. The reply is a list of segments that name what they rest on
*before* they say it, so that the claims, their order and the question that checks each are known without another
call (CoVe's planning step, arXiv 2309.11495).
"""

from typing import Final, Literal

from shared.arq.blueprint import Blueprint, Queries
from shared.events.claims import ReasoningMode

REPLY = "reply"
STAY_SILENT = "stay_silent"
Decision = Literal["reply", "stay_silent"]

SegmentWord = Literal["claim", "action", "question", "social"]
ClaimWord = Literal["fact", "number", "policy", "action", "other"]


class RestatedAnswer(Queries):
    """A guideline, repeated word by word."""

    guideline: str
    text: str


class SegmentAnswer(Queries):
    """A part of the reply: which guidelines it performs, what it rests on, then what it says."""

    performs: tuple[str, ...]
    kind: SegmentWord
    claim_kind: ClaimWord
    fact_ids: tuple[str, ...]
    value: str
    open_question: str
    text: str


class ArqAnswer(Queries):
    """The queries of mode `arq`, in the order in which they are answered."""

    customer_asks: str
    guidelines: tuple[RestatedAnswer, ...]
    facts_needed: tuple[str, ...]
    insights: tuple[str, ...]
    decision: Decision
    segments: tuple[SegmentAnswer, ...]


class CotAnswer(Queries):
    """The queries of mode `cot`."""

    reasoning: str
    decision: Decision
    segments: tuple[SegmentAnswer, ...]


class DirectAnswer(Queries):
    """The queries of mode `direct`."""

    decision: Decision
    segments: tuple[SegmentAnswer, ...]


DraftAnswer = ArqAnswer | CotAnswer | DirectAnswer

_ANSWERS: Final[dict[ReasoningMode, tuple[str, type[ArqAnswer] | type[CotAnswer] | type[DirectAnswer]]]] = {
    ReasoningMode.ARQ: ("draft_arq_v1", ArqAnswer),
    ReasoningMode.COT: ("draft_cot_v1", CotAnswer),
    ReasoningMode.DIRECT: ("draft_direct_v1", DirectAnswer),
}


def draft_blueprint(mode: ReasoningMode, guidelines: int, facts: int) -> Blueprint[DraftAnswer]:
    """
    What a draft in *mode* is asked, when *guidelines* are to be restated (`G1` …) and *facts* are offered (`F1` …).
    """
    name, answer = _ANSWERS[mode]
    fact_numbers, guideline_numbers = numbers("F", facts), numbers("G", guidelines)
    return Blueprint(
        name,
        answer,
        (
            ("guideline", guideline_numbers),
            ("facts_needed", fact_numbers),
            ("performs", guideline_numbers),
            ("fact_ids", fact_numbers),
        ),
    )


def numbers(letter: str, count: int) -> tuple[str, ...]:
    """`F1` to `Fn`: names that recur from turn to turn, so that an endpoint compiles few schemas."""
    return tuple(f"{letter}{number}" for number in range(1, count + 1))
