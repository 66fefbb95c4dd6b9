"""
Replicas in sync: with one of three brokers away and another one behind, nothing can be written. So who takes brokers
away, one after another, waits in between until all partitions are whole.
"""

import asyncio

from aiokafka.errors import KafkaError

from services.operator.faults.world import World
from shared.broker.clients import KafkaSettings, admin

POLL_SECONDS = 0.5
IN_SYNC_SECONDS_MAX = 90.0


async def catch_up(world: World) -> None:
    """Wait until every replica of every partition is in sync; `IN_SYNC_SECONDS_MAX` later the row is broken."""
    try:
        async with asyncio.timeout(IN_SYNC_SECONDS_MAX):
            # Replicas catch up on the brokers, which tell nobody: only asking again shows it.
            while await _behind(world.stack.kafka) != 0:  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        world.broken.append(f"replicas were not in sync {IN_SYNC_SECONDS_MAX:g} s after a broker had come back")


async def _behind(settings: KafkaSettings) -> int | None:
    """Partitions that lack a replica; `None` where no broker says."""
    client = admin(settings)
    try:
        await client.start()
        topics = await client.describe_topics()
    except KafkaError:
        return None
    finally:
        await client.close()
    return sum(len(part["isr"]) < len(part["replicas"]) for topic in topics for part in topic["partitions"])
