"""
Publishing what a chat platform or an approver would, on the topic that takes it or a tenant's own, as binary
CloudEvents.
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
from shared.events.topics import CONVERSATION_EVENTS, RECEIVED_FROM_TENANTS, TOPICS

_TOPICS = {type_: name for name in RECEIVED_FROM_TENANTS for type_ in TOPICS[name].types}


def posted(address: Address, agent: str, text: str, *, event_id: str = "") -> Envelope[Body]:
    """A customer's message, as of now; what is no character in *text* (half of one, in UTF-16) goes out as `?`."""
    body = MessagePosted(agent=agent, author=Author.CUSTOMER, text=text.encode(errors="replace").decode())
    return event(address, "message.posted", body, event_id=event_id)


def event(address: Address, type_: str, body: Body, *, event_id: str = "") -> Envelope[Body]:
    """An event of the platform, or of an approver, about a conversation, as of now."""
    return Envelope(
        id=event_id or str(uuid4()),
        source=source_of(address.tenant),
        type=type_,
        time=datetime.now(UTC),
        subject=address.conversation,
        data=body,
    )


class Publisher:
    """An open producer of what platforms and approvers write."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer = producer(settings)

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
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
        await self._send(
            [(_TOPICS[occurred.type], address.key, *encode(occurred)) for address, occurred in events], partition
        )

    async def publish_raw(
        self, records: Sequence[tuple[bytes, Headers, bytes | None]], *, partition: int | None = None
    ) -> None:
        """
        As `publish`, for records that are (key, headers, value) already, whatever they hold, where platforms write.
        """
        await self._send([(CONVERSATION_EVENTS, *record) for record in records], partition)

    async def _send(self, records: Sequence[tuple[str, bytes, Headers, bytes | None]], partition: int | None) -> None:
        futures = [
            await self._producer.send(
                self._named(topic, key), value, key=key, headers=list(headers), partition=partition
            )
            for topic, key, headers, value in records
        ]
        await asyncio.gather(*futures)

    def _named(self, topic: str, key: bytes) -> str:
        tenant = key.partition(b":")[0].decode(errors="replace")
        return self._settings.namespace + self._settings.topic_for(tenant, topic)
