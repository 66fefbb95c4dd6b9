"""
How far a position has come, though its records are finished in any order.

Progress is a *watermark* (every offset below it is done) and the offsets done beyond it. A commit tells both: the
watermark as the offset, the rest in the commit's metadata, so that a successor repeats what was under way and nothing
else. Kafka takes 4,096 characters of metadata; a *span* of `SPAN_MAX` offsets between the oldest record under way and
the newest done always fits, so records beyond it wait (confluentinc/parallel-consumer drops the map instead, and
repeats everything).

Offsets have gaps (transaction markers, aborted and compacted records), so nothing here counts from one offset to the
next.
"""

import base64
import binascii
from collections import deque
from collections.abc import Iterable

from shared.stage.ports import Committed

METADATA_CHARS_MAX = 4_096
SPAN_MAX = 24_000
"""Offsets that a bitmap in base64 describes within `METADATA_CHARS_MAX`, with its two characters of header."""

_VERSION = "1"
_BITMAP, _DELTAS = "b", "d"


class Progress:
    """The progress of one position, resumed from what was committed; the first offset to read is `position`."""

    def __init__(self, committed: Committed, span_max: int = SPAN_MAX) -> None:
        self._span_max = span_max
        self._position = committed.offset
        self._begun: deque[int] = deque()
        self._done: set[int] = set(decode(committed))

    @property
    def position(self) -> int:
        """The offset after the newest one begun."""
        return self._position

    @property
    def watermark(self) -> int:
        """The oldest offset that is not done."""
        return self._begun[0] if self._begun else self._position

    def fits(self, offset: int) -> bool:
        """Whether *offset* may be begun without its completion outgrowing the metadata."""
        return offset - self.watermark < self._span_max or not self._begun

    def begin(self, offset: int) -> bool:
        """Take note that *offset* is read; false where it is done or under way already, and must not be handled."""
        if offset < self._position:
            return False
        self._position = offset + 1
        if offset in self._done:
            if not self._begun:
                self._done.discard(offset)
            else:
                self._begun.append(offset)
            return False
        self._begun.append(offset)
        return True

    def pass_over(self, offset: int) -> None:
        """Take note that there is nothing to begin before *offset*."""
        self._position = max(self._position, offset)

    def finish(self, offset: int) -> None:
        """Take note that *offset*, begun before, is done."""
        self._done.add(offset)
        while self._begun and self._begun[0] in self._done:
            self._done.discard(self._begun.popleft())

    def committable(self) -> Committed:
        """What to commit now."""
        watermark = self.watermark
        # Done in a former life and compacted away since: such offsets never come to the head of the queue.
        self._done = {offset for offset in self._done if offset >= watermark}
        return Committed(watermark, encode(watermark, self._done))


def encode(watermark: int, done: Iterable[int]) -> str:
    """
    Metadata that tells which offsets beyond *watermark* are done: the shorter of a bitmap and of varint distances.

    Empty where there are none. Every offset lies within `SPAN_MAX` of the watermark.
    """
    distances = sorted(offset - watermark for offset in done)
    if not distances:
        return ""
    bitmap = bytearray(distances[-1] // 8 + 1)
    for distance in distances:
        bitmap[distance >> 3] |= 1 << (distance & 7)
    deltas = _varints(distances, len(bitmap))
    kind, body = (_BITMAP, bitmap) if deltas is None else (_DELTAS, deltas)
    return f"{_VERSION}{kind}{base64.b64encode(body).decode()}"


def decode(committed: Committed) -> frozenset[int]:
    """The offsets done beyond the watermark; none where the metadata is another's, of another version, or damaged."""
    text = committed.metadata
    if len(text) > METADATA_CHARS_MAX or text[:2] not in {_VERSION + _BITMAP, _VERSION + _DELTAS}:
        return frozenset()
    try:
        body = base64.b64decode(text[2:], validate=True)
    except (binascii.Error, ValueError):
        return frozenset()
    distances = _from_bitmap(body) if text[1] == _BITMAP else _from_varints(body)
    return frozenset(committed.offset + distance for distance in distances if distance < SPAN_MAX)


def _varints(distances: list[int], bytes_max: int) -> bytearray | None:
    """Distances between neighbours as LEB128; none where that needs *bytes_max* or more."""
    body = bytearray()
    previous = 0
    for distance in distances:
        delta, previous = distance - previous, distance
        while delta > 0x7F:  # noqa: PLR2004  seven bits a byte
            body.append(delta & 0x7F | 0x80)
            delta >>= 7
        body.append(delta)
        if len(body) >= bytes_max:
            return None
    return body


def _from_varints(body: bytes) -> list[int]:
    distances: list[int] = []
    distance = delta = shift = 0
    for byte in body:
        delta |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            continue
        distance += delta
        distances.append(distance)
        delta = shift = 0
    return distances


def _from_bitmap(body: bytes) -> list[int]:
    return [index * 8 + bit for index, byte in enumerate(body) for bit in range(8) if byte >> bit & 1]
