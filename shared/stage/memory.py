"""
A broker in memory: the ports' promises without Kafka, for tests and for simulation on a virtual clock.

One `MemoryBroker` holds the logs and the groups; `connect` gives what one process would have of it, and `kill` and
`expel` take it away. Whatever waits, waits through asyncio; nothing here reads a real clock unless it is given one.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from shared.errors import HoldfastError, Retryable
from shared.events.codec import Headers
from shared.stage.assignment import Claim, assign
from shared.stage.base import Output, Record
from shared.stage.errors import OwnershipLost
from shared.stage.ports import Committed, Listener, Position

Latency = Callable[[str], float]
"""Seconds that one step of an operation takes: `fetch`, `commit`, `committed`, `send`, `transact`, `start`."""


@dataclass(slots=True)
class _Fault:
    error: HoldfastError
    after: bool


@dataclass(slots=True)
class _Log:
    """A partition: what a read_committed reader sees, and the next offset. Markers and aborted records are gaps."""

    records: list[Record] = field(default_factory=list)
    end: int = 0


class MemoryBroker:
    """
    Topics with their numbers of partitions, the groups, and the faults that are to come.

    *clock* gives records their timestamps, in unix seconds. *session_seconds* is how long a killed member stays in
    its group.
    """

    def __init__(
        self,
        partitions: Mapping[str, int],
        *,
        clock: Callable[[], float] = time.time,
        latency: Latency = lambda _: 0.0,
        session_seconds: float = 0.0,
    ) -> None:
        self.partitions = dict(partitions)
        self.session_seconds = session_seconds
        self.clock = clock
        self._latency = latency
        self._logs: dict[Position, _Log] = defaultdict(_Log)
        self._groups: dict[str, _Coordinator] = {}
        self._faults: dict[str, deque[_Fault]] = defaultdict(deque)
        self._epochs: dict[str, int] = defaultdict(int)
        self._appended: set[asyncio.Event] = set()

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
        for event in self._appended:
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

    def coordinator(self, group: str) -> "_Coordinator":
        """Internal to the clients."""
        if group not in self._groups:
            self._groups[group] = _Coordinator(self)
        return self._groups[group]

    def log(self, position: Position) -> _Log:
        """Internal to the clients."""
        return self._logs[position]

    def watch(self, event: asyncio.Event) -> None:
        """Internal to the clients: set *event* at each append."""
        self._appended.add(event)

    def unwatch(self, event: asyncio.Event) -> None:
        """Internal to the clients."""
        self._appended.discard(event)

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

    def group(self, name: str, topics: Sequence[str]) -> "MemoryGroup":
        group = MemoryGroup(self, name, topics)
        self.groups.append(group)
        return group

    def producer(self) -> "MemoryProducer":
        return MemoryProducer(self)

    def transactional_producer(self, transactional_id: str, *, group: str) -> "MemoryTransactionalProducer":
        return MemoryTransactionalProducer(self, transactional_id, group)

    def changelog(self) -> "MemoryChangelog":
        return MemoryChangelog(self)


class _Coordinator:
    """A group: its members, its generation, what it committed."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self.members: dict[str, MemoryGroup] = {}
        self.committed: dict[Position, Committed] = {}
        self.generation = 0
        self._requested = False
        self._rebalancing: asyncio.Task[None] | None = None

    def join(self, member: "MemoryGroup") -> None:
        self.members[member.member_id] = member
        self.request()

    def leave(self, member: "MemoryGroup") -> None:
        if self.members.pop(member.member_id, None) is not None:
            self.request()

    def request(self) -> None:
        self._requested = True
        if self._rebalancing is None or self._rebalancing.done():
            self._rebalancing = asyncio.create_task(self._rebalance())

    async def _rebalance(self) -> None:
        while self._requested:
            self._requested = False
            await asyncio.gather(*(member.revoke() for member in list(self.members.values()) if not member.client.dead))
            if self._requested:
                continue
            self.generation += 1
            topics = {topic for member in self.members.values() for topic in member.topics}
            tasks = range(max((self._broker.partitions[topic] for topic in topics), default=0))
            shares = assign({name: member.claim for name, member in self.members.items()}, tasks)
            for name, share in shares.items():
                self.members[name].assign(share, self.generation)


_member_ids = count()


