"""What is declared for whoever creates topics without Holdfast is what Holdfast itself would create."""

import io

from ruamel.yaml import YAML

from shared.broker.topics import TopicsSettings, declared
from shared.events.topics import TOPICS

HEADER = """\
# The topics as they should exist, on three brokers or more. Generated from shared/events/topics.py and
# shared/broker/topics.py by `make generate`. The number of partitions is yours to choose
# (HOLDFAST_TOPICS_PARTITIONS), but the same for every topic that holds conversations.
"""


def test_the_declared_file_is_the_table(generated):
    topics = [
        {
            "name": topic.name,
            "partitions": topic.partitions,
            "replication_factor": topic.replication_factor,
            "config": dict(topic.config),
        }
        for topic in declared(TopicsSettings())
    ]
    out = io.StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({"topics": topics}, out)

    generated("deploy/kafka/topics.yaml", HEADER + out.getvalue())


def test_the_table_is_keyed_by_the_topics_own_names():
    assert [topic.name for topic in TOPICS.values()] == list(TOPICS)


def test_no_event_type_travels_on_two_topics():
    """A reader would not know which of them speaks the truth."""
    types = [name for topic in TOPICS.values() for name in topic.types]

    assert len(types) == len(set(types))
