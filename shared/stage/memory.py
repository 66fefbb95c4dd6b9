"""
A broker in memory: the ports' promises without Kafka, for tests and for simulation on a virtual clock.

One `MemoryBroker` holds the logs and the groups; `connect` gives what one process would have of it, and `kill` and
`expel` take it away. Whatever waits, waits through asyncio; nothing here reads a real clock unless it is given one.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import count

from shared.errors import HoldfastError
from shared.stage.base import Output, Record
from shared.stage.memory_group import Coordinator, MemoryGroup
from shared.stage.memory_producers import MemoryChangelog, MemoryProducer, MemoryTransactionalProducer
from shared.stage.ports import Committed, Position

Latency = Callable[[str], float]
"""
Seconds that one step of an operation takes: `fetch`, `commit`, `committed`, `send`, `transact`, `start`, `acknowledge`,
`rebalance`.
"""


@dataclass(slots=True)
class _Fault:
    error: HoldfastError
    after: bool


@dataclass(slots=True)
class _Log:
    """
    A partition: what a read_committed reader sees, the first offset that is kept, and the next. Markers and aborted
    records leave holes.
    """

    records: list[Record] = field(default_factory=list)
    start: int = 0
    end: int = 0


class MemoryBroker:
    """
    Topics with their numbers of partitions, the groups, and the faults that are to come.

    *clock* gives records their timestamps, in unix seconds. *session_seconds* is how long a killed member stays in
    its group, *rebalance_seconds* how long a rebalance waits for the members to let go of their tasks: whoever takes
    longer is out, and learns it at its next call.

    What the broker does by itself runs in the context that it was made in, and what it calls of a process in the
    context of that process's `connect`: a simulation tells them apart by it.
    """

    def __init__(
        self,
        partitions: Mapping[str, int],
        *,
        clock: Callable[[], float] = time.time,
        latency: Latency = lambda _: 0.0,
        session_seconds: float = 0.0,
        rebalance_seconds: float = 60.0,
    ) -> None:
        self.partitions = dict(partitions)
        self.session_seconds = session_seconds
        self.rebalance_seconds = rebalance_seconds
        self.context = copy_context()
        self.member_numbers = count()
        self.clock = clock
        self._latency = latency
        self._logs: dict[Position, _Log] = defaultdict(_Log)
        self._groups: dict[str, Coordinator] = {}
        self._faults: dict[str, deque[_Fault]] = defaultdict(deque)
        self._epochs: dict[str, int] = defaultdict(int)
        self._appended: dict[asyncio.Event, frozenset[str]] = {}

    def connect(self) -> "MemoryClient":
        """What a new process sees of this broker."""
        return MemoryClient(self)

    def records(self, topic: str, partition: int | None = None) -> list[Record]:
        """The committed records of *topic*, by partition and offset."""
        chosen = range(self.partitions[topic]) if partition is None else (partition,)
        return [record for number in chosen for record in self._logs[Position(topic, number)].records]

    def committed(self, group: str) -> dict[Position, Committed]:
        """What *group* has committed."""
        return dict(self.coordinator(group).committed)

    def append(self, output: Output, partition: int) -> int:
        """Write a record, as a client elsewhere would; returns its offset."""
        position = Position(output.topic, partition)
        log = self._logs[position]
        offset = log.end
        log.end += 1
        stamp = round(self.clock() * 1000)
        log.records.append(Record(output.topic, partition, offset, stamp, output.key, output.value, output.headers))
        for event, topics in self._appended.items():
            if output.topic in topics:
                event.set()
        return offset

    def skip(self, topic: str, partition: int, offsets: int = 1) -> None:
        """Leave a gap of *offsets* in a log, as a transaction's marker or aborted records do."""
        self._logs[Position(topic, partition)].end += offsets

    def compact(self, topic: str) -> None:
        """Keep only the last record of each key, as the log cleaner does."""
        for partition in range(self.partitions[topic]):
            log = self._logs[Position(topic, partition)]
            last = {record.key: record for record in log.records}
            log.records = [record for record in log.records if last[record.key] is record]

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Let a log begin at the offset *before*, as retention does."""
        log = self._logs[Position(topic, partition)]
        log.start = max(log.start, min(before, log.end))
        log.records = [record for record in log.records if record.offset >= log.start]

    def recreate(self, topic: str) -> None:
        """Delete *topic* and create it anew, empty."""
        for partition in range(self.partitions[topic]):
            self._logs[Position(topic, partition)] = _Log()

    def fail(self, operation: str, error: HoldfastError, *, times: int = 1, after: bool = False) -> None:
        """The next *times* calls of *operation* raise *error*, before their effect or after it."""
        self._faults[operation].extend(_Fault(error, after) for _ in range(times))

    def rebalance(self, group: str) -> None:
        """Let *group* assign anew, though nobody came or went."""
        self.coordinator(group).request()

    def coordinator(self, group: str) -> Coordinator:
        """Internal to the clients."""
        if group not in self._groups:
            self._groups[group] = Coordinator(self)
        return self._groups[group]

    def log(self, position: Position) -> _Log:
        """Internal to the clients."""
        return self._logs[position]

    def watch(self, event: asyncio.Event, topics: Iterable[str]) -> None:
        """Internal to the clients: set *event* at each append to one of *topics*."""
        self._appended[event] = frozenset(topics)

    def unwatch(self, event: asyncio.Event) -> None:
        """Internal to the clients."""
        self._appended.pop(event, None)

    def commit(self, group: str, progress: Mapping[Position, Committed]) -> None:
        """Internal to the clients: *progress* of *group* is committed."""
        self.coordinator(group).committed.update(progress)

    def next_epoch(self, transactional_id: str) -> int:
        """Internal to the clients: fence every former producer of *transactional_id*."""
        self._epochs[transactional_id] += 1
        return self._epochs[transactional_id]

    def epoch(self, transactional_id: str) -> int:
        """Internal to the clients."""
        return self._epochs[transactional_id]

    async def step(self, operation: str) -> _Fault | None:
        """
        Internal to the clients: let time pass, and raise the fault that is due before the effect, or tell the one
        after.
        """
        await asyncio.sleep(self._latency(operation))
        if not self._faults[operation]:
            return None
        fault = self._faults[operation].popleft()
        if not fault.after:
            raise fault.error
        return fault


class MemoryClient:
    """A `Broker` port: one process's connection."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.dead = False
        self.context = copy_context()
        self.groups: list[MemoryGroup] = []

    def kill(self) -> None:
        """
        The process is gone without a word: nothing it does has an effect any more, and its groups find out in time.
        """
        self.dead = True
        for group in self.groups:
            group.silence()

    def expel(self) -> None:
        """
        Its groups give this process up, though it lives (it was slow, or cut off); it learns at its next call and
        rejoins.
        """
        for group in self.groups:
            group.expel()

    async def step(self, operation: str) -> _Fault | None:
        """Let time pass; a dead process's calls never return."""
        fault = await self.broker.step(operation)
        if self.dead:
            await asyncio.Event().wait()
        return fault

    def group(self, name: str, topics: Sequence[str]) -> MemoryGroup:
        group = MemoryGroup(self, name, topics)
        self.groups.append(group)
        return group

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self)

    def transactional_producer(self, transactional_id: str, *, group: str) -> MemoryTransactionalProducer:
        return MemoryTransactionalProducer(self, transactional_id, group)

    def changelog(self) -> MemoryChangelog:
        return MemoryChangelog(self)
