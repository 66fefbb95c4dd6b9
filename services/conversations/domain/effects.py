"""
What a step makes known: turns opened and turns closed.
"""

import hashlib
from enum import StrEnum
from typing import NamedTuple

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
    """A turn was opened: the stages are to find its reply."""

    turn: OpenTurn
    transcript: Transcript
    applied: dict[str, Performed]
    journeys: dict[str, tuple[str, ...]]
    variables: dict[str, str]
    customer_name: str


class Closed(NamedTuple):
    """
    A turn ended, with the reply that left, if any. `finished` is the stages' record, where they came to an end before.
    """

    turn: OpenTurn
    outcome: Outcome
    reason: str
    mode: Mode
    closed_ms: int
    reply: Reply | None = None
    finished: TurnFinished | None = None
    records_claim_texts: bool = False


class Note(StrEnum):
    """Something remarkable that changed nothing a customer sees; a metric's label."""

    DUPLICATE = "duplicate"
    SEQUENCE_GAP = "sequence_gap"
    OUT_OF_ORDER = "out_of_order"
    STALE_RESULT = "stale_result"
    UNVERIFIED_RESULT = "unverified_result"
    AFTER_ERASURE = "after_erasure"
    ASSISTANT_ECHO = "assistant_echo"
    UNKNOWN_APPROVAL = "unknown_approval"
    UNKNOWN_MODE = "unknown_mode"
    RECORD_TRIMMED = "record_trimmed"
