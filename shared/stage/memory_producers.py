"""
Producers of the broker in memory, and its changelog.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from shared.errors import Retryable
from shared.events.codec import Headers
from shared.stage.base import Output
from shared.stage.errors import OwnershipLost
from shared.stage.ports import Committed, Position

if TYPE_CHECKING:
    from shared.stage.memory import MemoryClient


class MemoryProducer:
    """A `Producer` port."""

    def __init__(self, client: "MemoryClient") -> None:
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

    def __init__(self, client: "MemoryClient", transactional_id: str, group: str) -> None:
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
        try:
            fault = await self._client.step("transact")
        except Retryable:
            for topic in {output.topic for output in outputs}:
                self._client.broker.skip(topic, partition, offsets=1 + len(outputs))
            raise
        if self._epoch != self._client.broker.epoch(self._transactional_id):
            raise OwnershipLost(f"another producer of {self._transactional_id} was started")
        self._take_effect(outputs, partition, progress)
        await self._client.step("acknowledge")
        if fault is not None:
            raise fault.error

    def _take_effect(self, outputs: Sequence[Output], partition: int, progress: Mapping[Position, Committed]) -> None:
        broker = self._client.broker
        for output in outputs:
            broker.append(output, partition)
        for topic in {output.topic for output in outputs}:
            broker.skip(topic, partition)
        broker.commit(self._group, progress)


class MemoryChangelog:
    """A `Changelog` port."""

    def __init__(self, client: "MemoryClient") -> None:
        self._client = client

    async def read(self, topic: str, partition: int) -> AsyncIterator[tuple[bytes, bytes | None, Headers]]:
        await self._client.step("fetch")
        for record in list(self._client.broker.log(Position(topic, partition)).records):
            yield record.key or b"", record.value, record.headers
