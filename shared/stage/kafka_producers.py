"""
Writing to Kafka: idempotent for the concurrent stage, transactional for the ledger.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from shared.broker.clients import RECORD_BYTES_MAX, KafkaSettings, producer
from shared.broker.closing import uninterrupted
from shared.errors import Fatal, HoldfastError, Invalid, Retryable
from shared.stage.base import Output
from shared.stage.errors import OwnershipLost
from shared.stage.kafka_errors import CLIENT_ERRORS, translated
from shared.stage.ports import Committed, Position

REQUEST_BYTES_MAX = 2 * RECORD_BYTES_MAX
"""
A dead letter is the largest record and the headers that say why; each topic's own limit is the broker's to enforce.
"""
STOP_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class KafkaProducer:
    """
    A `Producer` port.

    aiokafka retries what may pass for ever, in order. What it gives up leaves a hole in the producer's sequence,
    after which the broker refuses everything: the client is replaced then, and the caller sends again.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaProducer | None = None
        self._known: set[tuple[str, int]] = set()
        self._replacing = asyncio.Lock()

    async def start(self) -> None:
        self._client = await _started(self._settings, None)

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _stopped(client)

    async def send(self, outputs: Sequence[Output], partition: int) -> None:
        client = self._client or await self._replace()
        try:
            await _delivered(client, self._settings, outputs, partition, self._known)
        except HoldfastError:
            raise
        except Exception as error:
            meaning = translated(error, f"writing to {', '.join(sorted({output.topic for output in outputs}))}")
            if isinstance(meaning, OwnershipLost):
                _log.warning("the producer is replaced", error=str(meaning))
                if self._client is client:
                    self._client = None
                    await _stopped(client)
                raise Retryable(str(meaning)) from error
            raise meaning from error

    async def _replace(self) -> AIOKafkaProducer:
        async with self._replacing:
            if self._client is None:
                self._client = await _started(self._settings, None)
            return self._client


