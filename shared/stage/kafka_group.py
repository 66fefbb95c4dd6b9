"""
A process's membership in a consumer group of Kafka.

Times: a killed process is given up after the session time-out (10 s by default, heartbeats each second), a dead
broker's leaders are looked for as soon as a connection breaks and every `metadata_age_max_seconds` at the latest.
Static membership (`group_instance_id`) makes a restart within the session time-out free of rebalances, but lets a
killed process's tasks lie until then as well; it pays where a supervisor restarts processes under the same name
within seconds, and is off by default.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from shared.broker.clients import KafkaSettings, admin, consumer
from shared.broker.closing import stop_consumer, uninterrupted
from shared.broker.out_of_range import out_of_range
from shared.broker.salvage import Unreadable
from shared.broker.unreadable import WithUnreadable
from shared.errors import Fatal, Retryable
from shared.stage.assignor import TaskAssignor
from shared.stage.base import Record
from shared.stage.errors import OwnershipLost
from shared.stage.kafka_errors import CLIENT_ERRORS, translated
from shared.stage.kafka_fresh import Freshness
from shared.stage.ports import Committed, Gap, Listener, Position

REBALANCE_SECONDS = 30.0
"""
How long the group waits for a member's `revoked`; whoever takes longer is given up. aiokafka takes the session's
time.
"""
FETCH_MARGIN_SECONDS = 1.0
"""How much longer than asked a fetch may take: aiokafka's waits for as long as a rebalance lasts."""
STALE_SECONDS = 60.0
"""How long no partition may be polled, although some should be, before the client is taken for dead and built anew."""
STALE_CHECK_SECONDS = 5.0
STOP_SECONDS = 5.0
NO_OFFSET = -1

_log = structlog.get_logger(__name__)


