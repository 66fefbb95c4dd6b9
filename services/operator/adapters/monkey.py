"""
The chaos monkey: kills service processes and broker nodes at moments drawn from a seed, and starts them again.
"""

import asyncio
import random
import signal
import time
from dataclasses import dataclass, field

from services.operator.adapters.fleet import Fleet, Member
from shared.broker.local import LocalKafka

SUPERVISE_SECONDS = 0.5
FELL = "fell by itself"


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, to whom, and when (unix seconds)."""

    kind: str
    victim: str
    at_seconds: float


@dataclass(slots=True)
class Monkey:
    """Acts on a fleet; keeps a log of its faults."""

    fleet: Fleet
    source: random.Random
    faults: list[Fault] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)

    async def kill_one(self) -> Fault:
        """SIGKILL a process drawn at random, and start it again at once, as a supervisor would."""
        fault, _ = await self._replace(self._victim(), signal.SIGKILL, "kill -9")
        return fault

    async def kill_for(self, stop: asyncio.Event, *, least_seconds: float, most_seconds: float) -> None:
        """Kill one process after another, *least* to *most* seconds apart, until *stop*."""
        while not await _stopped(stop, self.source.uniform(least_seconds, most_seconds)):
            await self.kill_one()

    async def supervise(self) -> None:
        """Start again, as a cluster would, whatever ends by itself; each time is kept among the faults as a fall."""
        while True:
            for member in self.fleet.fallen():
                if member.name not in self._busy:
                    self.faults.append(Fault(FELL, member.name, time.time()))
                    await member.start()
            await asyncio.sleep(SUPERVISE_SECONDS)

    async def storm(self, *, seconds: float, pause_seconds: float) -> None:
        """A rebalance storm: members leave politely (SIGTERM) and come back, one after another."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._replace(self._victim(), signal.SIGTERM, "rolling SIGTERM")
            await asyncio.sleep(pause_seconds)

    async def replace_politely(self, member: Member) -> int:
        """SIGTERM one process and start it again once it has gone; its exit code."""
        _, code = await self._replace(member, signal.SIGTERM, "rolling SIGTERM")
        return code

    async def kill(self, member: Member) -> None:
        """SIGKILL one process and start it again at once."""
        await self._replace(member, signal.SIGKILL, "kill -9")

    def note(self, kind: str, victim: str) -> None:
        """Keep a fault that somebody else commits."""
        self.faults.append(Fault(kind, victim, time.time()))

    async def kill_node(self, nodes: LocalKafka, *, down_seconds: float) -> Fault:
        """SIGKILL a broker node drawn at random and start it again after *down_seconds*."""
        node = self.source.choice(nodes.numbers)
        fault = Fault("kill -9 of a broker", f"node {node}", time.time())
        self.faults.append(fault)
        await asyncio.to_thread(nodes.kill, node)
        await asyncio.sleep(down_seconds)
        await asyncio.to_thread(nodes.start, node)
        return fault

    def _victim(self) -> Member:
        return self.source.choice(
            [one for one in self.fleet.members.values() if one.alive and one.name not in self._busy]
        )

    async def _replace(self, member: Member, number: signal.Signals, kind: str) -> tuple[Fault, int]:
        fault = Fault(kind, member.name, time.time())
        self.faults.append(fault)
        self._busy.add(member.name)
        member.send(number)
        code = await member.wait()
        await member.start()
        self._busy.discard(member.name)
        return fault, code


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
