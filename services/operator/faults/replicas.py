"""
Replicas in sync: with one of three brokers away and another one behind, nothing can be written. So who takes brokers
away, one after another, waits in between until all partitions are whole.
"""

import asyncio

from aiokafka.errors import KafkaError

from shared.broker.clients import KafkaSettings, admin

POLL_SECONDS = 0.5
WHOLE_SECONDS_MAX = 90.0


async def whole(settings: KafkaSettings) -> None:
    """
    Wait until every replica of every partition is in sync.

    Raises:
        TimeoutError: they were not within `WHOLE_SECONDS_MAX`.

    """
    async with asyncio.timeout(WHOLE_SECONDS_MAX):
        # Replicas catch up on the brokers, which tell nobody: only asking again shows it.
        while await _behind(settings) != 0:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


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
