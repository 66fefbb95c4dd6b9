"""
Publishing what a chat platform would: events on `conversation.events` or a tenant's own topic, as binary CloudEvents.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import uuid4

from shared.broker.clients import KafkaSettings, producer
from shared.events.base import Body
from shared.events.codec import Headers, encode, source_of
from shared.events.conversation import Author, MessagePosted
from shared.events.envelope import Address, Envelope


def posted(address: Address, agent: str, text: str, *, event_id: str = "") -> Envelope[Body]:
    """A customer's message, as of now."""
    body = MessagePosted(agent=agent, author=Author.CUSTOMER, text=text)
    return event(address, "message.posted", body, event_id=event_id)


def event(address: Address, type_: str, body: Body, *, event_id: str = "") -> Envelope[Body]:
    """An event of the platform about a conversation, as of now."""
    return Envelope(
        id=event_id or str(uuid4()),
        source=source_of(address.tenant),
        type=type_,
        time=datetime.now(UTC),
        subject=address.conversation,
        data=body,
    )


class Publisher:
    """An open producer of platform events."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer = producer(settings)

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def publish(self, events: Sequence[tuple[Address, Envelope[Body]]], *, partition: int | None = None) -> None:
        """
        Publish *events* in order; return when the broker has acknowledged all of them.

        *partition* replaces the one that follows from the key, for a platform that partitions by a rule of its own.
        """
        await self.publish_raw([(address.key, *encode(occurred)) for address, occurred in events], partition=partition)

    async def publish_raw(
        self, records: Sequence[tuple[bytes, Headers, bytes | None]], *, partition: int | None = None
    ) -> None:
        """As `publish`, for records that are (key, headers, value) already, whatever they hold."""
        futures = [
            await self._producer.send(self._topic_of(key), value, key=key, headers=list(headers), partition=partition)
            for key, headers, value in records
        ]
        await asyncio.gather(*futures)

    def _topic_of(self, key: bytes) -> str:
        tenant = key.partition(b":")[0].decode(errors="replace")
        return self._settings.namespace + self._settings.events_topic(tenant)
