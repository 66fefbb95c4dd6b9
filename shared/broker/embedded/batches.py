"""
Record batches, version 2: header, checksum, control batches, and the records inside where they must be looked at.

Source: the Kafka documentation, "Message Format" (record batch, record, control records). Producing and fetching handle
whole batches; records are decoded only for time look-up, compaction and the key check of compacted topics.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from aiokafka import codec
from aiokafka.record.util import calc_crc32c, decode_varint

HEADER_BYTES = 61
MAGIC = 2
NO_PRODUCER = -1
NO_SEQUENCE = -1

_HEADER = struct.Struct(">qiibIhiqqqhii")
_STAMP = struct.Struct(">qii")
_AFTER_CRC = struct.Struct(">hiqqqhii")
_LENGTH_OVERHEAD = 12
_CRC_STARTS = 21

_CODEC_MASK = 0x07
_TRANSACTIONAL = 0x10
_CONTROL = 0x20

_MARKER_KEY = struct.Struct(">hh")
_MARKER_VALUE = struct.Struct(">hi")
_ABORT, _COMMIT = 0, 1

_DECODERS = {1: codec.gzip_decode, 2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode}


class Header(NamedTuple):
    """The fixed fields of a batch, in wire order."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int

    @property
    def transactional(self) -> bool:
        """Does the batch belong to a transaction?"""
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def control(self) -> bool:
        """Is the batch a commit or abort marker?"""
        return bool(self.attributes & _CONTROL)

    @property
    def size_bytes(self) -> int:
        """Bytes of the batch, header included."""
        return self.length + _LENGTH_OVERHEAD


class Record(NamedTuple):
    """One record of a batch; *raw* is its encoding, so that it can be kept without encoding it anew."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    tombstone: bool
    raw: bytes


class UnreadableRecordsError(ValueError):
    """The records of a batch cannot be decoded: damaged, or compressed by a codec that is not installed."""


def read_header(raw: bytes) -> Header:
    """
    The header of the batch that *raw* begins with.

    Raises:
        ValueError: *raw* is shorter than a header.

    """
    if len(raw) < HEADER_BYTES:
        raise ValueError(f"a record batch has at least {HEADER_BYTES} bytes, here are {len(raw)}")
    return Header._make(_HEADER.unpack_from(raw))


def crc_is_valid(raw: bytes, header: Header) -> bool:
    """Does the CRC-32C over everything behind the checksum hold?"""
    return bool(calc_crc32c(raw[_CRC_STARTS:]) == header.crc)


def stamped(raw: bytes, base_offset: int) -> bytes:
    """The batch as it stands in the log: with its offset; offset and leader epoch lie outside the checksum."""
    return _STAMP.pack(base_offset, len(raw) - _LENGTH_OVERHEAD, 0) + raw[_STAMP.size :]


def marker(producer_id: int, producer_epoch: int, *, commit: bool, now_ms: int) -> bytes:
    """A control batch that ends a producer's transaction in a partition."""
    key = _MARKER_KEY.pack(0, _COMMIT if commit else _ABORT)
    value = _MARKER_VALUE.pack(0, 0)
    body = b"\0\0\0" + _varint(len(key)) + key + _varint(len(value)) + value + _varint(0)
    record = _varint(len(body)) + body
    return _assemble(
        Header(
            0, 0, 0, MAGIC, 0, _TRANSACTIONAL | _CONTROL, 0, now_ms, now_ms, producer_id, producer_epoch, NO_SEQUENCE, 1
        ),
        record,
    )


def records(raw: bytes) -> Iterator[Record]:
    """
    The records of a batch in order.

    Raises:
        UnreadableRecordsError: damaged, or compressed by a codec that is not installed.

    """
    header = read_header(raw)
    data = _uncompressed(raw, header)
    position = 0
    try:
        for _ in range(header.records):
            length, body = decode_varint(data, position)
            end = body + length
            yield _record(header, data, position, body, end)
            position = end
    except (IndexError, ValueError) as error:
        raise UnreadableRecordsError(f"batch at offset {header.base_offset}: {error}") from error


def rebuilt(raw: bytes, kept: Iterable[Record]) -> bytes:
    """
    The batch with only the *kept* of its records, uncompressed; offsets, timestamps and producer stay as they were.
    """
    kept = list(kept)
    header = read_header(raw)
    return _assemble(
        header._replace(attributes=header.attributes & ~_CODEC_MASK, records=len(kept)), b"".join(r.raw for r in kept)
    )


def _assemble(header: Header, body: bytes) -> bytes:
    tail = _AFTER_CRC.pack(*header[5:]) + body
    head = struct.pack(
        ">qiibI", header.base_offset, 9 + len(tail), header.leader_epoch, header.magic, calc_crc32c(tail)
    )
    return head + tail


def _uncompressed(raw: bytes, header: Header) -> bytearray:
    data = raw[HEADER_BYTES:]
    compression = header.attributes & _CODEC_MASK
    if compression:
        decoder = _DECODERS.get(compression)
        if decoder is None:
            raise UnreadableRecordsError(f"batch at offset {header.base_offset} names the unknown codec {compression}")
        try:
            data = decoder(data)
        except (OSError, EOFError, RuntimeError, NotImplementedError, ValueError, NameError) as error:
            raise UnreadableRecordsError(f"batch at offset {header.base_offset}: {error!r}") from error
    return bytearray(data)


def _record(header: Header, data: bytearray, start: int, body: int, end: int) -> Record:
    if end > len(data):
        raise ValueError(f"a record ends at byte {end} of {len(data)}")
    timestamp_delta, position = decode_varint(data, body + 1)
    offset_delta, position = decode_varint(data, position)
    key_length, position = decode_varint(data, position)
    key = None if key_length < 0 else bytes(data[position : position + key_length])
    value_length, _ = decode_varint(data, position + max(key_length, 0))
    return Record(
        header.base_offset + offset_delta,
        header.base_timestamp + timestamp_delta,
        key,
        value_length < 0,
        bytes(data[start:end]),
    )


def _varint(value: int) -> bytes:
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)
