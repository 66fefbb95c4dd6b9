"""The topics of a broker."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.broker.embedded.codes import Code
from shared.broker.embedded.limits import Limits
from shared.broker.embedded.log import PartitionLog
from shared.broker.embedded.topics import TopicConfig, creation_complaint, name_complaint


@dataclass(slots=True)
class Topic:
    """A topic: its settings and its partitions, in order."""

    name: str
    config: TopicConfig
    partitions: list[PartitionLog]


class Topics:
    """Topics by name; *partitions* is what a topic gets that is created without a number of its own."""

    def __init__(self, *, partitions: int, auto_create: bool, limits: Limits) -> None:
        self._default_partitions = partitions
        self._auto_create = auto_create
        self._limits = limits
        self._topics: dict[str, Topic] = {}

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._topics.values())

    def find(self, name: str) -> Topic | None:
        """The topic, if it exists."""
        return self._topics.get(name)

    def partition(self, name: str, index: int) -> PartitionLog | None:
        """The log of a partition, if it exists."""
        topic = self._topics.get(name)
        if topic is None or not 0 <= index < len(topic.partitions):
            return None
        return topic.partitions[index]

    def knows(self, name: str, index: int) -> bool:
        """Does the partition exist?"""
        return self.partition(name, index) is not None

    def create(
        self,
        name: str,
        partitions: int = -1,
        replication_factor: int = -1,
        config: dict[str, str] | None = None,
        *,
        validate_only: bool = False,
    ) -> tuple[Code, str | None]:
        """Create a topic; the error and its message."""
        illegal = name_complaint(name)
        if illegal is not None:
            return Code.INVALID_TOPIC_EXCEPTION, illegal
        if name in self._topics:
            return Code.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists."
        config = config or {}
        complaint = creation_complaint(partitions, replication_factor, config, self._limits)
        if complaint is not None:
            return complaint
        if not validate_only:
            topic = Topic(name, TopicConfig(dict(config)), [])
            self._topics[name] = topic
            self._extend(topic, self._default_partitions if partitions == -1 else partitions)
        return Code.NONE, None

    def find_or_create(self, name: str, *, allowed: bool) -> Topic | None:
        """The topic; made by its mere mention where the broker and the client allow that."""
        if name not in self._topics and allowed and self._auto_create:
            self.create(name)
        return self._topics.get(name)

    def grow(self, name: str, partitions: int, *, validate_only: bool) -> tuple[Code, str | None]:
        """Give a topic more partitions, *partitions* in all."""
        topic = self._topics.get(name)
        if topic is None:
            return Code.UNKNOWN_TOPIC_OR_PARTITION, None
        if not len(topic.partitions) < partitions <= self._limits.partitions_max:
            return (
                Code.INVALID_PARTITIONS,
                (
                    f"Topic has {len(topic.partitions)} partitions; {partitions} is not more, "
                    f"or over {self._limits.partitions_max}."
                ),
            )
        if not validate_only:
            self._extend(topic, partitions)
        return Code.NONE, None

    def delete(self, name: str) -> Code:
        """Delete a topic and its records."""
        topic = self._topics.pop(name, None)
        if topic is None:
            return Code.UNKNOWN_TOPIC_OR_PARTITION
        for log in topic.partitions:
            for watcher in [*log.end_watchers, *log.stable_watchers]:
                watcher()
        return Code.NONE

    @property
    def size_bytes(self) -> int:
        """Bytes of all records kept."""
        return sum(log.size_bytes for topic in self for log in topic.partitions)

    def _extend(self, topic: Topic, count: int) -> None:
        topic.partitions.extend(
            PartitionLog(topic.name, index, topic.config, self._limits) for index in range(len(topic.partitions), count)
        )
