"""
Which batch of an idempotent producer comes next in a partition (KIP-98, KAFKA-5494).

As Kafka does, a partition remembers a producer's last five batches: five requests may be in flight, and any of them may
be sent again.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.broker.embedded.batches import Header
from shared.broker.embedded.codes import Code

BATCHES_REMEMBERED = 5
_SEQUENCES = 2**31


class _Batch(NamedTuple):
    first_sequence: int
    last_sequence: int
    base_offset: int


@dataclass(slots=True)
class _Producer:
    epoch: int
    batches: deque[_Batch] = field(default_factory=lambda: deque(maxlen=BATCHES_REMEMBERED))


class Verdict(NamedTuple):
    """What to do with a batch: refuse it (*code*), answer *duplicate_of* again, or append it (neither)."""

    code: Code
    duplicate_of: int | None = None


_APPEND = Verdict(Code.NONE)


class Producers:
    """The producers that wrote to one partition; at most *limit* are remembered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[int, _Producer] = OrderedDict()

    def check(self, header: Header) -> Verdict:
        """Judge a batch of an idempotent producer before it is appended."""
        known = self._known.get(header.producer_id)
        if known is None:
            return _APPEND
        if header.producer_epoch < known.epoch:
            return Verdict(Code.INVALID_PRODUCER_EPOCH)
        if header.producer_epoch > known.epoch:
            return _APPEND if header.base_sequence == 0 else Verdict(Code.OUT_OF_ORDER_SEQUENCE_NUMBER)
        last_sequence = _last_sequence(header)
        for batch in known.batches:
            if (header.base_sequence, last_sequence) == batch[:2]:
                return Verdict(Code.NONE, batch.base_offset)
        expected = (known.batches[-1].last_sequence + 1) % _SEQUENCES if known.batches else 0
        return _APPEND if header.base_sequence == expected else Verdict(Code.OUT_OF_ORDER_SEQUENCE_NUMBER)

    def remember(self, header: Header, base_offset: int) -> None:
        """Record an appended batch."""
        self._at_epoch(header.producer_id, header.producer_epoch).batches.append(
            _Batch(header.base_sequence, _last_sequence(header), base_offset)
        )

    def fence(self, producer_id: int, epoch: int) -> None:
        """From now on refuse batches of an older epoch: a transaction's marker carries its coordinator's epoch."""
        self._at_epoch(producer_id, epoch)

    def _at_epoch(self, producer_id: int, epoch: int) -> _Producer:
        known = self._known.get(producer_id)
        if known is None or known.epoch < epoch:
            known = self._known[producer_id] = _Producer(epoch)
        self._known.move_to_end(producer_id)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return known


def _last_sequence(header: Header) -> int:
    return (header.base_sequence + header.last_offset_delta) % _SEQUENCES
