"""
Which records were written moments before they were read.
"""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

FRESH_SECONDS = 1.0


class Freshness:
    """
    Remembers when each partition was last seen read to its end: what comes next was written after that.

    `look` is to be awaited before each fetch; *now* is the event loop's time.
    """

    def __init__(self) -> None:
        self._ended_at: dict[TopicPartition, float] = {}
        self._polled_ms: dict[TopicPartition, int | None] = {}

    async def look(self, client: AIOKafkaConsumer, partitions: Iterable[TopicPartition], now: float) -> None:
        """Note which of *partitions*, all of them assigned, were read to their end when the broker answered last."""
        try:
            for partition in tuple(partitions):
                await self._look_at(client, partition, now)
        except IllegalStateError:
            return  # a rebalance began meanwhile

    async def _look_at(self, client: AIOKafkaConsumer, partition: TopicPartition, now: float) -> None:
        if partition not in client.assignment():
            return
        polled_ms = client.last_poll_timestamp(partition)
        if polled_ms == self._polled_ms.get(partition):
            return  # no answer since the last look, so nothing new is known of the end
        stable, high = client.last_stable_offset(partition), client.highwater(partition)
        end = high if stable is None or stable < 0 else stable
        if end is not None and await client.position(partition) >= end:
            self._polled_ms[partition] = polled_ms
            self._ended_at[partition] = now

    def fresh(self, partition: TopicPartition, now: float) -> bool:
        """Whether what *partition* gives now was written within about `FRESH_SECONDS`."""
        ended_at = self._ended_at.get(partition)
        return ended_at is not None and now - ended_at <= FRESH_SECONDS

    def forget(self) -> None:
        """The partitions may be other ones, or elsewhere, from now on."""
        self._ended_at.clear()
        self._polled_ms.clear()
