"""
Reading what a topic holds now, record by record as it stands in the log: whole, or one conversation's partition of it.
"""

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2

from services.operator.adapters.reader import partitions_of
from shared.broker.clients import KafkaSettings, consumer
from shared.errors import Fatal, Retryable
from shared.stage.base import Record

SILENCE_SECONDS_MAX = 30.0
"""Without a record for so long while some are due, the broker is taken to be away."""
RECORDS_MAX = 2_000
_WAIT_SECONDS = 0.5

Progress = Callable[[int, int], None]
"""Told the offsets passed and those to pass, of one scan."""


def home_of(key: bytes, partitions: int) -> int:
    """The partition in which the records of *key* are, of so many."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


async def scan(
    settings: KafkaSettings,
    topic: str,
    *,
    key: bytes | None = None,
    at_home: bool = False,
    partitions: Collection[int] | None = None,
    since_ms: int = 0,
    progress: Progress = lambda _passed, _due: None,
) -> AsyncIterator[Record]:
    """
    The committed records of *topic* up to where it ends as the scan begins, of each partition in offset order.

    With *key* only its records are told; *at_home* reads only the partition that Kafka's own partitioner gives it, and
    *partitions* only those. *since_ms* (unix milliseconds) begins at the first record that the broker took then or
    later.

    Raises:
        Fatal: the topic does not exist.
        Retryable: the broker stopped answering before the end.

    """
    reader = consumer(settings, group=None)
    try:
        await reader.start()
        places = await _places(reader, settings.namespace + topic, key if at_home else None, partitions)
        if not places:
            return
        reader.assign(places)
        ends = await reader.end_offsets(places)
        await _begin(reader, places, ends, since_ms)
        first = {place: await reader.position(place) for place in places}
        due = sum(max(0, ends[place] - first[place]) for place in places)
        silent_seconds = 0.0
        while left := [place for place in places if await reader.position(place) < ends[place]]:
            fetched = await reader.getmany(*left, timeout_ms=round(_WAIT_SECONDS * 1000), max_records=RECORDS_MAX)
            silent_seconds = 0.0 if fetched else silent_seconds + _WAIT_SECONDS
            if silent_seconds >= SILENCE_SECONDS_MAX:
                raise Retryable(f"{topic}: nothing came for {silent_seconds:.0f} s with records still to be read")
            for place, records in fetched.items():
                for record in records:
                    if record.offset < ends[place] and (key is None or record.key == key):
                        yield _record(topic, record)
            progress(sum([await reader.position(place) - first[place] for place in places]), due)
    finally:
        await reader.stop()


async def _places(
    reader: AIOKafkaConsumer, name: str, home_key: bytes | None, partitions: Collection[int] | None
) -> list[TopicPartition]:
    places = await partitions_of(reader, [name])
    if not places:
        raise Fatal(f"no topic {name} on this broker; `holdfast topics apply` creates what is missing")
    if home_key is not None:
        partitions = {home_of(home_key, len(places))}
    return [place for place in places if partitions is None or place.partition in partitions]


async def _begin(
    reader: AIOKafkaConsumer, places: list[TopicPartition], ends: dict[TopicPartition, int], since_ms: int
) -> None:
    if not since_ms:
        await reader.seek_to_beginning(*places)
        return
    for place, found in (await reader.offsets_for_times(dict.fromkeys(places, since_ms))).items():
        reader.seek(place, ends[place] if found is None else found.offset)


def _record(topic: str, record: Any) -> Record:
    return Record(
        topic, record.partition, record.offset, record.timestamp, record.key, record.value, tuple(record.headers)
    )
