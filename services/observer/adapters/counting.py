"""
Records into tables: the agent.
"""

import time
from collections.abc import Callable, Collection
from typing import Any, Final

import structlog

from services.observer.adapters.faust_app import Observing, snapshot, sources
from services.observer.domain import buckets, projection, windows
from services.observer.domain.buckets import BucketKey, Kind
from services.observer.metrics import ObserverMetrics
from services.observer.settings import ObserverSettings
from shared.errors import Invalid
from shared.events.base import Body
from shared.events.claims import ClaimJudged
from shared.events.codec import decode
from shared.events.envelope import Address, Envelope
from shared.events.topics import CLAIMS_JUDGED, TOPICS, TURNS_CLOSED
from shared.events.turns import TurnClosed
from shared.stage.unexpected import Unexpected
from shared.telemetry.logging import canonical

COUNTED: Final = "counted"
REPEATED: Final = "repeated"
LATE: Final = "late"
UNREADABLE: Final = "unreadable"
FAILED: Final = "failed"

log = structlog.get_logger(__name__)


class Counting:
    """
    Counts each record into its bucket, and deletes what has grown old: once a minute and partition, since a table can
    be written only while one of the partition's records is handled. *clock* is unix time in seconds.
    """

    def __init__(
        self,
        settings: ObserverSettings,
        observing: Observing,
        metrics: ObserverMetrics,
        unexpected: Unexpected,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._namespace = settings.kafka.namespace
        self._limits = settings.observer
        self._observing = observing
        self._metrics = metrics
        self._unexpected = unexpected
        self._clock = clock
        self._swept: dict[int, int] = {}
        observing.app.agent(sources(settings, observing.app), name="counting", concurrency=1)(self._handle)

    async def _handle(self, stream: Any) -> None:
        async for event in stream.events():
            message, began = event.message, time.perf_counter()
            result = self._in_turn(message)
            self._metrics.records.labels(result).inc()
            with self._unexpected.spared("sweep", message):
                self._sweep(message.partition)
            canonical(
                log,
                topic=message.topic.removeprefix(self._namespace),
                partition=message.partition,
                offset=message.offset,
                outcome=result,
                duration_seconds=time.perf_counter() - began,
            )

    def _in_turn(self, message: Any) -> str:
        consumer = self._observing.consumer
        if not consumer.follows(message.tp, message.offset):
            return REPEATED
        result = FAILED
        # A record that cannot be counted lacks in the sums; the others are still counted.
        with self._unexpected.spared("count", message):
            result = self.count(message.topic, message.partition, message.offset, message)
        consumer.counted(message.tp, message.offset)
        return result

    def count(self, topic: str, partition: int, offset: int, message: Any) -> str:
        """Count one record (its `key`, `headers` and `value`); returns what became of it, a bounded word."""
        name = topic.removeprefix(self._namespace)
        try:
            event: Envelope[Body] = decode(TOPICS[name].types, message.key, _pairs(message.headers), message.value)
        except Invalid as error:
            # The ledger alone writes here; the record stays on its topic, and nothing downstream waits for its count.
            log.warning("unreadable", topic=name, partition=partition, offset=offset, reason=error.reason)
            return UNREADABLE
        match event.data:
            case ClaimJudged() as claim:
                return self._into_bucket("claims", partition, offset, event, claim.arm, claim)
            case TurnClosed() as closed:
                self._into_projection(partition, offset, message.key, closed)
                return self._into_bucket("turns", partition, offset, event, closed.turn.arm, closed)
        raise AssertionError(f"{name} has types that are not counted: {type(event.data).__name__}")

    def _into_bucket(
        self, kind: Kind, partition: int, offset: int, event: Envelope[Body], arm: str, body: ClaimJudged | TurnClosed
    ) -> str:
        key = BucketKey(kind, partition, buckets.minute_of(event.time), arm)
        if not windows.counts_now(key.minute, self._minute()):
            return LATE
        table, name = self._observing.buckets, key.text()
        held = table.get(name)
        if isinstance(body, ClaimJudged):
            counted = buckets.with_claim(held, offset, body)
        else:
            counted = buckets.with_turn(held, offset, body)
        if counted is None:
            return REPEATED
        table[name] = counted
        return COUNTED

    def _into_projection(self, partition: int, offset: int, key: bytes | None, closed: TurnClosed) -> None:
        if closed.closed_at.timestamp() < self._clock() - self._limits.conversation_retention_seconds:
            return
        table, name = self._observing.conversations, Address.from_key(key).key.decode()
        state = projection.with_turn(table.get(name), partition, offset, closed)
        if state is not None:
            table[name] = state

    def _sweep(self, partition: int) -> None:
        minute = self._minute()
        if self._swept.get(partition) == minute:
            return
        self._swept[partition] = minute
        for name, _ in snapshot(self._observing.buckets):
            key = BucketKey.parsed(name)
            if key.partition == partition and windows.expired(key, minute):
                del self._observing.buckets[name]
        own = [item for item in snapshot(self._observing.conversations) if item[1]["partition"] == partition]
        share = max(1, self._limits.conversations_max // max(1, len(self._observing.partitions)))
        retention = self._limits.conversation_retention_seconds + windows.MARGIN_MINUTES * buckets.MINUTE_SECONDS
        for name in projection.outlived(own, now_seconds=self._clock(), retention_seconds=retention, kept_max=share):
            del self._observing.conversations[name]

    def _minute(self) -> int:
        return int(self._clock()) // buckets.MINUTE_SECONDS


def _pairs(headers: Any) -> Collection[tuple[str, bytes | None]]:
    return headers.items() if isinstance(headers, dict) else headers or ()


SOURCES: Final[dict[Kind, str]] = {"claims": CLAIMS_JUDGED, "turns": TURNS_CLOSED}
