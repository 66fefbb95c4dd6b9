"""ApiVersions, Metadata, and the administration of topics."""

from collections.abc import Callable
from typing import Any

from shared.broker.embedded import wire
from shared.broker.embedded.codes import Code
from shared.broker.embedded.coordinator import Groups
from shared.broker.embedded.registry import Topic, Topics
from shared.broker.embedded.server import Call
from shared.broker.embedded.topics import DEFAULTS, config_complaint, name_complaint

NODE_ID = 1
CLUSTER_ID = "holdfast-embedded"

_TOPIC_RESOURCE = 2
_SOURCE_TOPIC, _SOURCE_DEFAULT = 1, 5
"""ConfigSource of DescribeConfigs: DYNAMIC_TOPIC_CONFIG, DEFAULT_CONFIG."""


class AdminApi:
    """What admin clients, and all clients at their start, ask."""

    def __init__(self, topics: Topics, groups: Groups, address: Callable[[], tuple[int, str, int]]) -> None:
        self._topics = topics
        self._groups = groups
        self._address = address

    def versions(self, call: Call) -> None:
        """The APIs and versions that are spoken."""
        call.answer(Code.NONE, wire.RANGES, 0)

    def metadata(self, call: Call) -> None:
        """The one node, and the topics asked for (all: null, or an empty list in version 0)."""
        names = call.body.topics
        if names is None or (not names and call.request.version == 0):
            names = [topic.name for topic in self._topics]
        # Versions before 4 cannot forbid it.
        allowed = call.body.allow_auto_topic_creation is not False
        call.answer(
            0,
            [(*self._address(), None)],
            CLUSTER_ID,
            NODE_ID,
            [_described(name, self._topics.find_or_create(name, allowed=allowed)) for name in names],
        )

    def create_topics(self, call: Call) -> None:
        """Create topics."""
        answer = []
        for name, partitions, factor, placement, config in call.body.create_topic_requests:
            if placement:
                partitions, factor = len(placement), 1  # noqa: PLW2901 - a placement stands for both numbers
            code, message = self._topics.create(
                name, partitions, factor, dict(config or ()), validate_only=bool(call.body.validate_only)
            )
            answer.append((name, code, message))
        call.answer(0, answer)

    def delete_topics(self, call: Call) -> None:
        """Delete topics and the offsets committed for them."""
        answer = []
        for name in call.body.topics:
            answer.append((name, self._topics.delete(name)))
            self._groups.forget_topic(name)
        call.answer(0, answer)

    def create_partitions(self, call: Call) -> None:
        """Give topics more partitions."""
        call.answer(
            0,
            [
                (name, *self._topics.grow(name, count, validate_only=bool(call.body.validate_only)))
                for name, (count, _) in call.body.topic_partitions
            ],
        )

    def describe_configs(self, call: Call) -> None:
        """The settings of topics; of a broker there are none."""
        call.answer(0, [self._described_config(*resource) for resource in call.body.resources])

    def _described_config(self, kind: int, name: str, wanted: list[str] | None) -> tuple[Any, ...]:
        topic = self._topics.find(name)
        if kind != _TOPIC_RESOURCE:
            return Code.NONE, None, kind, name, []
        if topic is None:
            return Code.UNKNOWN_TOPIC_OR_PARTITION, None, kind, name, []
        entries: list[tuple[Any, ...]] = [
            (
                key,
                topic.config.get(key),
                False,
                _SOURCE_TOPIC if key in topic.config.values else _SOURCE_DEFAULT,
                False,
                [],
            )
            for key in DEFAULTS
            if wanted is None or key in wanted
        ]
        return Code.NONE, None, kind, name, entries

    def alter_configs(self, call: Call) -> None:
        """Replace the settings of topics."""
        call.answer(
            0,
            [
                (*self._alter(kind, name, dict(entries), validate_only=bool(call.body.validate_only)), kind, name)
                for kind, name, entries in call.body.resources
            ],
        )

    def _alter(self, kind: int, name: str, values: dict[str, str], *, validate_only: bool) -> tuple[Code, str | None]:
        if kind != _TOPIC_RESOURCE:
            return Code.INVALID_REQUEST, "The embedded broker has no settings that can be altered while it runs."
        topic = self._topics.find(name)
        if topic is None:
            return Code.UNKNOWN_TOPIC_OR_PARTITION, None
        complaint = config_complaint(values)
        if complaint is not None:
            return Code.INVALID_CONFIG, complaint
        if not validate_only:
            topic.config.values.clear()
            topic.config.values.update(values)
        return Code.NONE, None


def _described(name: str, topic: Topic | None) -> tuple[Code, str, bool, list[tuple[Any, ...]]]:
    if topic is None:
        illegal = name_complaint(name) is not None
        return Code.INVALID_TOPIC_EXCEPTION if illegal else Code.UNKNOWN_TOPIC_OR_PARTITION, name, False, []
    return (
        Code.NONE,
        name,
        False,
        [(Code.NONE, log.index, NODE_ID, [NODE_ID], [NODE_ID], []) for log in topic.partitions],
    )
