"""
The Faust app: two topics in, two tables out.

At-least-once, one actor (concurrency 1: more would break the order within a partition, on which the buckets rest). The
tables are in memory and restored from their changelogs. The web views are not Faust's own (see web.py).
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import faust

from services.observer.adapters.transport import CommittedConsumer, Transport, urls_of
from services.observer.domain.buckets import Bucket
from services.observer.domain.projection import Projection
from services.observer.settings import ObserverSettings
from shared.events.topics import CLAIMS_JUDGED, TURNS_CLOSED

GROUP: Final = "observer"
BUCKETS: Final = "buckets"
CONVERSATIONS: Final = "conversations"


@dataclass(frozen=True, slots=True)
class Observing:
    """The app with its tables; a table is a mapping that only the agent may write."""

    app: faust.App
    buckets: Any
    conversations: Any

    @property
    def consumer(self) -> CommittedConsumer:
        """The app's consumer, which is ours."""
        return cast("CommittedConsumer", self.app.consumer)

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this process counts; what the tables hold of others is stale."""
        return frozenset(tp.partition for tp in self.app.consumer.assignment() if tp.topic.endswith(CLAIMS_JUDGED))

    @property
    def restored(self) -> bool:
        """Whether partitions (be it none) are assigned and the tables restored."""
        return self.app.rebalancing_count > 0 and not self.app.rebalancing and not self.app.in_recovery

    async def mend(self) -> None:
        """Fetch again what a rebalance has let fall out, if anything; what is counted already stays as it is."""
        consumer = self.consumer
        if consumer.broken and self.restored:
            consumer.broken = False
            await consumer.perform_seek()


def group_of(settings: ObserverSettings) -> str:
    """The app's id: its consumer group, and the beginning of its changelogs' names."""
    return f"{settings.kafka.namespace}{GROUP}"


def changelogs_of(settings: ObserverSettings) -> tuple[str, str]:
    """The names of the tables' changelogs, as Faust forms them."""
    return (f"{group_of(settings)}-{BUCKETS}-changelog", f"{group_of(settings)}-{CONVERSATIONS}-changelog")


def create(settings: ObserverSettings, partitions: int) -> Observing:
    """The app over topics of so many *partitions*; nothing is connected before it starts."""
    kafka = settings.kafka
    app = faust.App(
        group_of(settings),
        broker=urls_of(kafka),
        store="memory://",
        # Faust makes this folder although memory stores write nothing to it; one place, so that kills leave no litter.
        datadir=Path(tempfile.gettempdir()) / "holdfast-observer",
        processing_guarantee="at_least_once",
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=partitions,
        web_enabled=False,
        broker_commit_interval=settings.observer.commit_interval_seconds,
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=kafka.heartbeat_interval_seconds,
        broker_request_timeout=max(kafka.request_timeout_seconds, kafka.session_timeout_seconds),
        stream_wait_empty=True,
    )
    app.transport = Transport(kafka, app=app)
    app.producer_transport = Transport(kafka, app=app)
    return Observing(app, app.Table(BUCKETS, partitions=partitions), app.Table(CONVERSATIONS, partitions=partitions))


def sources(settings: ObserverSettings, app: faust.App) -> Any:
    """The topics that are read, as bytes."""
    names = [f"{settings.kafka.namespace}{topic}" for topic in (CLAIMS_JUDGED, TURNS_CLOSED)]
    return app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def snapshot(table: Any) -> Iterable[tuple[str, Bucket | Projection]]:
    """What *table* holds now."""
    return list(table.items())
