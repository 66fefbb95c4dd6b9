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
from services.operator.evaluation.plays import TENANT, Plan, Play
from shared.broker.clients import KafkaSettings, producer
from shared.errors import Fatal
from shared.events import topics
from shared.events.codec import encode
from shared.events.envelope import Address
from shared.events.turns import TurnDrafted, TurnFinished, TurnMatched, TurnOpened

GRACE_SECONDS = 15.0
"""Beyond a turn's deadline, that its decision may still be under way."""
Outcome = TurnMatched | TurnDrafted | TurnFinished
_GOES_TO = {
    TurnOpened: (topics.TURNS_OPENED, "turn.opened"),
    TurnMatched: (topics.TURNS_MATCHED, "turn.matched"),
    TurnDrafted: (topics.TURNS_DRAFTED, "turn.drafted"),
}
_READ = (topics.TURNS_MATCHED, topics.TURNS_DRAFTED, topics.TURNS_FINISHED)


def address_of(play: Play) -> Address:
    """The conversation that *play* is."""
    return Address(TENANT, f"{play.fingerprint}-{play.repeat}")


@dataclass(slots=True)
class Desk:
    """Opens turns, and waits for what becomes of them."""

    kafka: KafkaSettings
    writing: AIOKafkaProducer
    waiting: dict[str, asyncio.Future[Outcome]] = field(default_factory=dict)

    async def outcome(self, play: Play, body: TurnOpened | TurnMatched | TurnDrafted, plan: Plan) -> Outcome | None:
        """What a service makes of *body*, an event of *play*; None where nothing came in time."""
        address = address_of(play)
        topic, kind = _GOES_TO[type(body)]
        future = self.waiting[play.turn] = asyncio.get_running_loop().create_future()
        try:
            headers, value = encode(event(address, kind, body, event_id=play.turn))
            await self.writing.send_and_wait(
                self.kafka.namespace + topic, value, key=address.key, headers=list(headers)
            )
            return await asyncio.wait_for(future, plan.turn_seconds_max + GRACE_SECONDS)
        except TimeoutError:
            return None
        finally:
            del self.waiting[play.turn]

    async def follow(self, reader: TopicReader) -> None:
        """Hand on what is read until cancelled."""
        while True:
            for seen in await reader.read():
                body = seen.event.data
                if isinstance(body, Outcome) and seen.address.tenant == TENANT:
                    future = self.waiting.get(seen.event.correlation_id)
                    if future is not None and not future.done():
                        future.set_result(body)


@contextlib.asynccontextmanager
async def open_desk(kafka: KafkaSettings) -> AsyncIterator[Desk]:
    """
    A desk at *kafka*.

    Raises:
        Fatal: what becomes of turns could not be read any more.

    """
    writing = producer(kafka)
    await writing.start()
    desk = Desk(kafka, writing)
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
