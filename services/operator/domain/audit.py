"""
An independent audit of the topics: does what Holdfast promised hold, judged from the records alone?

The invariants are those of a reader who trusts nobody: every accepted customer message is covered by a turn, every
turn ends once, at most one response a turn, responses in the order of the turns, only text that the record vouches
for, and no judged claim without its accepted reply. The records must come from a read_committed reader, each partition
in offset order.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from shared.events.claims import ClaimJudged
from shared.events.conversation import Author, MessagePosted, ResponseOrigin, ResponseSent
from shared.events.envelope import Address, Envelope
from shared.events.turns import Outcome, TurnClosed

ANSWERING = frozenset({Outcome.ANSWERED, Outcome.HANDED_OFF, Outcome.EXPIRED, Outcome.REJECTED})
"""Outcomes that may leave a response: a verified one only with ANSWERED, a named fallback with any of them."""

EXAMPLES_MAX = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise: how often, and a few of the identifiers at fault."""

    invariant: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """What was counted, and what was found broken."""

    messages: int
    turns: int
    responses: int
    claims: int
    outcomes: dict[str, int]
    quarantined: int
    """Of the messages, those that have no outcome as their conversation is in quarantine: held, not lost."""
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every promise held."""
        return not self.findings


@dataclass(slots=True)
class Auditor:
    """Takes records as they are read; `report` may be asked at any time, and is final once the topics are drained."""

    _messages: dict[str, Address] = field(default_factory=dict)
    _closed: dict[str, TurnClosed] = field(default_factory=dict)
    _closings: Counter[str] = field(default_factory=Counter)
    _responses: dict[str, ResponseSent] = field(default_factory=dict)
    _sendings: Counter[str] = field(default_factory=Counter)
    _claims: Counter[tuple[str, int]] = field(default_factory=Counter)
    _covered: set[str] = field(default_factory=set)
    _last_response: dict[str, int] = field(default_factory=dict)
    _last_closing: dict[str, int] = field(default_factory=dict)
    _set_apart: frozenset[Address] = frozenset()
    _broken: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def message(self, address: Address, event: Envelope[MessagePosted]) -> None:
        """A `message.posted` event, as it was published."""
        if event.data.author is Author.CUSTOMER:
            self._messages[event.id] = address

    def response(self, address: Address, event: Envelope[ResponseSent]) -> None:
        """A `response.sent` event, in partition order."""
        sent = event.data
        self._sendings[sent.turn_id] += 1
        self._responses.setdefault(sent.turn_id, sent)
        name = f"{address.tenant}:{address.conversation}"
        if sent.epoch <= self._last_response.get(name, 0) and self._sendings[sent.turn_id] == 1:
            self._broken["response order inverted"].append(sent.turn_id)
        self._last_response[name] = max(sent.epoch, self._last_response.get(name, 0))
        if hashlib.sha256(sent.text.encode()).hexdigest() != sent.text_sha256:
            self._broken["response text does not match its hash"].append(sent.turn_id)

    def closing(self, address: Address, event: Envelope[TurnClosed]) -> None:
        """A `turn.closed` event, in partition order."""
        closed = event.data
        self._closings[closed.turn.id] += 1
        self._closed.setdefault(closed.turn.id, closed)
        self._covered.update(closed.covers)
        name = f"{address.tenant}:{address.conversation}"
        if closed.turn.epoch <= self._last_closing.get(name, 0) and self._closings[closed.turn.id] == 1:
            self._broken["closing order inverted"].append(closed.turn.id)
        self._last_closing[name] = max(closed.turn.epoch, self._last_closing.get(name, 0))

    def claim(self, event: Envelope[ClaimJudged]) -> None:
        """A `claim.judged` event."""
        self._claims[(event.data.turn_id, event.data.position)] += 1

    def set_apart(self, conversations: Collection[Address]) -> None:
        """The *conversations* that are in quarantine now, as the changelog marks them."""
        self._set_apart = frozenset(conversations)

    @property
    def waiting(self) -> int:
        """Customer messages that no closed turn covers yet."""
        return sum(1 for message in self._messages if message not in self._covered)

    @property
    def unread_responses(self) -> int:
        """Closed turns that say they sent a text which has not been read yet: it comes from another topic."""
        return sum(
            bool(closed.response_sha256) and turn not in self._responses for turn, closed in self._closed.items()
        )

    @property
    def turns(self) -> int:
        """Turns closed so far."""
        return len(self._closed)

    def report(self) -> Audit:
        """The counts, and every invariant that does not hold."""
        broken = {name: list(ids) for name, ids in self._broken.items()} | self._final_checks()
        return Audit(
            messages=len(self._messages),
            turns=len(self._closed),
            responses=len(self._responses),
            claims=len(self._claims),
            quarantined=sum(1 for _, address in self._uncovered() if address in self._set_apart),
            outcomes=dict(Counter(str(closed.outcome) for closed in self._closed.values())),
            findings=tuple(
                Finding(name, len(ids), tuple(ids[:EXAMPLES_MAX])) for name, ids in sorted(broken.items()) if ids
            ),
        )

    def _final_checks(self) -> dict[str, list[str]]:
        return {
            "message without an outcome": [m for m, address in self._uncovered() if address not in self._set_apart],
            "turn closed twice": [turn for turn, n in self._closings.items() if n > 1],
            "turn answered twice": [turn for turn, n in self._sendings.items() if n > 1],
            "claim judged twice": [f"{turn}#{position}" for (turn, position), n in self._claims.items() if n > 1],
            "response without its closed turn": [
                t for t, sent in self._responses.items() if not self._vouched(t, sent)
            ],
            "closed turn without its response": [t for t, c in self._closed.items() if not self._answered(t, c)],
            "claim without its accepted reply": sorted({t for t, _ in self._claims if not self._accepted(t)}),
        }

    def _uncovered(self) -> list[tuple[str, Address]]:
        return [(message, address) for message, address in self._messages.items() if message not in self._covered]

    def _vouched(self, turn: str, sent: ResponseSent) -> bool:
        closed = self._closed.get(turn)
        if closed is None or closed.response_sha256 != sent.text_sha256 or closed.outcome not in ANSWERING:
            return False
        if sent.origin is ResponseOrigin.FALLBACK:
            return bool(sent.fallback) and closed.fallback == sent.fallback
        return closed.outcome is Outcome.ANSWERED and closed.verification is not None and closed.verification.passed

    def _answered(self, turn: str, closed: TurnClosed) -> bool:
        return bool(closed.response_sha256) == (turn in self._responses)

    def _accepted(self, turn: str) -> bool:
        sent = self._responses.get(turn)
        return sent is not None and sent.origin is ResponseOrigin.VERIFIED
