import asyncio

import pytest
from aiokafka.admin import NewTopic

from shared.broker.clients import KafkaSettings, admin
from shared.broker.topics import Plan, TopicsSettings, TopicState, create_topics, declared, diff, plan
from shared.errors import Fatal, Retryable
from shared.events.topics import (
    CONVERSATION_DECISIONS,
    CONVERSATION_EVENTS,
    DEAD_LETTERS,
    PLAYBOOKS,
    TOPICS,
    tenant_topic,
)


@pytest.fixture
def kafka(embedded_settings):
    return embedded_settings.model_copy(update={"namespace": "test."})


async def made(kafka, *topics):
    client = admin(kafka)
    await client.start()
    await client.create_topics(list(topics))
    await client.close()


def test_every_topic_of_conversations_has_the_same_number_of_partitions():
    topics = {topic.name: topic for topic in declared(TopicsSettings(partitions=7))}

    assert topics.keys() == TOPICS.keys()
    assert topics[PLAYBOOKS].partitions == 1
    assert {t.partitions for name, t in topics.items() if name != PLAYBOOKS} == {7}


@pytest.mark.parametrize("name", [CONVERSATION_EVENTS, CONVERSATION_DECISIONS])
def test_tenants_apart_have_topics_like_those_that_others_share(name):
    topics = {topic.name: topic for topic in declared(TopicsSettings(partitions=7), namespace="x.", tenants=("acme",))}
    own, shared = topics[f"x.{tenant_topic('acme', name)}"], topics[f"x.{name}"]
    assert (own.partitions, own.replication_factor, own.config) == (7, shared.replication_factor, shared.config)


@pytest.mark.parametrize(
    ("chosen", "brokers", "factor", "insync"), [(0, 1, 1, "1"), (0, 2, 2, "1"), (0, 5, 3, "2"), (5, 5, 5, "4")]
)
def test_replicas_follow_the_brokers_and_one_may_be_missing(chosen, brokers, factor, insync):
    for topic in declared(TopicsSettings(replication_factor=chosen), brokers=brokers):
        assert (topic.replication_factor, topic.config["min.insync.replicas"]) == (factor, insync)


def test_a_dead_letter_has_room_for_the_largest_record_and_its_headers():
    sizes = {topic.name: int(topic.config["max.message.bytes"]) for topic in declared(TopicsSettings())}

    assert sizes[DEAD_LETTERS] > max(size for name, size in sizes.items() if name != DEAD_LETTERS)


def test_a_plan_creates_what_is_missing_and_tells_what_differs():
    wanted = (TopicState("a", 12, 3, {"retention.ms": "10"}), TopicState("b", 12, 3, {}))
    found = {"a": TopicState("a", 6, 1, {"retention.ms": "20", "other": "x"})}

    told = plan(wanted, found)

    assert told.create == (wanted[1],)
    assert [str(difference) for difference in told.differences] == [
        "a: the number of partitions is 6, declared is 12",
        "a: the replication factor is 1, declared is 3",
        "a: retention.ms is 20, declared is 10",
    ]


async def test_creating_twice_creates_once(kafka):
    first = await create_topics(kafka, TopicsSettings(partitions=3))
    again = await create_topics(kafka, TopicsSettings(partitions=3))

    assert {topic.name for topic in first.create} == {f"test.{name}" for name in TOPICS}
    assert first.differences == ()
    assert again == Plan((), ())


async def test_several_processes_may_create_at_once(kafka):
    await asyncio.gather(*(create_topics(kafka, TopicsSettings(partitions=2)) for _ in range(3)))

    assert await diff(kafka, TopicsSettings(partitions=2)) == Plan((), ())


async def test_a_diff_changes_nothing(kafka):
    await diff(kafka, TopicsSettings())

    assert len((await diff(kafka, TopicsSettings())).create) == len(TOPICS)


async def test_what_exists_otherwise_is_told_and_left_alone(kafka):
    await made(kafka, NewTopic("test.turns.opened", 5, 1, topic_configs={"cleanup.policy": "compact"}))

    told = await create_topics(kafka, TopicsSettings(partitions=2))

    assert "test.turns.opened" not in {topic.name for topic in told.create}
    assert {d.what for d in told.differences if d.topic == "test.turns.opened"} >= {
        "the number of partitions",
        "cleanup.policy",
    }
    assert (await diff(kafka, TopicsSettings(partitions=2))).differences == told.differences


async def test_a_topic_that_the_broker_refuses_is_fatal_and_named(kafka):
    with pytest.raises(Fatal, match=r"refuses to create topic test\.conversation\.events"):
        await create_topics(kafka, TopicsSettings(replication_factor=3))


async def test_an_unreachable_broker_is_retryable_and_names_the_setting():
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1", request_timeout_seconds=1)

    with pytest.raises(Retryable, match="HOLDFAST_KAFKA_BOOTSTRAP_SERVERS"):
        await create_topics(kafka, TopicsSettings())
