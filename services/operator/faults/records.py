"""
Records as they lie on the topics, undecoded.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from services.operator.adapters.reader import partitions_of
from shared.broker.clients import KafkaSettings, consumer
from shared.events.codec import Headers


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record's bytes and where they lie."""

    topic: str
    key: bytes
    headers: Headers
    value: bytes | None


async def raw_records(settings: KafkaSettings, names: Sequence[str]) -> AsyncIterator[RawRecord]:
    """What a read_committed reader sees on *names*, from the beginning to where they end now."""
    async with consumer(settings, group=None) as client:
        positions = await partitions_of(client, [settings.namespace + name for name in names])
        client.assign(positions)
        await client.seek_to_beginning(*positions)
        ends = await client.end_offsets(positions)
        while [one for one in positions if await client.position(one) < ends[one]]:
            for records in (await client.getmany(timeout_ms=500, max_records=5_000)).values():
                for record in records:
                    yield RawRecord(
                        record.topic.removeprefix(settings.namespace),
                        record.key or b"",
                        tuple(record.headers),
                        record.value,
                    )
