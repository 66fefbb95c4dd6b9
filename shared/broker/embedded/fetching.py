"""
Fetch: answered at once where there is enough, parked until there is otherwise (KIP-74 for the size limits).
"""

from collections.abc import Callable

from shared.broker.embedded.clock import Handle, Scheduler
from shared.broker.embedded.codes import Code
from shared.broker.embedded.log import PartitionLog
from shared.broker.embedded.registry import Topics
from shared.broker.embedded.server import Call

_NO_SESSION = 0
_NO_REPLICA = -1
_READ_COMMITTED = 1

PartitionAnswer = tuple[int, Code, int, int, int, list[tuple[int, int]] | None, int, bytes]


class Fetch:
    """
    One fetch request.

    It answers when `min_bytes` are there, when a partition answers with an error, or when `max_wait_time` is over.
    *call_soon* defers a look at the logs, so that several appends of one produce request cost one look.
    """

    def __init__(
        self, call: Call, topics: Topics, scheduler: Scheduler, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._call = call
        self._topics = topics
        self._scheduler = scheduler
        self._call_soon = call_soon
        self._committed_only = call.body.isolation_level == _READ_COMMITTED
        self._timer: Handle | None = None
        self._watched: list[set[Callable[[], None]]] = []
        self._due = False

    def begin(self) -> None:
        """Answer, or park."""
        if self._look(over=self._call.body.max_wait_time <= 0):
            return
        for topic, partitions in self._call.body.topics:
            for partition in partitions:
                log = self._topics.partition(topic, partition[0])
                if log is not None:
                    watchers = log.stable_watchers if self._committed_only else log.end_watchers
                    watchers.add(self._wake)
                    self._watched.append(watchers)
        self._timer = self._scheduler.call_later(self._call.body.max_wait_time / 1000, self._time_out)

    def _wake(self) -> None:
        if not self._due:
            self._due = True
            self._call_soon(self._look_again)

    def _look_again(self) -> None:
        self._due = False
        if self._timer is not None and (self._call.abandoned or self._look(over=False)):
            self._unpark()

    def _time_out(self) -> None:
        self._unpark()
        if not self._call.abandoned:
            self._look(over=True)

    def _unpark(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for watchers in self._watched:
            watchers.discard(self._wake)

    def _look(self, *, over: bool) -> bool:
        """Answer if there is enough or the wait is *over*."""
        body = self._call.body
        left = body.max_bytes
        size = 0
        failed = False
        answer: list[tuple[str, list[PartitionAnswer]]] = []
        for topic, partitions in body.topics:
            answers = []
            for index, _, offset, _, bytes_max in partitions:
                one = self._read(topic, index, offset, min(bytes_max, left), nothing_yet=size == 0)
                failed = failed or one[1] is not Code.NONE
                size += len(one[-1])
                left = max(0, body.max_bytes - size)
                answers.append(one)
            answer.append((topic, answers))
        if not (over or failed or size >= body.min_bytes):
            return False
        self._call.answer(0, Code.NONE, _NO_SESSION, answer)
        return True

    def _read(self, topic: str, index: int, offset: int, bytes_max: int, *, nothing_yet: bool) -> PartitionAnswer:
        log = self._topics.partition(topic, index)
        if log is None:
            return (index, Code.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1, None, _NO_REPLICA, b"")
        stable = log.last_stable_offset
        if not log.start_offset <= offset <= log.end_offset:
            return (index, Code.OFFSET_OUT_OF_RANGE, -1, -1, log.start_offset, None, _NO_REPLICA, b"")
        below = stable if self._committed_only else log.end_offset
        data, aborted = self._slice(log, offset, bytes_max, below, nothing_yet=nothing_yet)
        return (index, Code.NONE, log.end_offset, stable, log.start_offset, aborted, _NO_REPLICA, data)

    def _slice(
        self, log: PartitionLog, offset: int, bytes_max: int, below: int, *, nothing_yet: bool
    ) -> tuple[bytes, list[tuple[int, int]] | None]:
        if offset >= below or (bytes_max <= 0 and not nothing_yet):
            return b"", [] if self._committed_only else None
        data, next_offset = log.read(offset, bytes_max, below=below, at_least_one=nothing_yet)
        if not self._committed_only:
            return data, None
        return data, [(a.producer_id, a.first_offset) for a in log.aborted_between(offset, next_offset)]
