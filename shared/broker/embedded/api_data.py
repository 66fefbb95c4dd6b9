"""Produce, Fetch, ListOffsets, DeleteRecords."""

import asyncio

from shared.broker.embedded import batches
from shared.broker.embedded.codes import Code
from shared.broker.embedded.fetching import Fetch
from shared.broker.embedded.registry import Topics
from shared.broker.embedded.server import Call
from shared.broker.embedded.transactions import Transactions

_ACKS = frozenset({-1, 0, 1})
_LATEST, _EARLIEST = -1, -2
_READ_COMMITTED = 1
_NO_TIMESTAMP = -1


class DataApi:
    """What producers and consumers do with records."""

    def __init__(self, topics: Topics, transactions: Transactions, loop: asyncio.AbstractEventLoop) -> None:
        self._topics = topics
        self._transactions = transactions
        self._loop = loop

    def produce(self, call: Call) -> None:
        """Append one batch per partition; all acks are alike, as there is one replica."""
        acks = call.body.required_acks
        answer = [
            (
                topic,
                [
                    self._append(topic, index, raw or b"")
                    if acks in _ACKS
                    else (index, Code.INVALID_REQUIRED_ACKS, -1, -1, -1)
                    for index, raw in partitions
                ],
            )
            for topic, partitions in call.body.topics
        ]
        if acks == 0:
            if any(code is not Code.NONE for _, partitions in answer for _, code, *_ in partitions):
                call.drop()  # the only way to tell a client that waits for no answer; Kafka does so too
            else:
                call.answer_nothing()
        else:
            call.answer(answer, 0)

    def _append(self, topic: str, index: int, raw: bytes) -> tuple[int, Code, int, int, int]:
        log = self._topics.partition(topic, index)
        if log is None:
            return index, Code.UNKNOWN_TOPIC_OR_PARTITION, -1, _NO_TIMESTAMP, -1
        code = self._transaction_complaint(topic, index, raw)
        if code is not Code.NONE:
            return index, code, -1, _NO_TIMESTAMP, log.start_offset
        code, offset = log.append(raw)
        return index, code, offset, _NO_TIMESTAMP, log.start_offset

    def _transaction_complaint(self, topic: str, index: int, raw: bytes) -> Code:
        if len(raw) < batches.HEADER_BYTES:
            return Code.CORRUPT_MESSAGE
        header = batches.read_header(raw)
        if not header.transactional:
            return Code.NONE
        return self._transactions.may_write(header.producer_id, header.producer_epoch, topic, index)

    def fetch(self, call: Call) -> None:
        """Read, and wait where there is too little."""
        Fetch(call, self._topics, self._loop, self._loop.call_soon).begin()

    def list_offsets(self, call: Call) -> None:
        """Earliest, latest (last stable for readers of committed data), or the first offset not older than a time."""
        committed_only = call.body.isolation_level == _READ_COMMITTED
        call.answer(
            0,
            [
                (topic, [self._offset_at(topic, index, at, committed_only=committed_only) for index, at in partitions])
                for topic, partitions in call.body.topics
            ],
        )

    def _offset_at(self, topic: str, index: int, at_ms: int, *, committed_only: bool) -> tuple[int, Code, int, int]:
        log = self._topics.partition(topic, index)
        if log is None:
            return index, Code.UNKNOWN_TOPIC_OR_PARTITION, _NO_TIMESTAMP, -1
        visible = log.last_stable_offset if committed_only else log.end_offset
        if at_ms == _LATEST:
            return index, Code.NONE, _NO_TIMESTAMP, visible
        if at_ms == _EARLIEST:
            return index, Code.NONE, _NO_TIMESTAMP, log.start_offset
        if at_ms < 0:
            return index, Code.INVALID_REQUEST, _NO_TIMESTAMP, -1
        found = log.find_by_time(at_ms)
        if found is None or found[1] >= visible:
            return index, Code.NONE, _NO_TIMESTAMP, -1
        return index, Code.NONE, *found

    def delete_records(self, call: Call) -> None:
        """Forget the records before an offset."""
        call.answer(
            0,
            [
                (topic, [self._delete_before(topic, index, offset) for index, offset in partitions])
                for topic, partitions in call.body.topics
            ],
        )

    def _delete_before(self, topic: str, index: int, offset: int) -> tuple[int, int, Code]:
        log = self._topics.partition(topic, index)
        if log is None:
            return index, -1, Code.UNKNOWN_TOPIC_OR_PARTITION
        code = log.delete_before(offset)
        return index, log.start_offset if code is Code.NONE else -1, code
