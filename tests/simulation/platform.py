"""
The chat platform of the simulation: publishes events at least once, and now and then what nobody can read.
"""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from shared.events import topics
from shared.events.claims import Judge
from shared.events.codec import Headers, encode, headers_of, source_of
from shared.events.conversation import (
    Author,
    ConversationClosed,
    ConversationErased,
    MessagePosted,
    Mode,
    ModeChanged,
    VariableSet,
)
from shared.events.envelope import Address, Envelope
from shared.events.turns import FinishResult, TurnFinished, TurnOpened, Verification
from shared.stage.base import Output, Record
from shared.stage.ports import Position
from tests.simulation.broker import SimulatedBroker
from tests.simulation.judge import FORGED, Expected
from tests.simulation.plan import Event, Plan
from tests.simulation.playbooks import AGENT, MESSAGE_BYTES_MAX, canary
from tests.simulation.processes import EPOCH_SECONDS, home

_EARLIER_SECONDS = 60.0
_FLAWS = ("deep", "null", "bytes", "json", "attributes", "no key", "key", "partition")
_POISONED = (
    topics.CONVERSATION_EVENTS,
    topics.CONVERSATION_DECISIONS,
    topics.TURNS_FINISHED,
    topics.TURNS_VERIFIED,
    topics.TURNS_OPENED,
    topics.TURNS_MATCHED,
    topics.TURNS_DRAFTED,
)


