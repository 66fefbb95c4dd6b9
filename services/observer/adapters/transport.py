"""
Faust's Kafka driver with our clients in it, and a flush that can be trusted.

Four of the driver's ways would make counts wrong (faust-streaming 0.15.3, aiokafka 0.14):

* Outside `exactly_once` its consumer reads uncommitted, so that records of aborted transactions would count too
  (transport/drivers/aiokafka.py, `_create_worker_consumer`). Ours reads committed.
* Its producer is not idempotent there: a retried changelog record could land behind a newer one.
* Before it commits offsets, its flush waits 100 ms for each buffered changelog record and then gives up
  (transport/producer.py, `flush_atmost`), and does not see the one that is being handed over. A process killed after
  such a commit has lost what it counted. Ours waits until the broker has acknowledged every one of them.
* Around a rebalance, records fetched before the seek can be delivered after it (the ones between are then dropped), and
  records that a stream skips are acknowledged all the same (streams.py). Ours commits what was counted, record after
  record, and notices a hole.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, FutureMessage
from yarl import URL

from shared.broker.clients import KafkaSettings, consumer, producer


@dataclass(slots=True)
class Chain:
    """
    Of one partition: what has been fetched since the last seek, each offset with the one fetched before it. Offsets of
    a partition have gaps (commit markers, aborted records), so that only the fetch knows what follows what.
    """

    last: int
    before: dict[int, int] = field(default_factory=dict)


class CommittedConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads committed records, with every setting of the section `kafka` applied, and notes their succession."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.chains: dict[TP, Chain] = {}

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        # Always Faust's own assignor: it brings the tables' changelogs to where their source partitions are.
        self._assignor = self.app.assignor
        return consumer(
            cast("Transport", transport).kafka,
            group=self.app.conf.id,
            partition_assignment_strategy=[self._assignor],
            max_poll_records=self.app.conf.broker_max_poll_records,
        )

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every source partition to its committed offset, or its beginning where there is none."""
        found: Mapping[TP, int] = await self.call_thread(self._rewind)
        return found

    async def _rewind(self) -> Mapping[TP, int]:
        reader = self._ensure_consumer()
        starts: dict[TP, int] = {}
        for tp in reader.assignment():
            if tp.topic in self.app.tables.changelog_topics:
                continue
            start = await reader.committed(tp)
            if start is None:
                start = (await reader.beginning_offsets([tp]))[tp]
            # Nothing is awaited between the two: no fetch may come between a seek and its chain.
            reader.seek(tp, start)
            self.chains[tp] = Chain(start - 1)
            starts[tp] = start
        return starts

    async def _fetch_records(self, *args: Any, **options: Any) -> Mapping[TP, list[Any]]:
        records: Mapping[TP, list[Any]] = await super()._fetch_records(*args, **options)
        for tp, fetched in records.items():
            if (chain := self.chains.get(tp)) is not None:
                for record in fetched:
                    chain.before[record.offset] = chain.last
                    chain.last = record.offset
        return records


class CommittedConsumer(driver.Consumer):
    """
    Commits what the agent has counted, and lets it count nothing out of turn: `follows` before, `counted` after each
    record. Whoever owns it calls `perform_seek` when it is `broken`.
    """

    _thread: CommittedConsumerThread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.broken = False
        """Whether a record came that does not follow: some before it are missing, and are to be fetched again."""
        self._counted: dict[TP, int] = {}

    def follows(self, tp: TP, offset: int) -> bool:
        """Whether nothing lies between the record at *offset* and what was counted before; asked once a record."""
        chain = self._thread.chains.get(tp)
        before = chain.before.pop(offset, None) if chain else None
        counted = self._counted.get(tp)
        if counted is not None and offset <= counted:
            return False
        if counted is None or before is None or before > counted:
            self.broken = True
            return False
        return True

    def counted(self, tp: TP, offset: int) -> None:
        """Note that the record at *offset* is in the tables: it may be committed."""
        self._counted[tp] = offset

    async def seek_to_committed(self) -> Mapping[TP, int]:
        starts = await self._thread.seek_to_committed()
        self._counted = {tp: start - 1 for tp, start in starts.items()}
        return starts

    def _new_consumer_thread(self) -> CommittedConsumerThread:
        return CommittedConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        counted = self._counted.get(tp)
        return None if counted is None else counted + 1

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are the chain's to know; Faust's own account of them would only grow."""


class FlushingProducer(driver.Producer):
    """An idempotent producer with the settings of the section `kafka`, which knows what is not acknowledged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._unacknowledged: set[FutureMessage] = set()

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        return producer(cast("Transport", self.transport).kafka, transactional_id=transactional_id)

    def send_soon(self, fut: FutureMessage) -> None:
        self._unacknowledged.add(fut)
        fut.add_done_callback(self._unacknowledged.discard)
        super().send_soon(fut)

    async def flush(self) -> None:
        """
        Wait until everything that was handed over so far is acknowledged.

        Raises:
            KafkaError: a record was refused for good; Faust commits nothing then, and the app stops.

        """
        await asyncio.gather(*self._unacknowledged)
        await super().flush()


class Transport(driver.Transport):
    """The way to Kafka that *kafka* describes."""

    Consumer = CommittedConsumer
    Producer = FlushingProducer

    def __init__(self, kafka: KafkaSettings, *args: Any, **options: Any) -> None:
        super().__init__(urls_of(kafka), *args, **options)
        self.kafka = kafka


def urls_of(kafka: KafkaSettings) -> list[URL]:
    """The brokers as Faust names them."""
    return [URL(f"aiokafka://{server.strip()}") for server in kafka.bootstrap_servers.split(",")]
