"""
The topics as they should exist, what a broker really has, and creating what is missing.

What exists is never changed: another number of partitions would move conversations to other partitions, and what an
operator set on purpose stays as it is. Differences are told instead.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from pydantic import Field

from shared.broker.clients import RECORD_BYTES_MAX, KafkaSettings, admin
from shared.errors import Fatal, Retryable
from shared.events.topics import DAY_MS, DEAD_LETTERS, RECEIVED_FROM_TENANTS, TOPICS, Topic, tenant_topic
from shared.settings import Section

REPLICAS_WANTED = 3
BATCH_BYTES_MAX = RECORD_BYTES_MAX + 1_024
"""`max.message.bytes` counts the whole batch: the largest record, its key and headers, and 61 bytes of the batch."""
DEAD_LETTER_BYTES_MAX = 2 * RECORD_BYTES_MAX
"""A dead letter is the largest record with the headers that tell what was wrong with it."""
COMPACTION_LAG_MAX_MS = DAY_MS
"""Within which an erased conversation's older states are gone from the changelog's log."""
_POLL_SECONDS = 0.05

log = structlog.get_logger(__name__)


class TopicsSettings(Section):
    """How topics are created; without effect on those that exist."""

    partitions: int = Field(
        12, ge=1, le=10_000, description="of every topic that holds conversations; bounds the processes of a stage"
    )
    replication_factor: int = Field(
        0, ge=0, le=9, description="copies of every topic; 0 is three, or as many as there are brokers"
    )


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic on a broker, declared or found; `name` is with the namespace."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """That a topic which exists is not as declared."""

    topic: str
    what: str
    declared: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, declared is {self.declared}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to create, and where what exists differs."""

    create: tuple[TopicState, ...]
    differences: tuple[Difference, ...]


def declared(
    settings: TopicsSettings, *, namespace: str = "", brokers: int = REPLICAS_WANTED, tenants: Iterable[str] = ()
) -> tuple[TopicState, ...]:
    """
    Every topic of the one table, as it should exist on a cluster of so many *brokers*; *tenants* have topics of their
    own beside those that platforms and approvers share.
    """
    factor = settings.replication_factor or min(REPLICAS_WANTED, brokers)
    return tuple(
        TopicState(
            f"{namespace}{topic.name}",
            settings.partitions if topic.partitioned_by_conversation else 1,
            factor,
            _config(topic, factor),
        )
        for topic in (*TOPICS.values(), *[own for tenant in tenants for own in _of_tenant(tenant)])
    )


def _of_tenant(tenant: str) -> list[Topic]:
    return [replace(TOPICS[name], name=tenant_topic(tenant, name)) for name in RECEIVED_FROM_TENANTS]


def plan(wanted: Iterable[TopicState], found: Mapping[str, TopicState]) -> Plan:
    """What is missing of *wanted*, and what of it stands otherwise in *found* (by name)."""
    create: list[TopicState] = []
    differences: list[Difference] = []
    for topic in wanted:
        if topic.name in found:
            differences += _differences(topic, found[topic.name])
        else:
            create.append(topic)
    return Plan(tuple(create), tuple(differences))


async def diff(kafka: KafkaSettings, settings: TopicsSettings) -> Plan:
    """
    What `create_topics` would do; changes nothing.

    Raises:
        Retryable: the broker cannot be reached or does not answer.

    """
    client = await _started(kafka)
    try:
        return await _plan(client, kafka, settings)
    finally:
        await client.close()


async def found_topics(kafka: KafkaSettings, wanted: Callable[[str], bool]) -> dict[str, TopicState]:
    """
    The topics in the namespace that the broker has and *wanted* takes, by name without the namespace, as they are.

    Raises:
        Retryable: the broker cannot be reached or does not answer.

    """
    client = await _started(kafka)
    space = kafka.namespace
    try:
        names = {str(topic["topic"]) for topic in await client.describe_topics()}
        chosen = {name for name in names if name.startswith(space) and wanted(name.removeprefix(space))}
        return {name.removeprefix(space): state for name, state in (await _found(client, chosen)).items()}
    except KafkaError as error:
        raise Retryable(f"topics cannot be read from {kafka.bootstrap_servers}: {error!r}") from error
    finally:
        await client.close()


