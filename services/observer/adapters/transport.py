"""
Faust's Kafka driver with our clients in it, and a flush that can be trusted.

Three of the driver's ways would make counts wrong (faust-streaming 0.15.3, aiokafka 0.14):

* Outside `exactly_once` its consumer reads uncommitted, so that records of aborted transactions would count too
  (transport/drivers/aiokafka.py, `_create_worker_consumer`). Ours reads committed.
* Its producer is not idempotent there: a retried changelog record could land behind a newer one.
* Before it commits offsets, its flush waits 100 ms for each buffered changelog record and then gives up
  (transport/producer.py, `flush_atmost`), and does not see the one that is being handed over. A process killed after
  such a commit has lost what it counted. Ours waits until the broker has acknowledged every one of them.
"""

import asyncio
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.transport.drivers import aiokafka as driver
from faust.types import FutureMessage
from yarl import URL

from shared.broker.clients import KafkaSettings, consumer, producer


class CommittedConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads committed records, with every setting of the section `kafka` applied."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        # Always Faust's own assignor: it brings the tables' changelogs to where their source partitions are.
        self._assignor = self.app.assignor
        return consumer(
            cast("Transport", transport).kafka,
            group=self.app.conf.id,
            partition_assignment_strategy=[self._assignor],
            max_poll_records=self.app.conf.broker_max_poll_records,
        )


class CommittedConsumer(driver.Consumer):
    """Faust's consumer around `CommittedConsumerThread`."""

    def _new_consumer_thread(self) -> CommittedConsumerThread:
        return CommittedConsumerThread(self, loop=self.loop, beacon=self.beacon)


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
