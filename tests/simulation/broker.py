"""
The broker in memory with everything that may go wrong between it and a process, drawn from a seed.

Every step of an operation takes time; a step may fail before its effect, or after it, so that its answer is lost; the
broker may stand still for a while. What happens is noted in the trace and told to the watcher, who judges it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from shared.errors import HoldfastError, Retryable
from shared.stage.base import Output, Record
from shared.stage.errors import OwnershipLost
from shared.stage.memory import MemoryBroker, MemoryClient, _Fault
from shared.stage.memory_group import MemoryGroup
from shared.stage.memory_producers import MemoryProducer, MemoryTransactionalProducer
from shared.stage.ports import Committed, Position
from tests.simulation.loop import PROCESS
from tests.simulation.plan import Weather
from tests.simulation.trace import Trace
from tests.simulation.watcher import Watcher

_ABORTED = (lambda: Retryable("the transaction was aborted"), False)
_NOT_NOW = (lambda: Retryable("not now"), False)
_UNHEARD = (lambda: Retryable("the answer was lost"), True)
_LOST = (lambda: OwnershipLost("the membership is void"), False)
FAULTS: Mapping[str, Sequence[tuple[Callable[[], HoldfastError], bool]]] = {
    "start": (_NOT_NOW,),
    "fetch": (_NOT_NOW, _NOT_NOW, _LOST),
    "committed": (_NOT_NOW,),
    "commit": (_NOT_NOW, _UNHEARD, _LOST),
    "send": (_NOT_NOW, _UNHEARD),
    "transact": (
        _ABORTED,
        (lambda: OwnershipLost("the connection broke before the commit"), False),
        (lambda: OwnershipLost("the connection broke after the commit"), True),
        (lambda: HoldfastError("the client broke after the commit"), True),
    ),
}
REBALANCE_SECONDS_MAX = 0.3
"""Between the last member's letting go and the assignment: what joining and syncing take."""


class SimulatedBroker(MemoryBroker):
    """*weather* tells how often what fails, *chance* draws it."""

    def __init__(
        self,
        partitions: Mapping[str, int],
        loop: asyncio.AbstractEventLoop,
        chance: Random,
        weather: Weather,
        trace: Trace,
        watcher: Watcher,
    ) -> None:
        super().__init__(
            partitions,
            clock=loop.time,
            latency=self._draw_latency,
            session_seconds=weather.session_seconds,
            rebalance_seconds=weather.session_seconds,
        )
        self.chance = chance
        self.weather = weather
        self.trace = trace
        self.watcher = watcher
        self.listeners: list[Callable[[Record], None]] = []
        self._open = asyncio.Event()
        self._open.set()

    def connect(self) -> "SimulatedClient":
        return SimulatedClient(self)

    def pause(self) -> None:
        """Stand still until `go_on`."""
        self.trace.note("broker", "pauses")
        self._open.clear()

    def go_on(self) -> None:
        """Answer again."""
        self.trace.note("broker", "goes on")
        self._open.set()

    def append(self, output: Output, partition: int) -> int:
        offset = super().append(output, partition)
        record = self._logs[Position(output.topic, partition)].records[-1]
        self.trace.note("append", f"{_place(record)} {_shown(record)}")
        self.watcher.appended(record, PROCESS.get())
        for listener in self.listeners:
            listener(record)
        return offset

    def commit(self, group: str, progress: Mapping[Position, Committed]) -> None:
        super().commit(group, progress)
        told = sorted((p.topic, p.partition, c.offset, c.metadata) for p, c in progress.items())
        self.trace.note("commit", f"{group} " + " ".join(f"{t}/{p}@{o}{'+' + m if m else ''}" for t, p, o, m in told))
        self.watcher.committed(group, progress, PROCESS.get())

    def next_epoch(self, transactional_id: str) -> int:
        epoch = super().next_epoch(transactional_id)
        self.trace.note("fence", f"{transactional_id} epoch {epoch}")
        return epoch

    async def step(self, operation: str) -> _Fault | None:
        await asyncio.sleep(self._latency(operation))
        while not self._open.is_set():
            await self._open.wait()
        faults = FAULTS.get(operation)
        if not faults or self.chance.random() >= self.weather.fault_rate:
            return None
        make, after = self.chance.choice(faults)
        error = make()
        self.trace.note("fault", f"{operation}: {error}")
        if not after:
            raise error
        return _Fault(error, after)

    def _draw_latency(self, operation: str) -> float:
        if operation == "fetch":
            return 0.0
        if operation == "rebalance":
            return REBALANCE_SECONDS_MAX * self.chance.random()
        draw = self.chance.random()
        if draw < self.weather.slow_rate:
            return self.weather.slow_seconds * self.chance.random()
        return 0.004 * draw


