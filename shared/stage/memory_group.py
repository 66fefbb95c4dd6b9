"""
Consumer groups of the broker in memory.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from shared.stage.assignment import Claim, assign
from shared.stage.base import Record
from shared.stage.errors import OwnershipLost
from shared.stage.ports import Committed, Gap, Listener, Position

if TYPE_CHECKING:
    from shared.stage.memory import MemoryBroker, MemoryClient


class Coordinator:
    """A group: its members, its generation, what it committed."""

    def __init__(self, broker: "MemoryBroker") -> None:
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
            self._rebalancing = asyncio.create_task(self._rebalance(), context=self._broker.context)

    async def _rebalance(self) -> None:
        while self._requested:
            self._requested = False
            await self._revoke()
            await self._broker.step("rebalance")
            if self._requested:
                continue
            self.generation += 1
            topics = {topic for member in self.members.values() for topic in member.topics}
            tasks = range(max((self._broker.partitions[topic] for topic in topics), default=0))
            shares = assign({name: member.claim for name, member in self.members.items()}, tasks)
            for name, share in shares.items():
                self.members[name].assign(share, self.generation)

    async def _revoke(self) -> None:
        """Let every member that lives let go of its tasks; who takes too long is out."""
        revoking = {member.begin_revoking(): member for member in self.members.values() if not member.client.dead}
        if not revoking:
            return
        _, late = await asyncio.wait(revoking, timeout=self._broker.rebalance_seconds)
        for task, member in revoking.items():
            if task in late:
                self.members.pop(member.member_id, None)
            elif not task.cancelled():
                task.result()


class MemoryGroup:
    """A `Group` port."""

    def __init__(self, client: "MemoryClient", name: str, topics: Sequence[str]) -> None:
        self.client = client
        self.topics = tuple(topics)
        self.member_id = f"member-{next(client.broker.member_numbers):06}"
        self.claim = Claim()
        self._name = name
        self._coordinator = client.broker.coordinator(name)
        self._listener: Listener | None = None
        self._generation = 0
        self._revoked = True
        self._assigning: asyncio.Task[None] | None = None
        self._revoking: asyncio.Task[None] | None = None
        self._next: dict[Position, int] = {}
        self._open: set[Position] = set()
        self._paused: set[Position] = set()
        self._changed = asyncio.Event()

    async def start(self, listener: Listener) -> None:
        await self.client.step("start")
        self._listener = listener
        self.client.broker.watch(self._changed, self.topics)
        self._coordinator.join(self)

    async def stop(self) -> None:
        self.client.broker.unwatch(self._changed)
        # Who has left is told nothing more, and does not come back.
        self._listener = None
        await _stop(self._revoking)
        await _stop(self._assigning)
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
        self.client.broker.commit(self._name, progress)
        if fault is not None:
            raise fault.error

    async def beginning(self, positions: Iterable[Position]) -> dict[Position, int]:
        await self.client.step("committed")
        return {position: self.client.broker.log(position).start for position in positions}

    def begin_revoking(self) -> asyncio.Task[None]:
        """The coordinator's call: ownership is in doubt."""
        self._revoking = asyncio.create_task(_revoke(self), context=self.client.context)
        return self._revoking

    async def revoke(self) -> None:
        """Tell the listener, once, that ownership is in doubt."""
        if self._revoked:
            return
        self._revoked = True
        self._open.clear()
        await _stop(self._assigning)
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
        self._assigning = asyncio.create_task(_announce(self._listener, tasks), context=self.client.context)

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
        if self._revoking is not None and not self._revoking.done():
            return  # the listener is told one thing at a time
        if self._listener is not None and self.member_id not in self._coordinator.members:
            self._coordinator.join(self)

    def _raise_failed_assignment(self) -> None:
        if self._assigning is not None and self._assigning.done() and not self._assigning.cancelled():
            self._assigning.result()

    def _take(self, records_max: int) -> list[Record]:
        taken: list[Record] = []
        for position in sorted(self._open - self._paused):
            log = self.client.broker.log(position)
            if not log.start <= self._next[position] <= log.end:
                gap = Gap(position, self._next[position], log.start)
                self._next[position] = log.start
                if self._listener is not None:
                    self._listener.missed(gap)
            ahead = [record for record in log.records if record.offset >= self._next[position]]
            batch = ahead[: records_max - len(taken)]
            if batch:
                self._next[position] = batch[-1].offset + 1
                taken.extend(batch)
            if len(taken) == records_max:
                break
        return taken


async def _stop(telling: asyncio.Task[None] | None) -> None:
    if telling is not None:
        telling.cancel()
        await asyncio.wait([telling])


async def _revoke(member: MemoryGroup) -> None:
    # As for an assignment: a task that never begins must leave no coroutine unawaited.
    await member.revoke()


async def _announce(listener: Listener, tasks: frozenset[int]) -> None:
    # The listener's coroutine is made here: a task that is cancelled before it starts would leave it unawaited.
    await listener.assigned(tasks)
