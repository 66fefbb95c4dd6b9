"""What is declared is what a broker then has, setting by setting: on the embedded broker and on Apache Kafka."""

from shared.broker.topics import Plan, TopicsSettings, create_topics, diff
from shared.events.topics import TOPICS


async def test_after_creating_nothing_is_missing_and_nothing_differs(broker_settings):
    settings = TopicsSettings(partitions=3)

    made = await create_topics(broker_settings, settings)

    assert len(made.create) == len(TOPICS)
    assert await diff(broker_settings, settings) == Plan((), ())


async def test_another_number_of_partitions_is_told_and_not_made(broker_settings):
    await create_topics(broker_settings, TopicsSettings(partitions=3))

    told = await create_topics(broker_settings, TopicsSettings(partitions=4))

    assert told.create == ()
    assert {difference.what for difference in told.differences} == {"the number of partitions"}
    assert await diff(broker_settings, TopicsSettings(partitions=3)) == Plan((), ())
