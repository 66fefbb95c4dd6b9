"""
The codecs of record batches, with a limit on what comes out.

aiokafka (0.14) decompresses a batch whole and without a bound, and a megabyte of zstd may hold tens of gigabytes.
"""

import mmap
import struct
import zlib
from collections.abc import Callable

import cramjam
from aiokafka.codec import _detect_xerial_stream
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record import default_records as python_records
from aiokafka.record._crecords import default_records as compiled_records

DECOMPRESSED_BYTES_MAX = 64 * 1_048_576
"""What a batch may hold; brokers take a megabyte of it compressed."""

_XERIAL_HEADER_BYTES = 16
_BLOCK = struct.Struct(">i")
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class TooLargeError(CorruptRecordException):  # type: ignore[misc]
    """A batch holds more than `DECOMPRESSED_BYTES_MAX`."""


def decompressed(codec: int, data: bytes) -> bytes:
    """
    The records of a batch whose attributes name *codec* (0 is none).

    Raises:
        UnsupportedCodecError: there is no such codec.
        CorruptRecordException: *data* cannot be decompressed, or holds too much.

    """
    if codec == 0:
        return data
    if codec not in _DECODERS:
        raise UnsupportedCodecError(f"the batch names the unknown codec {codec}")
    return _DECODERS[codec](data)


def bound_decompression() -> None:
    """Let every aiokafka consumer of this process decompress by the functions here."""
    for module in (compiled_records, python_records):
        module.gzip_decode = _gzip
        module.snappy_decode = _snappy
        module.lz4_decode = _lz4
        module.zstd_decode = _zstd


def _gzip(data: bytes | memoryview) -> bytes:
    rest = bytes(data)
    parts, left = [], DECOMPRESSED_BYTES_MAX
    while rest:
        member = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            parts.append(member.decompress(rest, left + 1))
        except zlib.error as error:
            raise CorruptRecordException(f"not gzip: {error}") from error
        left -= len(parts[-1])
        if left < 0:
            raise _too_large("gzip")
        if not member.eof:
            raise CorruptRecordException("the gzip stream ends early")
        rest = member.unused_data
    return b"".join(parts)


def _snappy(data: bytes) -> bytes:
    try:
        blocks = _snappy_blocks(data)
        if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > DECOMPRESSED_BYTES_MAX:
            raise _too_large("snappy")
        return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)
    except (cramjam.DecompressionError, struct.error) as error:
        raise CorruptRecordException(f"not snappy: {error}") from error


def _snappy_blocks(data: bytes) -> list[bytes]:
    """The blocks of the framing that Java's clients use; the data itself where there is none."""
    if not _detect_xerial_stream(data):
        return [data]
    blocks, at = [], _XERIAL_HEADER_BYTES
    while at < len(data):
        (size,) = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        if not 0 < size <= len(data) - at:
            raise CorruptRecordException(f"a snappy block of {size} bytes, where {len(data) - at} are left")
        blocks.append(data[at : at + size])
        at += size
    return blocks


def _lz4(data: bytes) -> bytes:
    return _into_scratch("lz4", cramjam.lz4.decompress_into, data)


def _zstd(data: bytes) -> bytes:
    return _into_scratch("zstd", cramjam.zstd.decompress_into, data)


def _into_scratch(name: str, decompress_into: Callable[[bytes, mmap.mmap], int], data: bytes) -> bytes:
    # Memory that nobody has written to costs nothing: the limit is reserved, what comes out is paid for.
    with mmap.mmap(-1, DECOMPRESSED_BYTES_MAX) as scratch:
        try:
            size = decompress_into(data, scratch)
        except cramjam.DecompressionError as error:
            if "failed to write whole buffer" in str(error):
                raise _too_large(name) from error
            raise CorruptRecordException(f"not {name}: {error}") from error
        return scratch[:size]


def _too_large(name: str) -> TooLargeError:
    return TooLargeError(f"the {name} batch holds more than {DECOMPRESSED_BYTES_MAX} bytes")


_DECODERS: dict[int, Callable[[bytes], bytes]] = {1: _gzip, 2: _snappy, 3: _lz4, 4: _zstd}
