"""
The end of a turn that a stage cannot work on: `turn.finished`, failed, so that the ledger sends the playbook's fallback
at once and nobody waits for the deadline.

It is made of the turn alone. Whatever else the record holds may be what the stage fails at.
"""

from collections.abc import Mapping
from typing import Final

from shared.errors import Invalid
from shared.events.base import Body
from shared.events.codec import decode
from shared.events.envelope import Address, Envelope
from shared.events.topics import TURNS_FINISHED, TURNS_VERIFIED
from shared.events.turns import FinishResult, Turn, TurnFinished
from shared.playbook.directory import Directory
from shared.stage.base import Record


class Head(Body):
    """Reads only the turn's identity from a record; the rest is not built."""

    turn: Turn


class _LaterHead(Body):
    opened: Head

    @property
    def turn(self) -> Turn:
        return self.opened.turn


OPENED_HEADS: Final[Mapping[str, type[Head]]] = {"turn.opened": Head}
_HEADS: Final[Mapping[str, type[Head | _LaterHead]]] = {
    **OPENED_HEADS,
    "turn.matched": _LaterHead,
    "turn.drafted": _LaterHead,
}


def head_of(record: Record) -> Envelope[Head | _LaterHead]:
    """
    The event of *record* as far as its turn.

    Raises:
        Invalid: the turn cannot be read, or is of another conversation than the record's key.

    """
    head = decode(_HEADS, record.key, record.headers, record.value)
    check_key(head.data.turn, record.key)
    return head


def check_key(turn: Turn, key: bytes | None) -> bytes:
    """
    The key of *turn*'s conversation, which is *key*.

    Raises:
        Invalid: (`key_mismatch`) it is not: one tenant's record would speak for another's.

    """
    own = Address(turn.tenant, turn.conversation).key
    if own != key:
        raise Invalid("key_mismatch", "the turn is of another conversation than the record's key")
    return own


ENDS: Final[Mapping[str, tuple[str, str]]] = {
    "turn.opened": (TURNS_FINISHED, "turn.finished"),
    "turn.matched": (TURNS_FINISHED, "turn.finished"),
    "turn.drafted": (TURNS_VERIFIED, "turn.verified"),
}
"""By the type that a stage reads, the topic and type by which it ends a turn: the verifier has its own."""


def failed_turn(turn: Turn, stage: str, reason: str, *, hands_off: bool) -> TurnFinished:
    """*stage* gives *turn* up for *reason*, a bounded word; people take over where the playbook *hands_off*."""
    return TurnFinished(
        turn=turn,
        stage=stage,
        result=FinishResult.HAND_OFF if hands_off else FinishResult.FAILED,
        fallback="hand_off" if hands_off else "failed",
        reason=reason,
    )


def hands_off(directory: Directory | None, turn: Turn) -> bool:
    """Whether *turn*'s playbook wants people to take over a failed turn; no, where it is not known here."""
    if directory is None:
        return False
    playbook = directory.version(turn.tenant, turn.agent, turn.playbook_version)
    return playbook is not None and playbook.verification.when_failed == "hand_off"
