"""
The transaction coordinator: producer ids, epochs, open transactions (KIP-98).

`InitProducerId` of a transactional id aborts what its former owner left open and bumps the epoch, so the former owner
is refused from then on. Markers are written at once: there is no phase in which a transaction is prepared but not
complete, so CONCURRENT_TRANSACTIONS is never answered.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.broker.embedded.codes import Code
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.log import PartitionLog

TopicPartition = tuple[str, int]
Offsets = dict[TopicPartition, tuple[int, str]]

EPOCH_MAX = 32_767
FIRST_PRODUCER_ID = 1_000


class Identity(NamedTuple):
    """The answer to InitProducerId."""

    code: Code
    producer_id: int = -1
    epoch: int = -1


@dataclass(slots=True)
class Transaction:
    """
    A transactional id, and its open transaction where there is one (`began` is then the time of its first request).
    """

    transactional_id: str
    producer_id: int
    epoch: int
    timeout_seconds: float
    began: float | None = None
    committed: bool | None = None
    """How the last transaction ended; lets a repeated EndTxn succeed, as its first answer may have been lost."""
    partitions: set[TopicPartition] = field(default_factory=set)
    offsets: dict[str, Offsets] = field(default_factory=dict)


class Transactions:
    """
    All transactional ids of a broker.

    *partition* finds a log, None where the topic is gone; *commit_offsets* applies a committed transaction's offsets to
    a group; *now* is a monotonic clock in seconds, *wall_ms* the time of markers.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        partition: Callable[[str, int], PartitionLog | None],
        commit_offsets: Callable[[str, Offsets], None],
        now: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._limits = limits
        self._partition = partition
        self._commit_offsets = commit_offsets
        self._now = now
        self._wall_ms = wall_ms
        self._by_id: dict[str, Transaction] = {}
        self._by_producer: dict[int, Transaction] = {}
        self._next_producer_id = FIRST_PRODUCER_ID

    def initialise(self, transactional_id: str | None, timeout_seconds: float) -> Identity:
        """
        A producer id and epoch; for a transactional id that was in use, abort what is open and fence the former
        owner.
        """
        if transactional_id is None:
            return Identity(Code.NONE, self._new_producer_id(), 0)
        if not transactional_id:
            return Identity(Code.INVALID_REQUEST)
        if not 0 < timeout_seconds <= self._limits.transaction_seconds_max:
            return Identity(Code.INVALID_TRANSACTION_TIMEOUT)
        transaction = self._by_id.get(transactional_id)
        if transaction is None:
            transaction = Transaction(transactional_id, self._new_producer_id(), 0, timeout_seconds)
            self._by_id[transactional_id] = transaction
            self._by_producer[transaction.producer_id] = transaction
        else:
            self._fence(transaction)
            transaction.timeout_seconds = timeout_seconds
        transaction.committed = None
        return Identity(Code.NONE, transaction.producer_id, transaction.epoch)

    def add_partitions(
        self, transactional_id: str, producer_id: int, epoch: int, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, Code]:
        """Let a transaction write to *partitions*; it begins here. One unknown partition refuses them all."""
        partitions = list(partitions)
        transaction, code = self._owned(transactional_id, producer_id, epoch)
        if transaction is None:
            return dict.fromkeys(partitions, code)
        unknown = {tp for tp in partitions if self._partition(*tp) is None}
        if unknown:
            return {
                tp: Code.UNKNOWN_TOPIC_OR_PARTITION if tp in unknown else Code.OPERATION_NOT_ATTEMPTED
                for tp in partitions
            }
        self._begin(transaction)
        transaction.partitions.update(partitions)
        return dict.fromkeys(partitions, Code.NONE)

    def add_offsets(self, transactional_id: str, producer_id: int, epoch: int, group: str) -> Code:
        """Let a transaction commit offsets of *group*."""
        transaction, code = self._owned(transactional_id, producer_id, epoch)
        if transaction is not None:
            self._begin(transaction)
            transaction.offsets.setdefault(group, {})
        return code

    def hold_offsets(
        self,
        transactional_id: str,
        producer_id: int,
        epoch: int,
        group: str,
        offsets: Mapping[TopicPartition, tuple[int, str | None]],
    ) -> dict[TopicPartition, Code]:
        """Keep *offsets* until the transaction commits."""
        transaction, code = self._owned(transactional_id, producer_id, epoch)
        if transaction is not None and group not in transaction.offsets:
            code = Code.INVALID_TXN_STATE
        if transaction is None or code is not Code.NONE:
            return dict.fromkeys(offsets, code)
        answer: dict[TopicPartition, Code] = {}
        for tp, (offset, metadata) in offsets.items():
            answer[tp] = self._offset_complaint(tp, metadata)
            if answer[tp] is Code.NONE:
                transaction.offsets[group][tp] = (offset, metadata or "")
        return answer

    def end(self, transactional_id: str, producer_id: int, epoch: int, *, commit: bool) -> Code:
        """Commit or abort the open transaction."""
        transaction, code = self._owned(transactional_id, producer_id, epoch)
        if transaction is None:
            return code
        if transaction.began is None:
            return Code.NONE if transaction.committed is commit else Code.INVALID_TXN_STATE
        self._finish(transaction, commit=commit)
        return Code.NONE

    def may_write(self, producer_id: int, epoch: int, topic: str, partition: int) -> Code:
        """May a transactional batch be appended here (KIP-890: the broker verifies that the partition was added)?"""
        transaction = self._by_producer.get(producer_id)
        if transaction is None:
            return Code.INVALID_PRODUCER_ID_MAPPING
        if transaction.epoch != epoch:
            return Code.INVALID_PRODUCER_EPOCH
        return Code.NONE if (topic, partition) in transaction.partitions else Code.INVALID_TXN_STATE

    def abort_expired(self) -> list[str]:
        """Abort, and fence the owner of, every transaction that is open for longer than its timeout; their ids."""
        now = self._now()
        expired = [
            transaction
            for transaction in self._by_id.values()
            if transaction.began is not None and now - transaction.began > transaction.timeout_seconds
        ]
        for transaction in expired:
            self._fence(transaction)
        return [transaction.transactional_id for transaction in expired]

    def fence(self, transactional_id: str) -> bool:
        """Make the present owner a zombie, as if another process had taken its id over; False if the id is unknown."""
        transaction = self._by_id.get(transactional_id)
        if transaction is not None:
            self._fence(transaction)
        return transaction is not None

    @property
    def open_ids(self) -> list[str]:
        """The transactional ids that have a transaction open."""
        return [t.transactional_id for t in self._by_id.values() if t.began is not None]

    def _owned(self, transactional_id: str, producer_id: int, epoch: int) -> tuple[Transaction | None, Code]:
        transaction = self._by_id.get(transactional_id)
        if transaction is None or transaction.producer_id != producer_id:
            return None, Code.INVALID_PRODUCER_ID_MAPPING
        if transaction.epoch != epoch:
            return None, Code.INVALID_PRODUCER_EPOCH
        return transaction, Code.NONE

    def _begin(self, transaction: Transaction) -> None:
        if transaction.began is None:
            transaction.began = self._now()
            transaction.committed = None

    def _offset_complaint(self, tp: TopicPartition, metadata: str | None) -> Code:
        if len(metadata or "") > self._limits.commit_metadata_chars_max:
            return Code.OFFSET_METADATA_TOO_LARGE
        return Code.NONE if self._partition(*tp) is not None else Code.UNKNOWN_TOPIC_OR_PARTITION

    def _fence(self, transaction: Transaction) -> None:
        """
        The epoch rises before the abort is written, so the marker itself fences the former owner in its partitions.
        """
        was_open = transaction.began is not None
        if transaction.epoch == EPOCH_MAX:
            if was_open:
                self._finish(transaction, commit=False)
            del self._by_producer[transaction.producer_id]
            transaction.producer_id, transaction.epoch = self._new_producer_id(), 0
            self._by_producer[transaction.producer_id] = transaction
            return
        transaction.epoch += 1
        if was_open:
            self._finish(transaction, commit=False)

    def _finish(self, transaction: Transaction, *, commit: bool) -> None:
        for topic, index in sorted(transaction.partitions):
            log = self._partition(topic, index)
            if log is not None:
                log.end_transaction(transaction.producer_id, transaction.epoch, commit=commit, now_ms=self._wall_ms())
        if commit:
            for group, offsets in transaction.offsets.items():
                self._commit_offsets(group, offsets)
        transaction.partitions, transaction.offsets = set(), {}
        transaction.began, transaction.committed = None, commit

    def _new_producer_id(self) -> int:
        self._next_producer_id += 1
        return self._next_producer_id
