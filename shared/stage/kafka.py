"""
The ports over Kafka, with aiokafka: names get the namespace here, errors get their meaning, nothing else knows Kafka.
"""

from collections.abc import AsyncIterator, Sequence

from aiokafka import TopicPartition

from shared.broker.clients import KafkaSettings, consumer
from shared.broker.closing import uninterrupted
from shared.broker.salvage import Unreadable
from shared.events.codec import Headers
from shared.stage.errors import UnreadableStateError
from shared.stage.kafka_errors import CLIENT_ERRORS, translated
from shared.stage.kafka_group import KafkaGroup
from shared.stage.kafka_producers import KafkaProducer, KafkaTransactionalProducer

READ_WAIT_MS = 200
READ_RECORDS_MAX = 2_000


class KafkaBroker:
    """A `Broker` port. Building it connects to nothing."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def group(self, name: str, topics: Sequence[str]) -> KafkaGroup:
        return KafkaGroup(self._settings, name, topics)

    def producer(self) -> KafkaProducer:
        return KafkaProducer(self._settings)

    def transactional_producer(self, transactional_id: str, *, group: str) -> KafkaTransactionalProducer:
        return KafkaTransactionalProducer(self._settings, transactional_id, group)

    def changelog(self) -> "KafkaChangelog":
        return KafkaChangelog(self._settings)


class KafkaChangelog:
    """A `Changelog` port: each read is a consumer of its own, without a group."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def read(self, topic: str, partition: int) -> AsyncIterator[tuple[bytes, bytes | None, Headers]]:
        """
        Everything committed when the read began, from the beginning.

        Raises:
            Retryable: the broker or the topic is away.
            Fatal: this process may not read the topic.
            UnreadableStateError: a record of it cannot be decoded.

        """
        place = TopicPartition(f"{self._settings.namespace}{topic}", partition)
        reader = consumer(self._settings, group=None)
        try:
            await reader.start()
            reader.assign([place])
            # The last stable offset, as the reader is read_committed: an open transaction's records are not waited for.
            end = (await reader.end_offsets([place]))[place]
            await reader.seek_to_beginning(place)
            while await reader.position(place) < end:
                batches = await reader.getmany(place, timeout_ms=READ_WAIT_MS, max_records=READ_RECORDS_MAX)
                for message in batches.get(place, ()):
                    if message.offset >= end:
                        return
                    if isinstance(message, Unreadable):
                        raise UnreadableStateError(topic, partition, message.first_offset, message.why)
                    yield message.key or b"", message.value, tuple(message.headers)
        except CLIENT_ERRORS as error:
            raise translated(error, f"reading {place.topic}-{partition}") from error
        finally:
            await uninterrupted(reader.stop())
