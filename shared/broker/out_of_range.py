"""
aiokafka's fetcher, at an offset that the broker no longer has, or does not have yet.

It (0.14) goes on from the log's beginning, as `auto_offset_reset` says, and tells nobody. Here it notes from where to
where it went.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.structs import TopicPartition


class OutOfRange(NamedTuple):
    """The broker has no record `asked` of `place`; reading goes on from `first`, where its log begins."""

    place: TopicPartition
    asked: int
    first: int


class NotingFetcher(fetcher.Fetcher):  # type: ignore[misc]
    """Notes by partition what was out of range since the partition was last sought."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._refused: dict[TopicPartition, int] = {}
        self._out_of_range: dict[TopicPartition, OutOfRange] = {}

    def take_out_of_range(self) -> Collection[OutOfRange]:
        """What was noted since the last call."""
        if not self._out_of_range:
            return ()
        noted, self._out_of_range = self._out_of_range, {}
        return noted.values()

    def seek_to(self, tp: TopicPartition, offset: int) -> None:
        self._refused.pop(tp, None)
        self._out_of_range.pop(tp, None)
        super().seek_to(tp, offset)

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        woken: bool = await super()._proc_fetch_request(assignment, node_id, request)
        for topic, partitions in request.topics:
            for partition, offset, _ in partitions:
                place = TopicPartition(topic, partition)
                state = assignment.state_value(place)
                if state is not None and state.awaiting_reset:
                    self._refused[place] = offset
        return woken

    async def _update_fetch_positions(self, assignment: Any, node_id: int, tps: Any) -> bool:
        woken: bool = await super()._update_fetch_positions(assignment, node_id, tps)
        for place in tps:
            state = assignment.state_value(place)
            if place in self._refused and state is not None and state.has_valid_position:
                asked = self._refused.pop(place)
                if state.position != asked:
                    self._out_of_range[place] = OutOfRange(place, asked, state.position)
        return woken


def out_of_range(client: AIOKafkaConsumer) -> Collection[OutOfRange]:
    """What *client*, which is started, met since the last call. It has gone on from where those logs begin."""
    met: Collection[OutOfRange] = client._fetcher.take_out_of_range()  # noqa: SLF001  it is of our own class
    return met
