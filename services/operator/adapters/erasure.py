"""
Erasing a conversation, and gathering the proof from the topics.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from services.operator.adapters.letters import read_box
from services.operator.adapters.publisher import Publisher, event, posted
from services.operator.adapters.reader import Seen, TopicReader
from services.operator.adapters.scan import scan
from services.operator.domain.erasure import Certificate, Keeping, Probe, Remains, keeping_of, remains_of
from services.operator.domain.letters import erasure_mark
from services.operator.domain.marker import StateHead, head_of
from shared.broker.clients import KafkaSettings, producer
from shared.broker.topics import found_topics
from shared.errors import Retryable
from shared.events import topics
from shared.events.conversation import ConversationErased
from shared.events.envelope import Address
from shared.events.turns import TurnClosed
from shared.stage.base import Record

LOOK_SECONDS = 0.5
PROBE_TEXT = "holdfast erase: is this refused?"
DEFAULT_SEGMENT_MS = 7 * topics.DAY_MS
"""Kafka's own `segment.ms`, where a broker does not tell its."""


async def erase(
    settings: KafkaSettings,
    address: Address,
    *,
    reason: str,
    agent: str,
    probe: bool,
    seconds_max: float,
    told: Callable[[str], None],
) -> Certificate:
    """
    Publish `conversation.erased`, wait for the ledger's marker, and gather what proves it.

    With *probe* a customer's message to *agent* is published after it, which must be refused.

    Raises:
        Retryable: within *seconds_max* the ledger wrote no marker, or did not end the probe's turn.
        Fatal: a topic does not exist.

    """
    erased = event(address, "conversation.erased", ConversationErased(reason=reason))
    async with Publisher(settings) as publisher:
        await publisher.publish([(address, erased)])
        told(f"published conversation.erased {erased.id}")
        newest, head = await _marker(settings, address, seconds_max)
        told(
            "the ledger keeps nothing but the marker"
            if head is None or head.is_empty_marker
            else "the state is NOT empty"
        )
        probed = await _probe(settings, publisher, address, agent, seconds_max) if probe else None
    barred_at_ms = head.erased_at_ms if head else round(time.time() * 1000)
    await _bar_letters(settings, address, barred_at_ms)
    told("reading what topics still hold")
    return Certificate(
        address=address,
        event_id=erased.id,
        made_at=datetime.now(UTC),
        state=head,
        state_place=f"{newest.partition}:{newest.offset}",
        probe=probed,
        remains=await _remains(settings, address),
        letters_barred=True,
    )


async def _marker(settings: KafkaSettings, address: Address, seconds_max: float) -> tuple[Record, StateHead | None]:
    """The newest state of *address*, once it says that the conversation is erased."""
    until = time.monotonic() + seconds_max
    while True:
        newest = None
        async for record in scan(settings, topics.CONVERSATIONS_STATE, key=address.key):
            newest = record
        head = head_of(newest.value) if newest else None
        if newest is not None and (head is None or head.erased_at_ms):
            return newest, head
        if time.monotonic() > until:
            raise Retryable(
                f"the ledger has not erased {address.tenant}:{address.conversation} within {seconds_max:g} s; the "
                "event is published and will be obeyed: is the conversations service running? Run this again for "
                "the proof"
            )
        await asyncio.sleep(LOOK_SECONDS)


async def _probe(
    settings: KafkaSettings, publisher: Publisher, address: Address, agent: str, seconds_max: float
) -> Probe:
    message = posted(address, agent, PROBE_TEXT, event_id=f"erase-probe-{uuid4()}")
    async with TopicReader(settings, [topics.TURNS_CLOSED], start="end") as reader:
        await publisher.publish([(address, message)])
        until = time.monotonic() + seconds_max
        while time.monotonic() < until:
            for seen in await reader.read():
                if (closed := _covers(seen, message.id)) is not None:
                    return Probe(message.id, closed.turn.id, closed.outcome, closed.reason)
    raise Retryable(f"the message that was to be refused had no outcome within {seconds_max:g} s; run this again")


def _covers(seen: Seen, message_id: str) -> TurnClosed | None:
    body = seen.event.data
    return body if isinstance(body, TurnClosed) and message_id in body.covers else None


async def _bar_letters(settings: KafkaSettings, address: Address, erased_at_ms: int) -> None:
    key, headers = erasure_mark(address, erased_at_ms)
    async with producer(settings) as writing:
        await writing.send_and_wait(settings.namespace + topics.DEAD_LETTERS, None, key=key, headers=list(headers))


async def _remains(settings: KafkaSettings, address: Address) -> tuple[Remains, ...]:
    states = await found_topics(settings)
    found = []
    for topic in topics.TOPICS.values():
        if topic.partitioned_by_conversation:
            state = states.get(settings.namespace + topic.name)
            keeping = keeping_of({"segment.ms": str(DEFAULT_SEGMENT_MS), **state.config}) if state else Keeping(None)
            one = remains_of(topic.name, await _records(settings, topic.name, address), keeping)
            found += [one] if one else []
    return tuple(found)


async def _records(settings: KafkaSettings, topic: str, address: Address) -> list[Record]:
    """The records of *address* that tell something of it: no markers, no receipts."""
    if topic == topics.DEAD_LETTERS:
        # A letter lies where its record was, and that may have been the wrong partition.
        letters = (await read_box(settings)).letters
        return [letter.record for letter in letters if letter.record.key == address.key]
    records = [record async for record in scan(settings, topic, key=address.key)]
    if topic != topics.CONVERSATIONS_STATE:
        return records
    heads = [(record, head_of(record.value)) for record in records]
    return [record for record, head in heads if head is not None and not head.is_empty_marker]
