"""
What a compacted partition keeps: the newest committed record of every key (Kafka documentation, "Log Compaction").

Offsets never change; they get gaps. A tombstone stays for `delete.retention.ms`, so that a reader that began before it
still learns of the deletion.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from shared.broker.embedded import batches
from shared.broker.embedded.batches import Record


class Aborted(Protocol):
    """An aborted transaction of the partition."""

    @property
    def marker_offset(self) -> int:
        """Where the abort was written."""

    @property
    def producer_id(self) -> int:
        """Whose transaction it was."""

    @property
    def first_offset(self) -> int:
        """Where it began."""


def cleaned(
    log: Sequence[bytes], *, aborted: Iterable[Aborted], tombstone_retention_ms: int, now_ms: int
) -> list[bytes]:
    """
    The batches that stay of *log*, in which every transaction is decided.

    Markers go: once no aborted record is left, nothing in the cleaned part needs them. A batch that cannot be decoded
    stays as it is.
    """
    spans: dict[int, list[Aborted]] = defaultdict(list)
    for transaction in aborted:
        spans[transaction.producer_id].append(transaction)
    contents = [_records(raw, spans) for raw in log]
    newest: dict[bytes | None, int] = {}
    for content in contents:
        for record in content or ():
            newest[record.key] = record.offset
    kept: list[bytes] = []
    for raw, content in zip(log, contents, strict=True):
        if content is None:
            kept.append(raw)
            continue
        stay = [
            record
            for record in content
            if newest[record.key] == record.offset
            and not (record.tombstone and record.timestamp_ms + tombstone_retention_ms < now_ms)
        ]
        if stay:
            kept.append(raw if len(stay) == batches.read_header(raw).records else batches.rebuilt(raw, stay))
    return kept


def _records(raw: bytes, aborted: Mapping[int, list[Aborted]]) -> list[Record] | None:
    header = batches.read_header(raw)
    if header.control:
        return []
    if header.transactional and any(
        a.first_offset <= header.base_offset < a.marker_offset for a in aborted.get(header.producer_id, ())
    ):
        return []
    try:
        return list(batches.records(raw))
    except batches.UnreadableRecordsError:
        return None
