"""
Following conversations from outside: what was asked, what came back, and whether every promise held.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self, cast

from services.operator.adapters.quarantine import read_set_apart
from services.operator.adapters.reader import Seen, TopicReader
from services.operator.domain.audit import Audit, Auditor
from services.operator.domain.letters import address_of
from services.operator.domain.timing import hops
from shared.broker.clients import KafkaSettings
from shared.events import topics
from shared.events.claims import ClaimJudged
from shared.events.conversation import AcknowledgementSent, MessagePosted, ResponseSent
from shared.events.envelope import Envelope
from shared.events.turns import TurnClosed

WATCHED = (
    topics.CONVERSATION_EVENTS,
    topics.CONVERSATION_RESPONSES,
    topics.TURNS_CLOSED,
    topics.CLAIMS_JUDGED,
)
SETTLE_SECONDS_MAX = 10.0
SETTLE_POLL_SECONDS = 0.05


@dataclass(slots=True)
class Exchange:
    """A turn as it was seen from outside."""

    conversation: str
    question: str
    closed: TurnClosed
    closed_ms: int
    posted_ms: int
    response: ResponseSent | None = None

    def hops(self) -> dict[str, float]:
        """The parts of the turn's way, milliseconds each."""
        return hops(self.closed.marks, posted_ms=self.posted_ms, seen_ms=self.closed_ms)


@dataclass(slots=True)
class _Asked:
    text: str
    posted_ms: int
    done: asyncio.Future[TurnClosed]


@dataclass(slots=True)
class Watch:
    """
    Reads the topics that leave Holdfast, audits them, and tells whoever waits for a message's outcome.

    `acknowledged_ms` is when each turn that was acknowledged at once was (unix milliseconds), by its id.

    With *tenant* it looks at that tenant's records alone, so that runs on one broker do not disturb each other.
    """

    settings: KafkaSettings
    tenant: str = ""
    start: Literal["beginning", "end"] = "beginning"
    on_exchange: Callable[[Exchange], None] = lambda _: None
    auditor: Auditor = field(default_factory=Auditor)
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    acknowledged_ms: dict[str, int] = field(default_factory=dict)
    _asked: dict[str, _Asked] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)
    _responses: dict[str, ResponseSent] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        started = asyncio.Event()
        self._task = asyncio.create_task(self._follow(started))
        waiter = asyncio.create_task(started.wait())
        await asyncio.wait({self._task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        self.check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def waiting(self) -> int:
        """Messages asked about that have no outcome yet."""
        return len(self._waiting)

    async def settled(self) -> None:
        """
        Wait until the texts that closed turns sent have been read too, at most `SETTLE_SECONDS_MAX`: a turn's record
        and its text are committed at once, and read from two topics in any order.
        """
        until = asyncio.get_running_loop().time() + SETTLE_SECONDS_MAX
        while self.auditor.unread_responses and asyncio.get_running_loop().time() < until:
            self.check()
            await asyncio.sleep(SETTLE_POLL_SECONDS)

    def check(self) -> None:
        """Raise what ended the reading, if it has ended."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def audit(self) -> Audit:
        """What was read so far, judged; which conversations are in quarantine is looked up now."""
        apart = (address_of(key) for key in await read_set_apart(self.settings))
        self.auditor.set_apart([address for address in apart if address is not None])
        return self.auditor.report()

    def expect(self, message: str, text: str, posted_ms: int) -> asyncio.Future[TurnClosed]:
        """
        A future of the last outcome that covers the message with id *message*; one that is published twice has one.
        """
        if message in self._asked:
            return self._asked[message].done
        done: asyncio.Future[TurnClosed] = asyncio.get_running_loop().create_future()
        self._asked[message] = _Asked(text, posted_ms, done)
        self._waiting.add(message)
        return done

    async def _follow(self, started: asyncio.Event) -> None:
        async with TopicReader(self.settings, WATCHED, start=self.start) as reader:
            started.set()
            while True:
                for seen in await reader.read():
                    if not self.tenant or seen.address.tenant == self.tenant:
                        self._take(seen)

    def _take(self, seen: Seen) -> None:
        match seen.event.data:
            case MessagePosted():
                self.auditor.message(seen.address, cast("Envelope[MessagePosted]", seen.event))
            case ResponseSent() as sent:
                self.auditor.response(seen.address, cast("Envelope[ResponseSent]", seen.event))
                self._responses[sent.turn_id] = sent
                if exchange := self.exchanges.get(sent.turn_id):
                    exchange.response = sent
            case AcknowledgementSent() as told:
                self.acknowledged_ms[told.turn_id] = seen.timestamp_ms
            case TurnClosed() as closed:
                self.auditor.closing(seen.address, cast("Envelope[TurnClosed]", seen.event))
                self._close(seen, closed)
            case ClaimJudged():
                self.auditor.claim(cast("Envelope[ClaimJudged]", seen.event))
            case _:
                pass  # modes, variables and the like are the platform's affair

    def _close(self, seen: Seen, closed: TurnClosed) -> None:
        asked = [self._asked[message] for message in closed.covers if message in self._asked]
        self._waiting.difference_update(closed.covers)
        exchange = Exchange(
            conversation=closed.turn.conversation,
            question=" ⏎ ".join(question.text for question in asked),
            closed=closed,
            closed_ms=seen.timestamp_ms,
            posted_ms=max((question.posted_ms for question in asked), default=0),
            response=self._responses.get(closed.turn.id),
        )
        self.exchanges[closed.turn.id] = exchange
        for question in asked:
            if not question.done.done():
                question.done.set_result(closed)
        self.on_exchange(exchange)
