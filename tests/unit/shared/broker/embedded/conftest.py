"""Batches as a producer makes them."""

from collections.abc import Callable, Iterable

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder


@pytest.fixture
def make_batch() -> Callable[..., bytes]:
    """Encode records as (key, value, timestamp) or bare keys into one batch, as aiokafka's producer does."""

    def build(
        records: Iterable[object],
        *,
        producer_id: int = -1,
        epoch: int = -1,
        sequence: int = -1,
        transactional: bool = False,
        compression: int = 0,
    ) -> bytes:
        builder = DefaultRecordBatchBuilder(
            2, compression, 1 if transactional else 0, producer_id, epoch, sequence, 1 << 24
        )
        for i, record in enumerate(records):
            key, value, timestamp = record if isinstance(record, tuple) else (record, b"v", 1_000)
            builder.append(i, timestamp, key, value, [])
        return bytes(builder.build())

    return build
