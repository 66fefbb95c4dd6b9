"""
What a step makes known: turns opened and turns closed.
"""

import hashlib
from enum import StrEnum
from typing import Any, NamedTuple

from services.conversations.domain.calls import Call, Calls
from services.conversations.domain.state import OpenTurn, Performed
from services.conversations.domain.transcript import Transcript
from shared.events.conversation import Mode, ResponseOrigin
from shared.events.turns import Outcome, TurnFinished


class Reply(NamedTuple):
    """What the customer gets to see; `fallback` names the playbook's text where it is one."""

    text: str
    origin: ResponseOrigin
    fallback: str = ""

    @property
    def sha256(self) -> str:
        """The hash by which the record says which text left: of its UTF-8, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Opened(NamedTuple):
    """
    A turn's leg was opened: the stages are to find its reply. `calls` are those that it carries; `paused` is what ended
    its former leg.
    """

    turn: OpenTurn
    transcript: Transcript
    applied: dict[str, Performed]
    journeys: dict[str, tuple[str, ...]]
    variables: dict[str, str]
    customer_name: str
    calls: Calls = ()
    paused: TurnFinished | None = None
    variables_ms: dict[str, int] = {}  # noqa: RUF012 - never changed


class Acknowledged(NamedTuple):
    """The customer is told at once that *turn* is being worked on, by the playbook's *text*."""

    turn: OpenTurn
    text: str


class Asked(NamedTuple):
    """*turn* asks a person to allow *call*."""

    turn: OpenTurn
    call: Call
    description: str


class Closed(NamedTuple):
    """
    A turn ended, with the reply that left, if any. `finished` is the stages' record, where they came to an end before;
    `outstanding` are the calls that were allowed and have no result, `results` those with one that people take over,
    `decisions` those of people.
    """

    turn: OpenTurn
    outcome: Outcome
    reason: str
    mode: Mode
    closed_ms: int
    reply: Reply | None = None
    finished: TurnFinished | None = None
    records_claim_texts: bool = False
    outstanding: tuple[str, ...] = ()
    results: Calls = ()
    decisions: tuple[dict[str, Any], ...] = ()


class Note(StrEnum):
    """Something remarkable, beside what becomes of turns; a metric's label."""

    DUPLICATE = "duplicate"
    SEQUENCE_GAP = "sequence_gap"
    OUT_OF_ORDER = "out_of_order"
    STALE_RESULT = "stale_result"
    UNVERIFIED_RESULT = "unverified_result"
    AFTER_ERASURE = "after_erasure"
    ASSISTANT_ECHO = "assistant_echo"
    UNKNOWN_APPROVAL = "unknown_approval"
    LATE_TOOL_RESULT = "late_tool_result"
    UNKNOWN_MODE = "unknown_mode"
    RECORD_TRIMMED = "record_trimmed"
    HELD_BY_BUDGET = "held_by_budget"
    OVER_BUDGET = "over_budget"
    FORMER_TOPIC = "former_topic"
    APPROVAL_LAPSED = "approval_lapsed"