class KafkaGroup(ConsumerRebalanceListener):  # type: ignore[misc]
    """A `Group` port over one aiokafka consumer."""

    def __init__(self, settings: KafkaSettings, name: str, topics: Sequence[str]) -> None:
        self._settings = settings
        self._name = f"{settings.namespace}{name}"
        self._plain = {f"{settings.namespace}{topic}": topic for topic in topics}
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._listener: Listener | None = None
        self._tasks: frozenset[int] = frozenset()
        self._outdated = False
        self._assigning: asyncio.Task[None] | None = None
        # Fetched records count from the moment that the listener has placed a position; what aiokafka reads before is
        # from the committed offset, and may be done or under way already.
        self._placed: set[TopicPartition] = set()
        self._freshness = Freshness()
        self._polled = 0
        self._polled_at = self._checked_at = 0.0

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        try:
            self._admin = admin(self._settings)
            await self._admin.start()
            await self._check_topics(self._admin)
            self._consumer = consumer(
                self._settings,
                group=self._name,
                partition_assignment_strategy=(TaskAssignor(),),
                rebalance_timeout_ms=round(1000 * REBALANCE_SECONDS),
            )
            self._consumer.subscribe(list(self._plain), listener=self)
            await self._consumer.start()
        except CLIENT_ERRORS as error:
            await self.stop()
            raise translated(error, f"joining the group {self._name} at {self._settings.bootstrap_servers}") from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._stop_assigning()
        self._placed.clear()
        self._freshness.forget()
        client, self._consumer = self._consumer, None
        if client is not None and self._outdated:
            # aiokafka lets a static member go without a word; this one must leave, or it is given the same again.
            client._coordinator._group_instance_id = None  # noqa: SLF001
        administration, self._admin = self._admin, None
        await uninterrupted(self._closed(client, administration))

    async def fetch(self, *, records_max: int, wait_seconds: float) -> Sequence[Record]:
        if self._outdated:
            raise OwnershipLost(
                f"{self._name} was given what a member of its name had that read other topics; it leaves and joins anew"
            )
        if self._assigning is not None and self._assigning.done() and not self._assigning.cancelled():
            self._assigning.result()
        try:
            async with asyncio.timeout(wait_seconds + FETCH_MARGIN_SECONDS):
                await self._freshness.look(self._running(), self._placed, asyncio.get_running_loop().time())
                batches = await self._running().getmany(timeout_ms=round(1000 * wait_seconds), max_records=records_max)
        except TimeoutError:
            return ()
        except CLIENT_ERRORS as error:
            raise translated(error, f"reading as {self._name}") from error
        self._tell_gaps()
        if not batches:
            self._check_polling()
        now = asyncio.get_running_loop().time()
        fresh = {tp: self._freshness.fresh(tp, now) for tp in batches}
        records = [
            Record(topic, tp.partition, m.offset, m.timestamp, m.key, m.value, tuple(m.headers), fresh[tp])
            for tp, messages in batches.items()
            if tp in self._placed and (topic := self._plain[tp.topic])
            for m in messages
        ]
        return self._marked(records, batches) if isinstance(batches, WithUnreadable) else records

    def pause(self, positions: Iterable[Position]) -> None:
        if partitions := self._assigned(positions):
            self._running().pause(*partitions)

    def resume(self, positions: Iterable[Position]) -> None:
        if partitions := self._assigned(positions):
            self._running().resume(*partitions)

    def seek(self, position: Position, offset: int) -> None:
        partition = self._partition(position)
        try:
            self._running().seek(partition, offset)
        except CLIENT_ERRORS as error:
            raise translated(error, f"seeking in {position}") from error
        self._placed.add(partition)
        self._polled_at = asyncio.get_running_loop().time()

    async def committed(self, positions: Iterable[Position]) -> dict[Position, Committed]:
        asked = {self._partition(position): position for position in positions}
        try:
            # The consumer's own `committed` drops the metadata.
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                found = await self._administration().list_consumer_group_offsets(self._name, partitions=list(asked))
        except CLIENT_ERRORS as error:
            raise translated(error, f"reading what {self._name} has committed") from error
        if asked.keys() - found.keys():
            # A coordinator that is loading answers with an error and without partitions, and aiokafka (0.14) drops
            # the error: taken for "nothing committed", it would send the whole topic through the stage again.
            raise Retryable(f"the coordinator of {self._name} does not tell what is committed yet")
        return {
            asked[partition]: Committed(told.offset, told.metadata or "")
            for partition, told in found.items()
            if told.offset != NO_OFFSET
        }

    async def commit(self, progress: Mapping[Position, Committed]) -> None:
        offsets = {self._partition(p): OffsetAndMetadata(c.offset, c.metadata) for p, c in progress.items()}
        try:
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                await self._running().commit(offsets)
        except CLIENT_ERRORS as error:
            raise translated(error, f"committing the progress of {self._name}") from error

    async def beginning(self, positions: Iterable[Position]) -> dict[Position, int]:
        asked = {self._partition(position): position for position in positions}
        try:
            found = await self._running().beginning_offsets(list(asked))
        except CLIENT_ERRORS as error:
            raise translated(error, f"looking for the first offsets of {self._name}") from error
        return {asked[partition]: offset for partition, offset in found.items()}

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002  aiokafka's call
        """Aiokafka's call before it joins anew; heartbeats go on until it returns."""
        self._placed.clear()
        self._freshness.forget()
        await self._stop_assigning()
        if self._listener is not None and self._tasks:
            await self._listener.revoked(self._tasks)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Aiokafka's call after it joined. It sends no heartbeat until this returns, so the work goes on beside it."""
        partitions = list(assigned)
        self._outdated = self._is_outdated(partitions)
        self._placed.clear()
        self._freshness.forget()
        if partitions:
            self._running().pause(*partitions)
        self._tasks = frozenset(partition.partition for partition in partitions)
        if self._listener is not None and not self._outdated:
            self._assigning = asyncio.create_task(self._assign(self._listener, self._tasks))

    def _marked(self, records: list[Record], batches: WithUnreadable) -> list[Record]:
        """*records*, those that could not be decoded marked as such."""
        why = {
            (self._plain[tp.topic], tp.partition, one.offset): one.why
            for tp, messages in batches.items()
            for one in messages
            if isinstance(one, Unreadable)
        }
        return [
            replace(record, unreadable=why.get((record.topic, record.partition, record.offset), ""))
            for record in records
        ]

    def _tell_gaps(self) -> None:
        for place, asked, first in out_of_range(self._running()):
            if place in self._placed and self._listener is not None:
                self._listener.missed(Gap(Position(self._plain[place.topic], place.partition), asked, first))

    def _is_outdated(self, partitions: Iterable[TopicPartition]) -> bool:
        """
        Whether *partitions* lack topics of ours: a broker gives a static member that comes back what it had, also where
        another release reads more topics under its name.
        """
        topics: dict[int, set[str]] = {}
        for partition in partitions:
            topics.setdefault(partition.partition, set()).add(partition.topic)
        return any(found != self._plain.keys() for found in topics.values())

    def _check_polling(self) -> None:
        """
        Raise where the client has stopped asking the broker: a background task of it may have died unnoticed.

        Raises:
            OwnershipLost: the membership is to be built anew.

        """
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < STALE_CHECK_SECONDS:
            return
        self._checked_at = now
        client = self._running()
        awaited = self._placed - client.paused()
        polled = max((client.last_poll_timestamp(partition) or 0 for partition in awaited), default=0)
        if polled != self._polled or not awaited:
            self._polled, self._polled_at = polled, now
        elif now - self._polled_at > STALE_SECONDS:
            self._polled_at = now
            raise OwnershipLost(f"{self._name} has had no answer to a fetch for {STALE_SECONDS:g} s")

    async def _assign(self, listener: Listener, tasks: frozenset[int]) -> None:
        await listener.assigned(tasks)

    async def _stop_assigning(self) -> None:
        if self._assigning is not None and not self._assigning.done():
            self._assigning.cancel()
            await asyncio.wait([self._assigning])

    async def _closed(self, client: AIOKafkaConsumer | None, administration: AIOKafkaAdminClient | None) -> None:
        closing = [stop_consumer(client, STOP_SECONDS)] if client is not None else []
        closing += [asyncio.wait_for(administration.close(), STOP_SECONDS)] if administration is not None else []
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, CLIENT_ERRORS):
                _log.warning("a Kafka client did not close cleanly", group=self._name, error=repr(outcome))
            elif outcome is not None:
                raise outcome

    async def _check_topics(self, administration: AIOKafkaAdminClient) -> None:
        """
        The group's topics exist, with equal numbers of partitions.

        Raises:
            Retryable: one is missing.
            Fatal: the numbers differ.

        """
        found = {topic["topic"]: len(topic["partitions"]) for topic in await administration.describe_topics()}
        counts = {topic: found.get(topic, 0) for topic in self._plain}
        if missing := [topic for topic, count in counts.items() if not count]:
            raise Retryable(
                f"{', '.join(missing)} do not exist at {self._settings.bootstrap_servers}; create them with "
                "`holdfast topics apply`, or set HOLDFAST_KAFKA_NAMESPACE to where they are"
            )
        if len(set(counts.values())) > 1:
            raise Fatal(
                f"the topics of {self._name} must have equal numbers of partitions, and have "
                f"{', '.join(f'{topic}: {count}' for topic, count in counts.items())}; recreate them alike"
            )

    def _partition(self, position: Position) -> TopicPartition:
        return TopicPartition(f"{self._settings.namespace}{position.topic}", position.partition)

    def _assigned(self, positions: Iterable[Position]) -> list[TopicPartition]:
        wanted = [self._partition(position) for position in positions]
        if not wanted:
            return wanted
        assigned = self._running().assignment()
        return [partition for partition in wanted if partition in assigned]

    def _running(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Retryable(f"the group {self._name} is not joined")
        return self._consumer

    def _administration(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            raise Retryable(f"the group {self._name} is not joined")
        return self._admin