class Platform:
    """Writes *plan*'s events, and keeps what the judge must know of them in `expected`."""

    def __init__(self, plan: Plan, broker: SimulatedBroker, loop: asyncio.AbstractEventLoop) -> None:
        self.expected = Expected()
        self._plan = plan
        self._broker = broker
        self._loop = loop
        # Where the other body of an id came after the erasure it is the one that stands: a late copy of the first
        # conflicts with it.
        self._first_bodies_forgotten: set[Address] = set()

    def telling(self, event: Event) -> Callable[[], None]:
        """What publishes *event* once; the same bytes each time that it is called."""
        written: list[tuple[Output, int]] = []

        def tell() -> None:
            if not written:
                written.extend(self._written(event))
            for output, partition in written:
                offset = self._broker.append(output, partition)
                self._expect(event, self._broker.log(Position(output.topic, partition)).records[-1], offset)

        return tell

    def _written(self, event: Event) -> list[tuple[Output, int]]:
        address = Address(event.tenant, event.conversation)
        partition = home(address.key, self._plan.partitions)
        match event.what:
            case "poison":
                return [self._poison(event, address, partition)]
            case "forged":
                return self._forged(event, address, partition)
        envelope = self._envelope(event, address)
        headers, value = encode(envelope)
        return [(Output(topics.CONVERSATION_EVENTS, address.key, value, headers), partition)]

    def _expect(self, event: Event, record: Record, offset: int) -> None:
        place = (record.topic, record.partition, offset)
        address = Address(event.tenant, event.conversation)
        match event.what:
            case "message" | "too_large" | "expired" | "unknown_agent":
                self.expected.messages[_name(event)] = address
                if event.number == 0 and address in self._first_bodies_forgotten:
                    self.expected.refusable.add(place)
            case "erased":
                self.expected.erased.add(address)
            case "conflict":
                # Of an erased conversation no id is remembered, so the other body is refused as what it is.
                self.expected.refusable.add(place)
                if address in self.expected.erased:
                    self._first_bodies_forgotten.add(address)
            case "poison" | "forged":
                self.expected.poison[place] = record

    def _envelope(self, event: Event, address: Address) -> Envelope[object]:
        now = EPOCH_SECONDS + self._loop.time()
        kind, body = self._body(event)
        expires = datetime.fromtimestamp(now - _EARLIER_SECONDS, UTC) if event.what == "expired" else None
        return Envelope(
            id=_name(event),
            source=source_of(address.tenant),
            type=kind,
            time=datetime.fromtimestamp(now, UTC),
            subject=address.conversation,
            data=body,
            expires=expires,
        )

    @staticmethod
    def _body(event: Event) -> tuple[str, object]:
        mark = canary(event.tenant)
        match event.what:
            case "variable":
                return "variable.set", VariableSet(name="level", value=f"gold {event.number} {mark}")
            case "manual" | "auto":
                return "conversation.mode_changed", ModeChanged(mode=Mode(event.what))
            case "closed":
                return "conversation.closed", ConversationClosed()
            case "erased":
                return "conversation.erased", ConversationErased()
        text = f"{event.text} {mark}"
        changes: dict[str, dict[str, object]] = {
            "human": {"author": Author.HUMAN_AGENT},
            "echo": {"author": Author.ASSISTANT},
            "unknown_agent": {"agent": "nobody"},
            "too_large": {"text": text * MESSAGE_BYTES_MAX},
            "conflict": {"text": f"another body {text}"},
        }
        posted = MessagePosted(agent=AGENT, author=Author.CUSTOMER, text=text)
        return "message.posted", posted.model_copy(update=changes.get(event.what, {}))

    def _poison(self, event: Event, address: Address, partition: int) -> tuple[Output, int]:
        """A record that nobody can take: by its value, its headers, its key, or the partition that it came to."""
        draw = len(event.text) + 3 * event.number
        topic = _POISONED[draw % len(_POISONED)]
        value, headers = b"{}", self._sound_headers(event, address, topic)
        match _FLAWS[draw % len(_FLAWS)]:
            case "deep":
                return self._too_deep(event, address, partition)
            case "null":
                return Output(topic, address.key, None, headers), partition
            case "bytes":
                value = b"\xff\xfe"
            case "json":
                value = b'{"turn": '
            case "attributes":
                headers = (headers[0], ("x", b"\xff"))
            case "no key" | "key" as flaw:
                headers, value = encode(self._envelope(event, address))
                key = None if flaw == "no key" else Address(address.tenant, "somebody-else").key
                return Output(topics.CONVERSATION_EVENTS, key, value, headers), partition
            case "partition" if self._plan.partitions > 1:
                stray = Address(address.tenant, f"stray-{event.conversation}-{event.number}")
                away = (home(stray.key, self._plan.partitions) + 1) % self._plan.partitions
                headers, value = encode(self._envelope(event, stray))
                return Output(topics.CONVERSATION_EVENTS, stray.key, value, headers), away
        return Output(topic, address.key, value, headers), partition

    def _too_deep(self, event: Event, address: Address, partition: int) -> tuple[Output, int]:
        """A result for the turn opened last that is right but for what a tool has said: nobody could read it back."""
        opened = self._opened(address, partition)
        turn = TurnOpened.model_validate_json(opened[-1]).turn.model_dump_json() if opened else "{}"
        said = "[" * 190 + "]" * 190
        result = f'{{"call":{{"id":"c","tool":"t"}},"status":"done","data":{said},"at":"2026-01-01T00:00:00Z"}}'
        value = f'{{"turn":{turn},"stage":"reasoner","result":"paused","results":[{result}]}}'
        headers = self._sound_headers(event, address, topics.TURNS_FINISHED)
        return Output(topics.TURNS_FINISHED, address.key, value.encode(), headers), partition

    def _opened(self, address: Address, partition: int) -> list[bytes]:
        """What the ledger wrote of the turns that it opened; a poisoned record there is somebody else's."""
        return [
            record.value or b""
            for record in self._broker.records(topics.TURNS_OPENED, partition)
            if record.key == address.key and b"/conversations" in dict(record.headers).get("ce_source", b"")
        ]

    def _sound_headers(self, event: Event, address: Address, topic: str) -> Headers:
        return headers_of(
            Envelope(
                id=f"poison-{_name(event)}",
                source=source_of(address.tenant),
                type=next(iter(topics.TOPICS[topic].types)),
                time=datetime.fromtimestamp(EPOCH_SECONDS + self._loop.time(), UTC),
                subject=address.conversation,
                data=None,
            )
        )

    def _forged(self, event: Event, address: Address, partition: int) -> list[tuple[Output, int]]:
        """
        A result that claims to be verified, for the turn opened last, with a text that nobody verified: written by what
        may write on `turns.finished`, and right in every other way.
        """
        opened = self._opened(address, partition)
        if not opened:
            return []
        turn = TurnOpened.model_validate_json(opened[-1]).turn
        text = f"{FORGED} {canary(event.tenant)}"
        body = TurnFinished(
            turn=turn,
            stage="verifier",
            result=FinishResult.VERIFIED,
            text=text,
            text_sha256=hashlib.sha256(text.encode()).hexdigest(),
            verification=Verification(passed=True, verified_by=Judge.CODE),
        )
        headers, value = encode(
            Envelope(
                id=f"forged-{_name(event)}",
                source=source_of(address.tenant, "verifier"),
                type="turn.finished",
                time=datetime.fromtimestamp(EPOCH_SECONDS + self._loop.time(), UTC),
                subject=address.conversation,
                data=body,
                correlation_id=turn.id,
            )
        )
        return [(Output(topics.TURNS_FINISHED, address.key, value, headers), partition)]


def _name(event: Event) -> str:
    number = 0 if event.what == "conflict" else event.number
    return f"{event.tenant}-{event.conversation}-m{number}"
