"""
Reading what the topics hold of one conversation; nobody else's records are looked into.
"""

import asyncio
import time
from collections.abc import Sequence

from services.operator.adapters.scan import Progress, scan
from services.operator.domain.tracing import Trace
from shared.broker.clients import KafkaSettings
from shared.errors import Invalid
from shared.events import topics
from shared.events.codec import decode
from shared.events.envelope import Address

TRACED: Sequence[str] = (
    topics.CONVERSATION_EVENTS,
    topics.CONVERSATION_DECISIONS,
    topics.TURNS_OPENED,
    topics.TURNS_MATCHED,
    topics.TURNS_DRAFTED,
    topics.TURNS_FINISHED,
    topics.TURNS_VERIFIED,
    topics.TURNS_CLOSED,
    topics.CONVERSATION_RESPONSES,
)
"""Responses last: they are put to turns that are known."""
LOOKS_MAX = 10
LOOK_SECONDS = 0.2
FRESH_MS = 60_000
"""Of the age of a closed turn whose text may come to be read yet; that of an older one is gone."""


async def read_trace(settings: KafkaSettings, address: Address, *, since_ms: int, progress: Progress) -> Trace:
    """
    What the topics hold of *address* since *since_ms* (unix milliseconds).

    They are looked through whole only where the partition that Kafka's own partitioner gives the conversation holds
    nothing of it: its platform may partition by a rule of its own.

    Raises:
        Fatal: a topic does not exist.
        Retryable: the broker stopped answering.

    """
    trace = await _read(settings, address, since_ms=since_ms, progress=progress, at_home=True)
    return (
        trace if trace.records else await _read(settings, address, since_ms=since_ms, progress=progress, at_home=False)
    )


async def _read(
    settings: KafkaSettings, address: Address, *, since_ms: int, progress: Progress, at_home: bool
) -> Trace:
    trace = Trace()
    for topic in TRACED:
        await _take(trace, topic, settings, address, since_ms=since_ms, progress=progress, at_home=at_home)
    for _ in range(LOOKS_MAX):
        # Committed at once with the record of its turn, and to be read from another topic a moment later.
        if not trace.lacks_response(time.time() * 1000 - FRESH_MS):
            break
        await asyncio.sleep(LOOK_SECONDS)
        topic = topics.CONVERSATION_RESPONSES
        await _take(trace, topic, settings, address, since_ms=since_ms, progress=progress, at_home=at_home)
    return trace


async def _take(
    trace: Trace,
    topic: str,
    settings: KafkaSettings,
    address: Address,
    *,
    since_ms: int,
    progress: Progress,
    at_home: bool,
) -> None:
    name = settings.topic_for(address.tenant, topic)
    async for record in scan(settings, name, key=address.key, at_home=at_home, since_ms=since_ms, progress=progress):
        try:
            event = decode(topics.TOPICS[topic].types, record.key, record.headers, record.value)
        except Invalid:
            trace.unreadable += 1
            continue
        trace.take(event, record.timestamp_ms)