class SimulatedClient(MemoryClient):
    """One process's connection; `journals` is where its ledger writes down what each open task applied."""

    broker: SimulatedBroker

    def __init__(self, broker: SimulatedBroker) -> None:
        super().__init__(broker)
        self.process = PROCESS.get()
        self.journals: dict[int, list[Any]] = {}

    def group(self, name: str, topics: Sequence[str]) -> "SimulatedGroup":
        group = SimulatedGroup(self, name, topics)
        self.groups.append(group)
        return group

    def producer(self) -> "SimulatedProducer":
        return SimulatedProducer(self)

    def transactional_producer(self, transactional_id: str, *, group: str) -> "SimulatedTransactionalProducer":
        return SimulatedTransactionalProducer(self, transactional_id, group)


class SimulatedGroup(MemoryGroup):
    """A membership whose fetches may be overtaken by a rebalance: their records come late."""

    client: SimulatedClient

    async def fetch(self, *, records_max: int, wait_seconds: float) -> Sequence[Record]:
        records = await super().fetch(records_max=records_max, wait_seconds=wait_seconds)
        broker = self.client.broker
        if records and broker.chance.random() < broker.weather.slow_rate:
            await asyncio.sleep(broker.weather.slow_seconds * broker.chance.random())
        broker.watcher.fetched(records, PROCESS.get())
        return records

    async def commit(self, progress: Mapping[Position, Committed]) -> None:
        self.client.broker.watcher.commits(self.client, progress)
        await super().commit(progress)

    def assign(self, tasks: frozenset[int], generation: int) -> None:
        if not self.client.dead:
            self.client.broker.trace.note("assign", f"{self.client.process} {sorted(tasks)} generation {generation}")
            self.client.broker.watcher.opened(self.client.process, tasks - self.claim.tasks)
        super().assign(tasks, generation)


class SimulatedProducer(MemoryProducer):
    """Tells the watcher what is acknowledged to whom."""

    _client: SimulatedClient

    async def send(self, outputs: Sequence[Output], partition: int) -> None:
        await super().send(outputs, partition)
        self._client.broker.watcher.acknowledged(self._client, outputs, partition)


class SimulatedTransactionalProducer(MemoryTransactionalProducer):
    """Knows which inputs the ledger applied for the transaction under way."""

    _client: SimulatedClient

    def __init__(self, client: SimulatedClient, transactional_id: str, group: str) -> None:
        super().__init__(client, transactional_id, group)
        self._journal: list[Any] = []
        self._sealed: Sequence[Output] | None = None
        self._entries: list[Any] = []

    async def start(self) -> None:
        await super().start()
        self._journal = self._client.journals[int(self._transactional_id.rpartition(".")[2])] = []

    async def transact(self, outputs: Sequence[Output], partition: int, progress: Mapping[Position, Committed]) -> None:
        # Nothing was applied between the sealing of these outputs and this call; at a repetition, much may have been.
        if outputs is not self._sealed:
            self._sealed = outputs
            self._entries, self._journal[:] = list(self._journal), []
        await super().transact(outputs, partition, progress)

    def _take_effect(self, outputs: Sequence[Output], partition: int, progress: Mapping[Position, Committed]) -> None:
        super()._take_effect(outputs, partition, progress)
        self._client.broker.watcher.transacted(partition, tuple(self._entries), tuple(outputs), dict(progress))


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"


def _shown(record: Record) -> str:
    headers = dict(record.headers)
    told = [headers.get(name, b"").decode(errors="replace")[:36] for name in ("ce_type", "ce_id")]
    key = (record.key or b"-").decode(errors="replace")[:30]
    with suppress(KeyError):
        told.append(headers["x-holdfast-reason"].decode())
    return " ".join((key, *told, f"{len(record.value)} bytes" if record.value is not None else "tombstone"))
