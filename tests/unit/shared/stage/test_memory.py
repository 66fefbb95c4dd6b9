"""The consumer groups of the broker in memory, where the ports leave them a choice."""

import asyncio

import pytest

from shared.stage.errors import OwnershipLost
from shared.stage.memory import MemoryBroker
from shared.stage.ports import Committed, Position

REBALANCE_SECONDS = 2.0


class Member:
    """Lets go of its tasks after `seconds`; notes what it is told."""

    def __init__(self, broker, seconds=0.0):
        self.group = broker.connect().group("g", ["in"])
        self.seconds = seconds
        self.told = []

    async def revoked(self, tasks):  # noqa: ARG002
        self.told.append("revoked")
        await asyncio.sleep(self.seconds)
        self.told.append("let go")

    async def assigned(self, tasks):
        self.told.append(tasks)

    async def join(self):
        await self.group.start(self)
        await asyncio.sleep(0.1)


def world():
    return MemoryBroker({"in": 2}, clock=asyncio.get_running_loop().time, rebalance_seconds=REBALANCE_SECONDS)


def test_a_member_that_does_not_let_go_in_time_is_out_until_it_comes_back(virtual):
    async def scenario():
        broker = world()
        slow, other = Member(broker, seconds=60), Member(broker)
        await slow.join()
        await other.join()
        assert other.told == []
        await asyncio.sleep(REBALANCE_SECONDS)
        assert other.told == [frozenset({0, 1})]
        with pytest.raises(OwnershipLost):
            await slow.group.commit({Position("in", 0): Committed(1)})
        await asyncio.sleep(50)
        assert await slow.group.fetch(records_max=1, wait_seconds=0) == []
        assert slow.told[-1] == "revoked", "it is told one thing at a time"
        await asyncio.sleep(10)
        await slow.group.fetch(records_max=1, wait_seconds=0)
        await asyncio.sleep(1)
        assert {*slow.told[-1], *other.told[-1]} == {0, 1}

    virtual(scenario())


def test_a_member_that_has_left_is_told_nothing_more_and_does_not_come_back(virtual):
    """Not even where it was just letting go, or commits once more: a ghost would keep tasks that nobody works."""

    async def scenario():
        broker = world()
        leaving, other = Member(broker, seconds=1), Member(broker)
        await leaving.join()
        await other.join()
        assert leaving.told[-1] == "revoked"
        await leaving.group.stop()
        await asyncio.sleep(5)
        assert leaving.told[-1] == "revoked"
        with pytest.raises(OwnershipLost):
            await leaving.group.commit({Position("in", 0): Committed(1)})
        await asyncio.sleep(5)
        assert list(broker.coordinator("g").members.values()) == [other.group]
        assert other.told[-1] == frozenset({0, 1})

    virtual(scenario())
