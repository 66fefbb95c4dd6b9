"""
An independent reader of the topics: read_committed, by assignment, belonging to no group and moving nobody's offsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.broker.clients import KafkaSettings, consumer
from shared.errors import Fatal
from shared.events.base import Body
from shared.events.codec import decode
from shared.events.envelope import Address, Envelope
from shared.events.topics import TOPICS


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as it was read, and when the broker took it (unix milliseconds)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    address: Address
    event: Envelope[Body]


class TopicReader:
    """
    Reads *names* from the beginning, or from the present end, each partition in offset order.

    With `conversation.events` and `conversation.decisions` the topics of tenants that have their own are read as well,
    and told of as if they were them. What is no event is left out, as Holdfast itself sends it to `dead.letters`;
    `unreadable` counts it.

    Raises:
        Fatal: (on entering) a topic does not exist.

    """

    def __init__(
        self, settings: KafkaSettings, names: Sequence[str], *, start: Literal["beginning", "end"] = "beginning"
    ) -> None:
        self._names = {settings.namespace + own: name for name in names for own in settings.topics_of(name)}
        self._start = start
        self._consumer = consumer(settings, group=None)
        self.unreadable = 0

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            await self._assign()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def read(self, *, wait_seconds: float = 0.1, records_max: int = 2_000) -> list[Seen]:
        """What has come since; empty after *wait_seconds* without a record."""
        fetched = await self._consumer.getmany(timeout_ms=round(wait_seconds * 1000), max_records=records_max)
        read = (self._seen(record) for records in fetched.values() for record in records)
        return [seen for seen in read if seen is not None]

    @property
    def partitions(self) -> int:
        """How many partitions are read, of all topics together."""
        return len(self._consumer.assignment())

    async def behind(self) -> int:
        """How many offsets lie between what was read and what a read_committed reader may read now."""
        partitions = self._consumer.assignment()
        ends = await self._consumer.end_offsets(partitions)
        return sum([max(0, ends[one] - await self._consumer.position(one)) for one in partitions])

    async def _assign(self) -> None:
        partitions = await partitions_of(self._consumer, list(self._names))
        if missing := sorted(set(self._names) - {partition.topic for partition in partitions}):
            raise Fatal(
                f"no topic {', '.join(missing)} on this broker; `holdfast topics apply` creates what is missing"
            )
        self._consumer.assign(partitions)
        if self._start == "end":
            await self._consumer.seek_to_end(*partitions)
        else:
            await self._consumer.seek_to_beginning(*partitions)

    def _seen(self, record: Any) -> Seen | None:
        topic = self._names[record.topic]
        try:
            event = decode(TOPICS[topic].types, record.key, record.headers, record.value)
            address = Address.from_key(record.key)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  the boundary of a record: readers that follow for long go on behind it
            self.unreadable += 1
            return None
        return Seen(topic, record.partition, record.offset, record.timestamp, address, event)


async def partitions_of(client: AIOKafkaConsumer, names: Sequence[str]) -> list[TopicPartition]:
    """Every partition of the topics *names* (with their namespace) that the broker has."""
    await client._client.force_metadata_update()  # noqa: SLF001  (assignment without a subscription needs it)
    known = await client.topics()
    return [
        TopicPartition(name, number)
        for name in names
        if name in known
        for number in sorted(client.partitions_for_topic(name) or ())
    ]
