"""
The log of one partition: batches in memory, offsets, last stable offset, aborted transactions, time index.

Everything here is synchronous and free of clocks, so that properties can be tested over arbitrary interleavings.
"""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import NamedTuple

from shared.broker.embedded import batches
from shared.broker.embedded.batches import Header
from shared.broker.embedded.codes import Code
from shared.broker.embedded.compaction import cleaned
from shared.broker.embedded.idempotence import Producers
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.topics import TopicConfig

logger = logging.getLogger(__name__)

RETENTION_SLACK = 0.9
"""Dropping goes down to this share of the limit, so that a full partition drops seldom and logs seldom."""


class Appended(NamedTuple):
    """The answer to a batch: an error, or the offset of its first record."""

    code: Code
    base_offset: int


class Slice(NamedTuple):
    """Whole batches read from a log, and the offset behind the last of them."""

    data: bytes
    next_offset: int


class AbortedTransaction(NamedTuple):
    """A transaction whose records readers of committed data must skip."""

    marker_offset: int
    producer_id: int
    first_offset: int


class PartitionLog:
    """
    One partition.

    *config* is the topic's, shared by its partitions; a change of it holds from the next append on.
    """

    def __init__(self, topic: str, index: int, config: TopicConfig, limits: Limits) -> None:
        self.topic = topic
        self.index = index
        self.start_offset = 0
        self.end_offset = 0
        self.size_bytes = 0
        self.end_watchers: set[Callable[[], None]] = set()
        """Called when any record arrives."""
        self.stable_watchers: set[Callable[[], None]] = set()
        """Called when the last stable offset moves."""
        self._config = config
        self._limits = limits
        self._batches: list[bytes] = []
        self._last_offsets: list[int] = []
        self._running_max_timestamps: list[int] = []
        self._open: dict[int, int] = {}
        self._aborted: list[AbortedTransaction] = []
        self._producers = Producers(limits.producers_max)
        self._cleaned_bytes = 0

    @property
    def last_stable_offset(self) -> int:
        """Below it every transaction is decided. The open ones are kept in the order in which they began here."""
        return next(iter(self._open.values()), self.end_offset)

    def append(self, raw: bytes) -> Appended:
        """
        Append the one batch that *raw* is.

        A batch of an idempotent producer that was sent before is answered with the offset that it got then.
        """
        if len(raw) < batches.HEADER_BYTES:
            return Appended(Code.CORRUPT_MESSAGE, -1)
        header = batches.read_header(raw)
        code = self._complaint(raw, header)
        if code is not Code.NONE:
            return Appended(code, -1)
        if header.producer_id >= 0:
            verdict = self._producers.check(header)
            if verdict.code is not Code.NONE:
                return Appended(verdict.code, -1)
            if verdict.duplicate_of is not None:
                return Appended(Code.NONE, verdict.duplicate_of)
        stable = self.last_stable_offset
        base = self._store(raw, header)
        if header.producer_id >= 0:
            self._producers.remember(header, base)
        if header.transactional:
            self._open.setdefault(header.producer_id, base)
        self._bound_memory()
        self._notify(stable)
        return Appended(Code.NONE, base)

    def end_transaction(self, producer_id: int, epoch: int, *, commit: bool, now_ms: int) -> None:
        """Write the marker that decides a producer's open transaction, and refuse older epochs from now on."""
        raw = batches.marker(producer_id, epoch, commit=commit, now_ms=now_ms)
        stable = self.last_stable_offset
        offset = self._store(raw, batches.read_header(raw))
        self._producers.fence(producer_id, epoch)
        first = self._open.pop(producer_id, None)
        if not commit and first is not None:
            self._aborted.append(AbortedTransaction(offset, producer_id, first))
        self._bound_memory()
        self._notify(stable)

    def read(self, offset: int, bytes_max: int, *, below: int, at_least_one: bool) -> Slice:
        """
        Whole batches from *offset* on that begin under *below*, up to *bytes_max*; with *at_least_one* the first batch
        is returned even where it is larger (KIP-74).
        """
        first = bisect_left(self._last_offsets, offset)
        stop = first
        size = 0
        while stop < len(self._batches) and self._base_of(stop) < below:
            size += len(self._batches[stop])
            if size > bytes_max and not (at_least_one and stop == first):
                break
            stop += 1
        if stop == first:
            return Slice(b"", offset)
        return Slice(b"".join(self._batches[first:stop]), self._last_offsets[stop - 1] + 1)

    def aborted_between(self, offset: int, next_offset: int) -> list[AbortedTransaction]:
        """The aborted transactions that overlap the offsets from *offset* up to *next_offset*."""
        first = bisect_left(self._aborted, offset, key=lambda aborted: aborted.marker_offset)
        return [aborted for aborted in self._aborted[first:] if aborted.first_offset < next_offset]

    def find_by_time(self, timestamp_ms: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record that is not older than *timestamp_ms*."""
        at = bisect_left(self._running_max_timestamps, timestamp_ms)
        if at == len(self._batches):
            return None
        raw = self._batches[at]
        header = batches.read_header(raw)
        try:
            for record in batches.records(raw):
                if record.timestamp_ms >= timestamp_ms and record.offset >= self.start_offset:
                    return record.timestamp_ms, record.offset
        except batches.UnreadableRecordsError as error:
            logger.warning("%s-%d: time look-up falls back to a batch's begin: %s", self.topic, self.index, error)
        return header.max_timestamp, header.base_offset

    def delete_before(self, offset: int) -> Code:
        """Forget what lies under *offset* (-1: all that readers may see by now)."""
        if offset == -1:
            offset = self.end_offset
        if not self.start_offset <= offset <= self.end_offset:
            return Code.OFFSET_OUT_OF_RANGE
        self._drop_head(bisect_left(self._last_offsets, offset))
        self.start_offset = offset
        self._prune_aborted()
        return Code.NONE

    def _complaint(self, raw: bytes, header: Header) -> Code:
        if header.magic != batches.MAGIC:
            return Code.UNSUPPORTED_FOR_MESSAGE_FORMAT
        if header.size_bytes > self._config.batch_bytes_max(self._limits):
            return Code.MESSAGE_TOO_LARGE
        whole = header.size_bytes == len(raw)
        if header.size_bytes > len(raw) or (whole and not batches.crc_is_valid(raw, header)):
            return Code.CORRUPT_MESSAGE
        sound = whole and not header.control and header.records == header.last_offset_delta + 1 > 0
        if not sound or (header.transactional and header.producer_id < 0):
            return Code.INVALID_RECORD
        if self._config.compact and not _every_record_has_a_key(raw):
            return Code.INVALID_RECORD
        return Code.NONE

    def _store(self, raw: bytes, header: Header) -> int:
        base = self.end_offset
        self.end_offset = base + header.last_offset_delta + 1
        self._batches.append(batches.stamped(raw, base))
        self._last_offsets.append(self.end_offset - 1)
        before = self._running_max_timestamps[-1] if self._running_max_timestamps else -1
        self._running_max_timestamps.append(max(before, header.max_timestamp))
        self.size_bytes += len(raw)
        return base

    def _base_of(self, at: int) -> int:
        return int.from_bytes(self._batches[at][:8], "big")

    def _notify(self, stable_before: int) -> None:
        for watcher in list(self.end_watchers):
            watcher()
        if self.last_stable_offset != stable_before:
            for watcher in list(self.stable_watchers):
                watcher()

    def _bound_memory(self) -> None:
        if self._config.compact and self.size_bytes >= 2 * self._cleaned_bytes + self._limits.compaction_bytes_min:
            self._compact()
        limit = self._config.retention_bytes(self._limits)
        if limit is not None and self.size_bytes > limit:
            self._drop_to(int(limit * RETENTION_SLACK))

    def _compact(self) -> None:
        """The newest batch stays, as Kafka's active segment does: readers take the log's end from it."""
        stop = min(bisect_left(self._last_offsets, self.last_stable_offset), len(self._batches) - 1)
        kept = cleaned(
            self._batches[:stop],
            aborted=self._aborted,
            tombstone_retention_ms=self._config.tombstone_retention_ms,
            now_ms=self._running_max_timestamps[-1],
        )
        rest = self._batches[stop:]
        before = self.size_bytes
        aborted_from = bisect_left(self._aborted, self._base_of(stop), key=lambda aborted: aborted.marker_offset)
        del self._aborted[:aborted_from]
        self._batches, self._last_offsets, self._running_max_timestamps, self.size_bytes = [], [], [], 0
        running = -1
        for raw in (*kept, *rest):
            header = batches.read_header(raw)
            running = max(running, header.max_timestamp)
            self._batches.append(raw)
            self._last_offsets.append(header.base_offset + header.last_offset_delta)
            self._running_max_timestamps.append(running)
            self.size_bytes += len(raw)
        self._cleaned_bytes = self.size_bytes
        logger.debug("%s-%d: compacted %d bytes to %d", self.topic, self.index, before, self.size_bytes)

    def _drop_to(self, limit_bytes: int) -> None:
        count = 0
        remaining = self.size_bytes
        decided = bisect_left(self._last_offsets, self.last_stable_offset)
        while remaining > limit_bytes and count < min(decided, len(self._batches) - 1):
            remaining -= len(self._batches[count])
            count += 1
        if count == 0:
            return
        first, last = self.start_offset, self._last_offsets[count - 1]
        self._drop_head(count)
        self.start_offset = last + 1
        self._prune_aborted()
        logger.warning(
            "%s-%d: over its retention.bytes; dropped offsets %d to %d, read or not. Give the topic a larger one.",
            self.topic,
            self.index,
            first,
            last,
        )

    def _drop_head(self, count: int) -> None:
        self.size_bytes -= sum(map(len, self._batches[:count]))
        del self._batches[:count], self._last_offsets[:count], self._running_max_timestamps[:count]

    def _prune_aborted(self) -> None:
        del self._aborted[
            : bisect_right(self._aborted, self.start_offset - 1, key=lambda aborted: aborted.marker_offset)
        ]


def _every_record_has_a_key(raw: bytes) -> bool:
    try:
        return all(record.key is not None for record in batches.records(raw))
    except batches.UnreadableRecordsError as error:
        logger.warning("keys of a compacted topic's batch are not checked: %s", error)
        return True