class MemoryGroup:
    """A `Group` port."""

    def __init__(self, client: MemoryClient, name: str, topics: Sequence[str]) -> None:
        self.client = client
        self.topics = tuple(topics)
        self.member_id = f"member-{next(_member_ids)}"
        self.claim = Claim()
        self._coordinator = client.broker.coordinator(name)
        self._listener: Listener | None = None
        self._generation = 0
        self._revoked = True
        self._assigning: asyncio.Task[None] | None = None
        self._next: dict[Position, int] = {}
        self._open: set[Position] = set()
        self._paused: set[Position] = set()
        self._changed = asyncio.Event()

    async def start(self, listener: Listener) -> None:
        await self.client.step("start")
        self._listener = listener
        self.client.broker.watch(self._changed)
        self._coordinator.join(self)

    async def stop(self) -> None:
        self.client.broker.unwatch(self._changed)
        await self._stop_assigning()
        self._open.clear()
        if not self.client.dead:
            self._coordinator.leave(self)

    async def fetch(self, *, records_max: int, wait_seconds: float) -> Sequence[Record]:
        await self.client.step("fetch")
        self._rejoin()
        self._raise_failed_assignment()
        if wait_seconds <= 0:
            return self._take(records_max)
        try:
            async with asyncio.timeout(wait_seconds):
                while not (records := self._take(records_max)):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return ()
        return records

    def pause(self, positions: Iterable[Position]) -> None:
        self._paused.update(positions)

    def resume(self, positions: Iterable[Position]) -> None:
        for position in positions:
            self._paused.discard(position)
            if position in self._next:
                self._open.add(position)
        self._changed.set()

    def seek(self, position: Position, offset: int) -> None:
        if position.partition not in self.claim.tasks:
            raise OwnershipLost(f"{position} is not assigned to this member")
        self._next[position] = offset

    async def committed(self, positions: Iterable[Position]) -> dict[Position, Committed]:
        await self.client.step("committed")
        known = self._coordinator.committed
        return {position: known[position] for position in positions if position in known}

    async def commit(self, progress: Mapping[Position, Committed]) -> None:
        fault = await self.client.step("commit")
        member = self._coordinator.members.get(self.member_id) is self
        if not member or self._generation != self._coordinator.generation:
            self._rejoin()
            raise OwnershipLost("the group has gone on without this member")
        strange = [position for position in progress if position.partition not in self.claim.tasks]
        if strange:
            raise OwnershipLost(f"{strange} are not assigned to this member")
        self._coordinator.committed.update(progress)
        if fault is not None:
            raise fault.error

    async def beginning(self, positions: Iterable[Position]) -> dict[Position, int]:
        await self.client.step("committed")
        first = {}
        for position in positions:
            log = self.client.broker.log(position)
            first[position] = log.records[0].offset if log.records else log.end
        return first

    async def revoke(self) -> None:
        """The coordinator's call: ownership is in doubt."""
        if self._revoked:
            return
        self._revoked = True
        self._open.clear()
        await self._stop_assigning()
        if self._listener is not None:
            await self._listener.revoked(self.claim.tasks)

    def assign(self, tasks: frozenset[int], generation: int) -> None:
        """The coordinator's call: these are the tasks."""
        if self.client.dead or self._listener is None:
            return
        self._revoked = False
        self._generation = generation
        self.claim = Claim(tasks, generation)
        self._open.clear()
        self._paused.clear()
        self._next.clear()
        self._assigning = asyncio.create_task(_announce(self._listener, tasks))

    def silence(self) -> None:
        """The process died: the coordinator gives the member up when its session is over."""
        if self._assigning is not None:
            self._assigning.cancel()
        loop = asyncio.get_running_loop()
        loop.call_later(self.client.broker.session_seconds, self._coordinator.leave, self)

    def expel(self) -> None:
        """The coordinator gives the member up; it does not know yet."""
        self._coordinator.leave(self)

    def _rejoin(self) -> None:
        if self._listener is not None and self.member_id not in self._coordinator.members:
            self._coordinator.join(self)

    def _raise_failed_assignment(self) -> None:
        if self._assigning is not None and self._assigning.done() and not self._assigning.cancelled():
            self._assigning.result()

    async def _stop_assigning(self) -> None:
        if self._assigning is not None:
            self._assigning.cancel()
            await asyncio.wait([self._assigning])

    def _take(self, records_max: int) -> list[Record]:
        taken: list[Record] = []
        for position in sorted(self._open - self._paused):
            log = self.client.broker.log(position)
            if self._next[position] > log.end:
                # As auto.offset.reset=earliest does: the log has begun anew.
                self._next[position] = 0
            ahead = [record for record in log.records if record.offset >= self._next[position]]
            batch = ahead[: records_max - len(taken)]
            if batch:
                self._next[position] = batch[-1].offset + 1
                taken.extend(batch)
            if len(taken) == records_max:
                break
        return taken


class MemoryProducer:
    """A `Producer` port."""

    def __init__(self, client: MemoryClient) -> None:
        self._client = client

    async def start(self) -> None:
        await self._client.step("start")

    async def stop(self) -> None:
        pass

    async def send(self, outputs: Sequence[Output], partition: int) -> None:
        fault = await self._client.step("send")
        for output in outputs:
            self._client.broker.append(output, partition)
        await self._client.step("acknowledge")
        if fault is not None:
            raise fault.error


class MemoryTransactionalProducer:
    """A `TransactionalProducer` port. A transaction is one step here; what is aborted leaves its gap."""

    def __init__(self, client: MemoryClient, transactional_id: str, group: str) -> None:
        self._client = client
        self._group = group
        self._transactional_id = transactional_id
        self._epoch = 0

    async def start(self) -> None:
        await self._client.step("start")
        self._epoch = self._client.broker.next_epoch(self._transactional_id)

    async def stop(self) -> None:
        pass

    async def transact(self, outputs: Sequence[Output], partition: int, progress: Mapping[Position, Committed]) -> None:
        topics = {output.topic for output in outputs}
        try:
            fault = await self._client.step("transact")
        except Retryable:
            for topic in topics:
                self._client.broker.skip(topic, partition, offsets=1 + len(outputs))
            raise
        if self._epoch != self._client.broker.epoch(self._transactional_id):
            raise OwnershipLost(f"another producer of {self._transactional_id} was started")
        for output in outputs:
            self._client.broker.append(output, partition)
        for topic in topics:
            self._client.broker.skip(topic, partition)
        self._client.broker.coordinator(self._group).committed.update(progress)
        await self._client.step("acknowledge")
        if fault is not None:
            raise fault.error


class MemoryChangelog:
    """A `Changelog` port."""

    def __init__(self, client: MemoryClient) -> None:
        self._client = client

    async def read(self, topic: str, partition: int) -> AsyncIterator[tuple[bytes, bytes | None, Headers]]:
        await self._client.step("fetch")
        for record in list(self._client.broker.log(Position(topic, partition)).records):
            yield record.key or b"", record.value, record.headers


async def _announce(listener: Listener, tasks: frozenset[int]) -> None:
    # The listener's coroutine is made here: a task that is cancelled before it starts would leave it unawaited.
    await listener.assigned(tasks)
