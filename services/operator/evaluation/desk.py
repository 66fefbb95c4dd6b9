"""
A desk between an evaluation and the services that run: opens turns, and waits for what becomes of them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer

from services.operator.adapters.publisher import event
from services.operator.adapters.reader import TopicReader
from shared.broker.clients import KafkaSettings, producer
from shared.errors import Fatal
from shared.events import topics
from shared.events.codec import encode
from shared.events.envelope import Address
from shared.events.turns import TurnDrafted, TurnFinished, TurnMatched, TurnOpened
from shared.stage.turn_stage import turn_of

GRACE_SECONDS = 15.0
"""Beyond a turn's deadline, that its decision may still be under way."""
Outcome = TurnMatched | TurnDrafted | TurnFinished
_GOES_TO = {
    TurnOpened: (topics.TURNS_OPENED, "turn.opened"),
    TurnMatched: (topics.TURNS_MATCHED, "turn.matched"),
    TurnDrafted: (topics.TURNS_DRAFTED, "turn.drafted"),
}
_READ = (topics.TURNS_MATCHED, topics.TURNS_DRAFTED, topics.TURNS_FINISHED, topics.TURNS_VERIFIED)


@dataclass(slots=True)
class Desk:
    """Hands the turns of *tenant* in, at whichever stage they are, and waits for what becomes of them."""

    kafka: KafkaSettings
    tenant: str
    writing: AIOKafkaProducer
    waiting: dict[str, asyncio.Future[Outcome]] = field(default_factory=dict)

    async def outcome(self, body: TurnOpened | TurnMatched | TurnDrafted, seconds_max: float) -> Outcome | None:
        """What a service makes of *body*, whose turn ends after *seconds_max*; None where nothing came in time."""
        turn = turn_of(body)
        address = Address(self.tenant, turn.conversation)
        topic, kind = _GOES_TO[type(body)]
        future = self.waiting[turn.id] = asyncio.get_running_loop().create_future()
        try:
            headers, value = encode(event(address, kind, body, event_id=turn.id))
            await self.writing.send_and_wait(
                self.kafka.namespace + topic, value, key=address.key, headers=list(headers)
            )
            return await asyncio.wait_for(future, seconds_max + GRACE_SECONDS)
        except TimeoutError:
            return None
        finally:
            del self.waiting[turn.id]

    async def follow(self, reader: TopicReader) -> None:
        """Hand on what is read until cancelled."""
        while True:
            for seen in await reader.read():
                body = seen.event.data
                if isinstance(body, Outcome) and seen.address.tenant == self.tenant:
                    future = self.waiting.get(seen.event.correlation_id)
                    if future is not None and not future.done():
                        future.set_result(body)


@contextlib.asynccontextmanager
async def open_desk(kafka: KafkaSettings, tenant: str) -> AsyncIterator[Desk]:
    """
    A desk of *tenant* at *kafka*.

    Raises:
        Fatal: what becomes of turns could not be read any more.

    """
    writing = producer(kafka)
    await writing.start()
    desk = Desk(kafka, tenant, writing)
    try:
        async with TopicReader(kafka, _READ, start="end") as reader:
            following = asyncio.create_task(desk.follow(reader))
            try:
                yield desk
            finally:
                following.cancel()
                ended = (await asyncio.gather(following, return_exceptions=True))[0]
                if not isinstance(ended, asyncio.CancelledError):
                    raise Fatal(f"the decisions could not be read any more: {ended!r}")
    finally:
        await writing.stop()
