"""
aiokafka's fetcher, at a batch that it cannot decode.

It (0.14) raises from the middle of a fetch, and what it had taken of other partitions in the same fetch is lost to the
caller though it counts as read; the next fetch raises again, for ever. Here such a batch is fetched anew
`FETCHES_ANEW` times, for the fault may have been the connection's; then what can be had of it is returned in its place
(salvage.py), and reading goes on behind it.

Nothing of this is on the way of a record that is sound.
"""

from collections.abc import Iterator
from typing import Any

import structlog
from aiokafka.consumer import consumer, fetcher
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord, TopicPartition

from shared.broker.out_of_range import NotingFetcher
from shared.broker.salvage import Unreadable, salvaged

FETCHES_ANEW = 3

Batches = dict[TopicPartition, list[ConsumerRecord[Any, Any]]]

_log = structlog.get_logger(__name__)


class WithUnreadable(dict[TopicPartition, list[ConsumerRecord[Any, Any]]]):
    """What a fetch brought, where something of it is `Unreadable`."""


class _Failed:
    """Stands in a list of records where decoding ended; `data` is all that was fetched of the partition."""

    def __init__(self, place: TopicPartition, data: bytes, offset: int, error: Exception) -> None:
        self.place = place
        self.data = data
        self.offset = offset
        self.error = error


class _Data(MemoryRecords):  # type: ignore[misc]
    """Fetched batches that keep their bytes at hand."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a partition up to the first batch that cannot be decoded."""

    _records_iterator: Any

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None
            raise
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  a foreign decoder over what anybody may have written
            self._records_iterator = iter(())
            return _Failed(self._tp, bytes(self._records.data), self.next_fetch_offset, error)


class _Fetcher(NotingFetcher):
    """Returns `Unreadable` in the place of what cannot be decoded."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._failures: dict[TopicPartition, tuple[int, int]] = {}

    async def fetched_records(
        self,
        partitions: Any,
        timeout: float = 0,  # noqa: ASYNC109  aiokafka's name
        max_records: int | None = None,
    ) -> Batches:
        batches: Batches = await super().fetched_records(partitions, timeout, max_records)
        if not any(type(records[-1]) is _Failed for records in batches.values()):
            return batches
        told = WithUnreadable()
        for place, records in batches.items():
            failed = records[-1]
            sound = [*records[:-1], *self._had(place, failed)] if type(failed) is _Failed else records
            if sound:
                told[place] = sound
        return told

    async def next_record(self, partitions: Any) -> Any:
        while True:
            record = await super().next_record(partitions)
            if type(record) is not _Failed:
                return record
            place = record.place
            if had := list(self._had(place, record)):
                # One at a time: the rest of the batch is salvaged again, without being fetched anew so often.
                after = had[0].offset + 1
                self._failures[place] = after, FETCHES_ANEW
                self.seek_to(place, after)
                return had[0]

    def _had(self, place: TopicPartition, failed: _Failed) -> Iterator[ConsumerRecord[Any, Any]]:
        """What takes the place of what *failed*; nothing where that is fetched anew."""
        offset, times = self._failures.pop(place, (failed.offset, 0))
        times = times + 1 if offset == failed.offset else 1
        if times <= FETCHES_ANEW:
            self._failures[place] = failed.offset, times
            return
        records, after = salvaged(place, failed.data, failed.offset, failed.error)
        if not self._subscriptions.is_assigned(place):
            return
        self.seek_to(place, after)
        for record in records:
            if type(record) is Unreadable:
                _log.error(
                    "a batch or record cannot be decoded and is passed over",
                    topic=place.topic,
                    partition=place.partition,
                    first_offset=record.first_offset,
                    offset=record.offset,
                    why=record.why,
                )
        yield from records


def read_past_the_unreadable() -> None:
    """Let every aiokafka consumer that this process makes from now on read so."""
    fetcher.MemoryRecords = _Data
    fetcher.PartitionRecords = _Records
    consumer.Fetcher = _Fetcher
