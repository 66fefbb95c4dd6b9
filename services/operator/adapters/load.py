"""
Publishing a load at a chosen rate, as an open loop: what is slow to be answered does not slow the asking.
"""

import asyncio
import time
from collections.abc import Iterable
from uuid import uuid4

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.watch import Watch
from services.operator.domain.workload import Message
from shared.events.envelope import Address

TICK_SECONDS = 0.05


async def publish_at(
    rate: float, load: Iterable[Message], *, tenant: str, agent: str, publisher: Publisher, watch: Watch
) -> int:
    """Publish *load* at *rate* messages a second; how many were published."""
    begin, sent = time.monotonic(), 0
    batch = []
    for message in load:
        address = Address(tenant, message.conversation)
        event = posted(address, agent, message.text, event_id=str(uuid4()))
        watch.expect(event.id, message.text, round(event.time.timestamp() * 1000))
        batch.append((address, event))
        sent += 1
        if sent / rate > time.monotonic() - begin + TICK_SECONDS:
            await publisher.publish(batch)
            batch = []
            await asyncio.sleep(max(0.0, begin + sent / rate - time.monotonic()))
    await publisher.publish(batch)
    return sent
