"""
What can be had of a batch that Kafka's client cannot decode: each record that is whole, and the bytes of what is not.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.record.util import calc_crc32c, decode_varint
from aiokafka.structs import ConsumerRecord, TopicPartition

from shared.broker.codecs import decompressed

HEADER_NAMES_MAX = 1_024
"""Headers of one record that are read; a record with more stays as its bytes."""

_HEADER = struct.Struct(">qiibIhiqqqhii")
_PREFIX_BYTES = 12
_CRC_COVERS_FROM = 21
_CODEC_MASK = 0x07
_APPEND_TIME = 0x08
_MAGIC = 2


@dataclass
class Unreadable(ConsumerRecord):  # type: ignore[misc]
    """
    What stands for the offsets from `first_offset` to `offset`, which the client could not decode.

    `why` says what is wrong. Key, value and headers are those of the record where they could be had (names of headers
    that are no UTF-8 are escaped), else the value is the bytes of the record or the batch.
    """

    first_offset: int
    why: str


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch's header, as far as it is needed, and all its bytes."""

    base_offset: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    records: int
    raw: bytes

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1


def salvaged(
    place: TopicPartition, data: bytes, offset: int, error: Exception
) -> tuple[list[ConsumerRecord[Any, Any]], int]:
    """
    What is to be had, from *offset* on, of the batch among the fetched *data* that holds it, at which the client met
    *error*; and the offset to go on from, which is always beyond *offset*.
    """
    why = f"{type(error).__name__}: {error}"
    batch = _batch_at(data, offset)
    if batch is None:
        return [_unreadable(place, offset, offset, 0, why, value=data)], offset + 1
    after = max(offset + 1, batch.next_offset)
    sound = calc_crc32c(batch.raw[_CRC_COVERS_FROM:]) == batch.crc
    if not sound:
        return [_whole(place, batch, offset, after, why)], after
    try:
        body = decompressed(batch.attributes & _CODEC_MASK, batch.raw[_HEADER.size :])
    except KafkaError as cause:
        return [_whole(place, batch, offset, after, f"{type(cause).__name__}: {cause}")], after
    return list(_records(place, batch, bytearray(body), offset, after)), after


def _batch_at(data: bytes, offset: int) -> _Batch | None:
    at = 0
    while len(data) - at >= _HEADER.size:
        (base, length, _, magic, crc, attributes, delta, first_ms, max_ms, _, _, _, count) = _HEADER.unpack_from(
            data, at
        )
        end = at + _PREFIX_BYTES + length
        if magic != _MAGIC or end <= at or end > len(data):
            return None
        batch = _Batch(base, crc, attributes, delta, first_ms, max_ms, count, data[at:end])
        if batch.next_offset > offset:
            return batch
        at = end
    return None


def _records(
    place: TopicPartition, batch: _Batch, body: bytearray, offset: int, after: int
) -> Iterator[ConsumerRecord[Any, Any]]:
    """Every record from *offset* on; where one's end cannot be told, the rest in one piece."""
    at, begins = 0, batch.base_offset
    for _ in range(max(0, batch.records)):
        try:
            start, end = _extent(body, at)
            record = _record(place, batch, body[start:end], begins)
        except (IndexError, ValueError) as error:
            yield _unreadable(
                place, max(offset, begins), after - 1, batch.max_timestamp, str(error), value=bytes(body[at:])
            )
            return
        at, begins = end, record.offset + 1
        if offset <= record.offset < after:
            yield record


def _extent(body: bytearray, at: int) -> tuple[int, int]:
    """Where the record whose length is written at *at* begins and ends."""
    length, start = decode_varint(body, at)
    if not 0 < length <= len(body) - start:
        raise ValueError(f"a record of {length} bytes, where {len(body) - start} are left")
    return start, start + length


def _record(place: TopicPartition, batch: _Batch, data: bytearray, begins: int) -> ConsumerRecord[Any, Any]:
    """The record in *data*; as its bytes, at *begins*, where it is damaged."""
    try:
        delta_ms, at = decode_varint(data, 1)
        delta, at = decode_varint(data, at)
        stamp = batch.max_timestamp if batch.attributes & _APPEND_TIME else batch.base_timestamp + delta_ms
    except (IndexError, ValueError) as error:
        return _unreadable(place, begins, begins, batch.max_timestamp, str(error), value=bytes(data))
    if not begins <= batch.base_offset + delta < max(begins + 1, batch.next_offset):
        why = f"the record says that it lies {delta} behind offset {batch.base_offset}"
        return _unreadable(place, begins, begins, batch.max_timestamp, why, value=bytes(data))
    offset = batch.base_offset + delta
    try:
        key, at = _bytes(data, at)
        value, at = _bytes(data, at)
        headers, escaped = _headers(data, at)
    except (IndexError, ValueError) as error:
        return _unreadable(place, offset, offset, stamp, str(error), value=bytes(data))
    if escaped:
        why = "the name of a header is no UTF-8"
        return _unreadable(place, offset, offset, stamp, why, key=key, value=value, headers=headers)
    return ConsumerRecord(
        place.topic, place.partition, offset, stamp, 0, key, value, None, len(key or b""), len(value or b""), headers
    )


def _bytes(data: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    if length < 0:
        return None, at
    if length > len(data) - at:
        raise ValueError(f"{length} bytes, where {len(data) - at} are left")
    return bytes(data[at : at + length]), at + length


def _headers(data: bytearray, at: int) -> tuple[tuple[tuple[str, bytes | None], ...], bool]:
    """The headers, and whether a name had to be escaped."""
    count, at = decode_varint(data, at)
    if not 0 <= count <= HEADER_NAMES_MAX:
        raise ValueError(f"{count} headers; 0 to {HEADER_NAMES_MAX} are read")
    found: list[tuple[str, bytes | None]] = []
    escaped = False
    for _ in range(count):
        name, at = _bytes(data, at)
        if name is None:
            raise ValueError("a header without a name")
        value, at = _bytes(data, at)
        text = name.decode(errors="backslashreplace")
        escaped = escaped or text.encode() != name
        found.append((text, value))
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes behind the headers")
    return tuple(found), escaped


def _whole(place: TopicPartition, batch: _Batch, offset: int, after: int, why: str) -> Unreadable:
    return _unreadable(place, offset, after - 1, batch.max_timestamp, why, value=batch.raw)


def _unreadable(
    place: TopicPartition,
    first: int,
    last: int,
    timestamp_ms: int,
    why: str,
    *,
    key: bytes | None = None,
    value: bytes | None,
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> Unreadable:
    sizes = len(key or b""), len(value or b"")
    return Unreadable(
        place.topic, place.partition, last, timestamp_ms, 0, key, value, None, *sizes, headers, max(first, 0), why
    )