async def create_topics(kafka: KafkaSettings, settings: TopicsSettings) -> Plan:
    """
    Create the topics that are missing, wait until all have leaders, and return what was done and what differs.

    Several processes may do so at once.

    Raises:
        Retryable: the broker cannot be reached, or the topics have no leaders in `request_timeout_seconds`.
        Fatal: the broker refuses a topic as declared.

    """
    client = await _started(kafka)
    try:
        made = await _plan(client, kafka, settings)
        await _create(client, made.create)
        await _await_leaders(client, _names(kafka), kafka.request_timeout_seconds)
    except KafkaError as error:
        raise Retryable(f"topics cannot be created on {kafka.bootstrap_servers}: {error!r}") from error
    finally:
        await client.close()
    for difference in made.differences:
        log.warning("a topic is not as declared", difference=str(difference))
    return made


def _names(kafka: KafkaSettings) -> set[str]:
    return {f"{kafka.namespace}{name}" for name in (*TOPICS, *kafka.received_topics)}


def _config(topic: Topic, factor: int) -> dict[str, str]:
    config = {
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": str(DEAD_LETTER_BYTES_MAX if topic.name == DEAD_LETTERS else BATCH_BYTES_MAX),
        # One copy may be missing; a write that only the leader has is never acknowledged where there are several.
        "min.insync.replicas": str(max(1, factor - 1)),
    }
    if topic.cleanup == "compact":
        config |= {
            "delete.retention.ms": str(DAY_MS),
            "max.compaction.lag.ms": str(COMPACTION_LAG_MAX_MS),
            # A restore reads the whole log: a tenth of it may be stale, not half.
            "min.cleanable.dirty.ratio": "0.1",
            "segment.ms": str(DAY_MS),
        }
    else:
        config["retention.ms"] = str(topic.retention_ms)
    return config


def _differences(wanted: TopicState, found: TopicState) -> list[Difference]:
    pairs = [
        ("the number of partitions", str(wanted.partitions), str(found.partitions)),
        ("the replication factor", str(wanted.replication_factor), str(found.replication_factor)),
        *((name, value, found.config.get(name, "unknown")) for name, value in sorted(wanted.config.items())),
    ]
    return [Difference(wanted.name, what, declared, real) for what, declared, real in pairs if declared != real]


async def _started(kafka: KafkaSettings) -> AIOKafkaAdminClient:
    client = admin(kafka)
    try:
        await client.start()
    except KafkaError as error:
        await client.close()
        raise Retryable(
            f"no broker answers at {kafka.bootstrap_servers} ({error!r}); check HOLDFAST_KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    return client


async def _plan(client: AIOKafkaAdminClient, kafka: KafkaSettings, settings: TopicsSettings) -> Plan:
    try:
        brokers = len((await client.describe_cluster())["brokers"])
        wanted = declared(settings, namespace=kafka.namespace, brokers=brokers, tenants=kafka.tenants_apart)
        return plan(wanted, await _found(client, {topic.name for topic in wanted}))
    except KafkaError as error:
        raise Retryable(f"topics cannot be read from {kafka.bootstrap_servers}: {error!r}") from error


async def _found(client: AIOKafkaAdminClient, names: set[str]) -> dict[str, TopicState]:
    # All topics, as asking for one by name may create it.
    known = {topic["topic"]: topic["partitions"] for topic in await client.describe_topics()}
    present = sorted(names & known.keys())
    configs = await _configs(client, present)
    return {
        name: TopicState(
            name, len(known[name]), max((len(p["replicas"]) for p in known[name]), default=0), configs[name]
        )
        for name in present
    }


async def _configs(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    found: dict[str, dict[str, str]] = {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    for response in await client.describe_configs(resources):
        for code, message, _kind, name, entries in response.resources:
            if code:
                raise for_code(code)(f"the settings of {name} cannot be read: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _create(client: AIOKafkaAdminClient, topics: Iterable[TopicState]) -> None:
    requests = [NewTopic(t.name, t.partitions, t.replication_factor, topic_configs=dict(t.config)) for t in topics]
    if not requests:
        return
    response = await client.create_topics(requests)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if not code or error is TopicAlreadyExistsError:
            continue
        if error.retriable:
            raise error(f"{name}: {message}")
        raise Fatal(f"the broker refuses to create topic {name}: {error.__name__} {' '.join(filter(None, message))}")


async def _await_leaders(client: AIOKafkaAdminClient, names: set[str], seconds: float) -> None:
    missing = names
    try:
        async with asyncio.timeout(seconds):
            # Leaders are elected on the broker, which tells nobody: only asking again shows it.
            while missing := names - {t["topic"] for t in await client.describe_topics() if _led(t)}:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise Retryable(
            f"after {seconds:g} s these topics still have no leaders: {', '.join(sorted(missing))}"
        ) from None


def _led(topic: Mapping[str, Any]) -> bool:
    return not topic["error_code"] and all(p["leader"] >= 0 and not p["error_code"] for p in topic["partitions"])