class KafkaTransactionalProducer:
    """
    A `TransactionalProducer` port.

    aiokafka speaks TxnOffsetCommit v0 only (no KIP-447): the group's generation does not fence, so the transactional id
    must, and there is one for each task. A transaction that fails in any way but a refused size leaves its fate
    unknown; the task is opened anew then, which aborts or completes it. So is one that takes longer than the broker
    lets it be open (`transaction_timeout_seconds`): the broker has aborted it, and aiokafka was seen to wait on for
    minutes, in silence, once brokers had been restarted under it.
    """

    def __init__(self, settings: KafkaSettings, transactional_id: str, group: str) -> None:
        self._settings = settings
        self._transactional_id = f"{settings.namespace}{transactional_id}"
        self._group = f"{settings.namespace}{group}"
        self._client: AIOKafkaProducer | None = None
        self._known: set[tuple[str, int]] = set()

    async def start(self) -> None:
        self._client = await _started(self._settings, self._transactional_id)

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _stopped(client)

    async def transact(self, outputs: Sequence[Output], partition: int, progress: Mapping[Position, Committed]) -> None:
        client = self._client
        if client is None:
            raise OwnershipLost(f"the producer {self._transactional_id} is closed, or its last transaction failed")
        offsets = {
            TopicPartition(f"{self._settings.namespace}{position.topic}", position.partition): OffsetAndMetadata(
                committed.offset, committed.metadata
            )
            for position, committed in progress.items()
        }
        limit_seconds = self._settings.transaction_timeout_seconds
        try:
            async with asyncio.timeout(limit_seconds):
                await client.begin_transaction()
                sending: list[Awaitable[None]] = [
                    _delivered_in_batches(client, self._settings, outputs, partition, self._known)
                ]
                if offsets:
                    sending.append(client.send_offsets_to_transaction(offsets, self._group))
                await _all(sending)
                await client.commit_transaction()
        except Exception as error:
            self._client = None
            meaning = translated(error, f"the transaction of {self._transactional_id}, within {limit_seconds:g} s")
            if isinstance(meaning, Invalid):
                await self._abort(client)
            await _stopped(client)
            if isinstance(meaning, Retryable):
                raise OwnershipLost(str(meaning)) from error
            raise meaning from error

    async def _abort(self, client: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await client.abort_transaction()
        except CLIENT_ERRORS as error:
            raise OwnershipLost(f"{self._transactional_id} could not abort its transaction: {error!r}") from error


async def _delivered_in_batches(
    client: AIOKafkaProducer,
    settings: KafkaSettings,
    outputs: Sequence[Output],
    partition: int,
    known: set[tuple[str, int]],
) -> None:
    """
    As `_delivered`, for outputs that are all there: one batch a topic, or as many as it takes.

    A record costs 6 µs of CPU instead of 10 to 12, as it has no future of its own, and a topic one request.
    """
    futures: list[asyncio.Future[object]] = []
    batches: dict[str, BatchBuilder] = {}
    try:
        for output in outputs:
            topic = f"{settings.namespace}{output.topic}"
            if (topic, partition) not in known:
                await _check_partition(client, topic, partition)
                known.add((topic, partition))
            if topic not in batches:
                batches[topic] = client.create_batch()
            if not _added(batches[topic], output):
                futures.append(await client.send_batch(batches[topic], topic, partition=partition))
                batches[topic] = client.create_batch()
                _added(batches[topic], output)
        for topic, batch in batches.items():
            futures.append(await client.send_batch(batch, topic, partition=partition))
    except BaseException:
        for future in futures:
            future.add_done_callback(_observe)
        raise
    await _all(futures)


def _added(batch: BatchBuilder, output: Output) -> bool:
    """Whether *output* found room in *batch*; in an empty one it does, whatever its size."""
    added = batch.append(timestamp=None, key=output.key, value=output.value, headers=list(output.headers))
    return added is not None


async def _delivered(
    client: AIOKafkaProducer,
    settings: KafkaSettings,
    outputs: Sequence[Output],
    partition: int,
    known: set[tuple[str, int]],
) -> None:
    """Return when *outputs* are acknowledged; the first failure is raised when all have ended."""
    futures: list[asyncio.Future[object]] = []
    try:
        for output in outputs:
            topic = f"{settings.namespace}{output.topic}"
            if (topic, partition) not in known:
                await _check_partition(client, topic, partition)
                known.add((topic, partition))
            futures.append(
                await client.send(
                    topic, output.value, key=output.key, partition=partition, headers=list(output.headers)
                )
            )
    except BaseException:
        for future in futures:
            future.add_done_callback(_observe)
        raise
    await _all(futures)


def _observe(future: asyncio.Future[object]) -> None:
    """Nobody waits for *future* any more; asyncio would complain of its failure."""
    if not future.cancelled():
        future.exception()


async def _all(awaitables: Sequence[Awaitable[object]]) -> None:
    """Wait for all, then raise the first failure: none is left behind unobserved."""
    if len(awaitables) == 1:
        await awaitables[0]
        return
    for result in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _check_partition(client: AIOKafkaProducer, topic: str, partition: int) -> None:
    partitions = await client.partitions_for(topic)
    if partition not in partitions:
        raise Fatal(
            f"{topic} has {len(partitions)} partitions, and partition {partition} is to be written; every topic needs "
            "as many as the inputs: recreate it with `holdfast topics apply`"
        )


async def _started(settings: KafkaSettings, transactional_id: str | None) -> AIOKafkaProducer:
    client = producer(settings, transactional_id=transactional_id, max_request_size=REQUEST_BYTES_MAX)
    try:
        await client.start()
    except Exception as error:
        await _stopped(client)
        raise translated(error, f"starting a producer at {settings.bootstrap_servers}") from error
    except BaseException:
        await _stopped(client)
        raise
    return client


async def _stopped(client: AIOKafkaProducer) -> None:
    """Close *client*, also where its owner is cancelled meanwhile."""
    await uninterrupted(_stop(client))


async def _stop(client: AIOKafkaProducer) -> None:
    """`AIOKafkaProducer.stop` flushes first, which a broker that is away would make last for ever."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await client.stop()
    except TimeoutError:
        await _aborted(client)
    except Exception as error:  # noqa: BLE001  a client that failed once fails again on closing
        _log.debug("a producer did not close cleanly", error=repr(error))


async def _aborted(client: AIOKafkaProducer) -> None:
    """
    End what a `stop` that was interrupted leaves: aiokafka's sender, which would go on for ever and open connections
    anew, and whoever waits for what it has not delivered. There is no public way to it.
    """
    sending = client._sender.sender_task  # noqa: SLF001
    if sending is not None:
        sending.cancel()
    await client.client.close()
    if sending is not None:
        await asyncio.wait([sending], timeout=STOP_SECONDS)
    client._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
