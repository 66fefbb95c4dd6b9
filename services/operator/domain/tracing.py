"""
A conversation's turns as the topics tell them: every stage's decision, put together by turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.operator.domain.timing import hops
from shared.events.base import Body
from shared.events.conversation import MessagePosted, ResponseSent
from shared.events.envelope import Envelope
from shared.events.turns import (
    Draft,
    Mark,
    Matching,
    Turn,
    TurnClosed,
    TurnDrafted,
    TurnFinished,
    TurnMatched,
    TurnOpened,
    Verification,
)


@dataclass(slots=True)
class TracedTurn:
    """
    One turn: what each topic still has of it. Where the record of a stage is gone by retention, its part stands in
    `closed`.
    """

    turn: Turn
    opened: TurnOpened | None = None
    legs: int = 1
    matched: TurnMatched | None = None
    drafted: TurnDrafted | None = None
    finished: list[TurnFinished] = field(default_factory=list)
    closed: TurnClosed | None = None
    closed_ms: int = 0
    response: ResponseSent | None = None

    @property
    def last(self) -> TurnFinished | None:
        """The stages' last word; that of a leg is followed by another's."""
        return self.finished[-1] if self.finished else None

    @property
    def covers(self) -> tuple[str, ...]:
        """Ids of the messages that it answers."""
        if self.closed is not None:
            return self.closed.covers
        return self.opened.covers if self.opened else ()

    @property
    def matching(self) -> Matching | None:
        """The matcher's part."""
        found = self.closed.matching if self.closed else None
        return found or (self.last.matching if self.last else None) or (self.matched.matching if self.matched else None)

    @property
    def draft(self) -> Draft | None:
        """The reasoner's part."""
        found = self.closed.draft if self.closed else None
        return found or (self.last.draft if self.last else None) or (self.drafted.draft if self.drafted else None)

    @property
    def verification(self) -> Verification | None:
        """The verifier's part."""
        found = self.closed.verification if self.closed else None
        return found or (self.last.verification if self.last else None)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The longest trail of marks that any record of the turn has."""
        trails = [part.marks for part in (self.opened, self.matched, self.drafted, self.last, self.closed) if part]
        return max(trails, key=len, default=())


@dataclass(slots=True)
class Trace:
    """A conversation: messages by id, turns by id in the order of their epochs, and how many records were read."""

    messages: dict[str, MessagePosted] = field(default_factory=dict)
    posted_ms: dict[str, int] = field(default_factory=dict)
    turns: dict[str, TracedTurn] = field(default_factory=dict)
    records: int = 0
    unreadable: int = 0

    def take(self, event: Envelope[Body], timestamp_ms: int) -> None:
        """Note one event of the conversation; those that tell nothing of a turn are counted only."""
        self.records += 1
        body = event.data
        if isinstance(body, MessagePosted):
            self.messages[event.id] = body
            self.posted_ms[event.id] = timestamp_ms
        elif isinstance(body, ResponseSent):
            self._of_response(body)
        elif isinstance(body, TurnOpened | TurnFinished | TurnClosed):
            self._note(self._turn(body.turn), body, timestamp_ms)
        elif isinstance(body, TurnMatched | TurnDrafted):
            self._note(self._turn(body.opened.turn), body, timestamp_ms)

    def ordered(self) -> list[TracedTurn]:
        """The turns, oldest first."""
        return sorted(self.turns.values(), key=lambda traced: (traced.turn.epoch, traced.turn.opened_at))

    def lacks_response(self, since_ms: float) -> bool:
        """Whether a turn that was closed after *since_ms* sent a text that is not here."""
        return any(
            traced.closed is not None
            and traced.closed.response_sha256
            and traced.response is None
            and traced.closed_ms > since_ms
            for traced in self.turns.values()
        )

    def question(self, traced: TracedTurn) -> list[str]:
        """The texts that *traced* answers; from its transcript where the messages themselves are gone."""
        said = {one.id: one.text for one in traced.opened.transcript} if traced.opened else {}
        said |= {name: message.text for name, message in self.messages.items()}
        return [said[name] for name in traced.covers if name in said]

    def hops(self, traced: TracedTurn) -> dict[str, float]:
        """The parts of the turn's way, milliseconds each; those before its message's topic and after are left out."""
        if not traced.marks:
            return {}
        posted_ms = max((self.posted_ms[name] for name in traced.covers if name in self.posted_ms), default=0)
        parts = hops(
            traced.marks,
            posted_ms=posted_ms or traced.marks[0].received_ms,
            seen_ms=traced.closed_ms or traced.marks[-1].finished_ms,
        )
        return {name: milliseconds for name, milliseconds in parts.items() if traced.closed_ms or name != "→ reader"}

    def document(self) -> list[dict[str, Any]]:
        """The turns as JSON."""
        return [
            {
                "turn": traced.turn.model_dump(mode="json"),
                "legs": traced.legs,
                "question": self.question(traced),
                **_dumped(
                    {
                        "opened": traced.opened,
                        "matching": traced.matching,
                        "draft": traced.draft,
                        "verification": traced.verification,
                        "closed": traced.closed,
                        "response": traced.response,
                    }
                ),
                "finished": [one.model_dump(mode="json", exclude_defaults=True) for one in traced.finished],
                "milliseconds": self.hops(traced),
            }
            for traced in self.ordered()
        ]

    def _turn(self, turn: Turn) -> TracedTurn:
        return self.turns.setdefault(turn.id, TracedTurn(turn))

    def _of_response(self, sent: ResponseSent) -> None:
        if sent.turn_id in self.turns:
            self.turns[sent.turn_id].response = sent

    def _note(self, traced: TracedTurn, body: Body, timestamp_ms: int) -> None:
        match body:
            case TurnOpened():
                traced.opened = body
                traced.legs = max(traced.legs, body.turn.leg)
            case TurnMatched():
                traced.matched = body
            case TurnDrafted():
                traced.drafted = body
            case TurnFinished():
                traced.finished.append(body)
            case TurnClosed():
                traced.closed, traced.closed_ms = body, timestamp_ms


def _dumped(parts: Mapping[str, Body | None]) -> dict[str, Any]:
    return {name: part.model_dump(mode="json", exclude_defaults=True) if part else None for name, part in parts.items()}
