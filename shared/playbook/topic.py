"""
Playbooks over Kafka: publishing one, and following all of them.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from prometheus_client import CollectorRegistry

from shared.broker.clients import KafkaSettings, consumer
from shared.broker.closing import uninterrupted
from shared.errors import Invalid
from shared.events.topics import PLAYBOOKS
from shared.playbook.checking import check
from shared.playbook.finding import PlaybookError, errors
from shared.playbook.metrics import FollowerMetrics
from shared.playbook.model import Playbook
from shared.playbook.records import PlaybookKey, check_address, succession
from shared.playbook.sealed import sealed
from shared.playbook.shelf import Shelf, change_of

KEEP_VERSIONS = 10
"""Versions of an agent that turns may still name; ten publications within one turn's deadline are not expected."""
POLL_SECONDS = 1.0
POLL_RECORDS_MAX = 500
ERROR_CHARS_MAX = 500
BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 15.0

log = structlog.get_logger(__name__)


class RecordProducer(Protocol):
    """What publishing needs of a Kafka producer; aiokafka's has it."""

    async def partitions_for(self, topic: str) -> set[int]: ...

    async def send_and_wait(self, topic: str, value: Any, key: Any, partition: int) -> Any: ...


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication did; `changed` is false where the version was in force already."""

    version: str
    retired: tuple[str, ...]
    changed: bool


async def publish(
    producer: RecordProducer,
    settings: KafkaSettings,
    tenant: str,
    playbook: Playbook,
    *,
    kept: Sequence[str] = (),
    keep: int = KEEP_VERSIONS,
) -> Published:
    """
    Put *playbook* in force for *tenant*'s agent of its name.

    *kept* are the versions kept so far, newest first (`PlaybookFollower.kept`); those beyond *keep* are retired.
    Content goes before head and each is acknowledged, so a crash in between leaves the former version in force.

    Raises:
        PlaybookError: a check finds an error in it, or it is too large for a record.
        Invalid: (`bad_key`, `too_large`) *tenant* is no name, or the playbook does not fit a record.
        aiokafka.errors.KafkaError: the broker did not take it.

    """
    check_address(tenant, playbook.agent)
    if wrong := errors(check(playbook)):
        raise PlaybookError(wrong)
    whole = sealed(playbook)
    version, packed = whole.version, whole.packed
    head, retired = succession(version, kept, keep)
    name = PlaybookKey(tenant, playbook.agent)
    records = [
        (PlaybookKey(tenant, playbook.agent, version), packed),
        (name, head.model_dump_json().encode()),
        *((PlaybookKey(tenant, playbook.agent, old), None) for old in retired),
    ]
    topic = settings.namespace + PLAYBOOKS
    partition = await _partition(producer, topic, name)
    for key, value in records:
        await producer.send_and_wait(topic, value=value, key=key.encode(), partition=partition)
    return Published(version, retired, changed=tuple(kept[:1]) != (version,))


async def withdraw(
    producer: RecordProducer, settings: KafkaSettings, tenant: str, agent: str, *, kept: Sequence[str] = ()
) -> None:
    """Put no playbook in force for the agent, and retire the versions *kept* of it."""
    check_address(tenant, agent)
    topic, name = settings.namespace + PLAYBOOKS, PlaybookKey(tenant, agent)
    partition = await _partition(producer, topic, name)
    for key in (name, *(PlaybookKey(tenant, agent, version) for version in kept)):
        await producer.send_and_wait(topic, value=None, key=key.encode(), partition=partition)


async def _partition(producer: RecordProducer, topic: str, name: PlaybookKey) -> int:
    partitions = sorted(await producer.partitions_for(topic))
    hashed: int = murmur2(name.encode()) & 0x7FFFFFFF
    return partitions[hashed % len(partitions)]


class PlaybookFollower:
    """
    The directory of a running process: reads the whole topic before it says ready, then follows it.

    A record that cannot be used is refused, logged and counted; the last good version stays in force. When the broker
    goes away, what is known stays in force, and the topic is read afresh once it is back.
    """

    def __init__(self, settings: KafkaSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._topic = settings.namespace + PLAYBOOKS
        self._metrics = FollowerMetrics(registry)
        self._shelf = Shelf()
        self._ready = asyncio.Event()
        self._failures = 0

    @property
    def is_ready(self) -> bool:
        """Whether the topic has been read to its end once."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Wait until the topic has been read to its end once."""
        await self._ready.wait()

    def current(self, tenant: str, agent: str) -> tuple[str, Playbook] | None:
        return self._shelf.current(tenant, agent)

    def version(self, tenant: str, agent: str, version: str) -> Playbook | None:
        return self._shelf.version(tenant, agent, version)

    def kept(self, tenant: str, agent: str) -> tuple[str, ...]:
        """The versions that turns may still name, newest first."""
        return self._shelf.kept(tenant, agent)

    def agents(self) -> tuple[tuple[str, str], ...]:
        """Tenant and agent of every playbook in force."""
        return self._shelf.agents()

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        while True:
            reader = consumer(self._settings, group=None)
            # A subscription without a group takes all partitions, those added later included.
            reader.subscribe([self._topic])
            try:
                await reader.start()
                await self._read(reader)
            except (KafkaError, RuntimeError) as error:  # uvloop: a write on a connection that the broker closed
                self._note_interruption(error=str(error))
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001  the boundary of the follower, without which no stage works
                self._note_interruption(exc_info=error)
            finally:
                await uninterrupted(reader.stop())
            longest_seconds = min(BACKOFF_FIRST_SECONDS * 2 ** min(self._failures, 16), BACKOFF_MAX_SECONDS)
            await asyncio.sleep(longest_seconds * random.uniform(0.5, 1.0))

    def _note_interruption(self, **why: Any) -> None:
        self._failures += 1
        self._metrics.interruptions.inc()
        log.warning("playbooks cannot be followed; what is known stays in force", topic=self._topic, **why)

    async def _read(self, reader: AIOKafkaConsumer) -> None:
        ends = await reader.end_offsets(reader.assignment())
        shelf = Shelf()
        while not await _reached(reader, ends):
            await self._take(reader, shelf)
        self._shelf = shelf
        self._failures = 0
        self._tell()
        self._ready.set()
        log.info("playbooks read", in_force=len(shelf.agents()), versions=len(shelf))
        while True:
            if await self._take(reader, shelf):
                self._tell()

    async def _take(self, reader: AIOKafkaConsumer, shelf: Shelf) -> int:
        batches = await reader.getmany(timeout_ms=round(POLL_SECONDS * 1000), max_records=POLL_RECORDS_MAX)
        records = [record for batch in batches.values() for record in batch]
        for record in records:
            self._metrics.records.labels(await _taken(record, shelf)).inc()
        return len(records)

    def _tell(self) -> None:
        self._metrics.versions.set(len(self._shelf))
        self._metrics.in_force.set(len(self._shelf.agents()))


async def _taken(record: Any, shelf: Shelf) -> str:
    """What *record* was, as `FollowerMetrics.records` names it; one that cannot be used changes nothing in *shelf*."""
    try:
        return shelf.take(await asyncio.to_thread(change_of, record.key, record.value))
    except Invalid as error:
        reason, why = error.reason, str(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (the boundary of a record: no tenant's playbook stops what serves them all)
        reason, why = "unexpected", f"{type(error).__name__}: {error}"
    log.warning(
        "playbook record refused; the last good version stays in force",
        reason=reason,
        error=why[:ERROR_CHARS_MAX],
        key=repr(record.key)[:ERROR_CHARS_MAX],
        partition=record.partition,
        offset=record.offset,
    )
    return f"refused_{reason}"


async def _reached(reader: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    return all([await reader.position(partition) >= end for partition, end in ends.items()])
