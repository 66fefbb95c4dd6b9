"""
The tables' changelogs on Kafka: compacted topics with as many partitions as what is counted.
"""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.broker.clients import KafkaSettings, admin
from shared.errors import Fatal, Retryable
from shared.events.topics import CLAIMS_JUDGED, TURNS_CLOSED

REPLICAS_WANTED = 3


async def prepare(kafka: KafkaSettings, changelogs: Iterable[str]) -> int:
    """
    Create what is missing of *changelogs* (full names); returns the number of partitions.

    Made here and not by Faust, which sets neither the least number of in-sync replicas nor how soon the log is
    compacted: a bucket is written once a record, so all but a few hundredths of the log is stale.

    Raises:
        Retryable: the broker cannot be reached, or does not do it now.
        Fatal: the topics that are read do not exist, differ in partitions, or the broker refuses a changelog.

    """
    client = admin(kafka)
    try:
        await client.start()
        partitions = await _partitions(client, kafka.namespace)
        factor = min(REPLICAS_WANTED, len((await client.describe_cluster())["brokers"]))
        config = {
            "cleanup.policy": "compact",
            "min.insync.replicas": str(max(1, factor - 1)),
            "min.cleanable.dirty.ratio": "0.1",
            "segment.ms": "3600000",
            "max.compaction.lag.ms": "3600000",
            "delete.retention.ms": "86400000",
        }
        wanted = [NewTopic(name, partitions, factor, topic_configs=config) for name in changelogs]
        response = await client.create_topics(wanted)
    except KafkaError as error:
        raise Retryable(
            f"the changelogs cannot be prepared on {kafka.bootstrap_servers} ({error!r}); "
            "check HOLDFAST_KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    finally:
        await client.close()
    _judge(response)
    return partitions


async def _partitions(client: AIOKafkaAdminClient, namespace: str) -> int:
    wanted = [f"{namespace}{CLAIMS_JUDGED}", f"{namespace}{TURNS_CLOSED}"]
    # All topics, as asking for one by name may create it.
    known = {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}
    if missing := [name for name in wanted if name not in known]:
        raise Fatal(f"there is no topic {', '.join(missing)}; create the topics with `holdfast topics apply`")
    if len({known[name] for name in wanted}) > 1:
        raise Fatal(f"{' and '.join(wanted)} have different numbers of partitions; they must have the same")
    return known[wanted[0]]


def _judge(response: object) -> None:
    for name, code, *message in response.topic_errors:  # type: ignore[attr-defined]  # the protocol's response class
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            kind = Retryable if error.retriable else Fatal
            raise kind(f"the changelog {name} cannot be created: {error.__name__} {' '.join(filter(None, message))}")
