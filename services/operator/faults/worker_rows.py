"""
Faults of the services' processes, and of what they run on.
"""

import asyncio
import contextlib
import signal
import time

import psutil

from services.operator.adapters.fleet import Member
from services.operator.adapters.monkey import FELL
from services.operator.faults.world import Row, World

PAUSE_SECONDS = 12.0
"""Longer than a group's session in these runs: whoever wakes is a zombie that others have replaced."""
STORM_PAUSE_SECONDS = 2.0
HANGING_SCRAPES = 64
STARVED_SECONDS = 15.0
SLICE_SECONDS = 0.2
"""Of which a starved process runs for a tenth."""


async def kill_workers(world: World) -> None:
    """A process dies every 2 to 5 s."""
    await world.monkey.kill_for(world.over, least_seconds=2.0, most_seconds=5.0)


async def pause_workers(world: World) -> None:
    """A process stops until others have its tasks, and wakes up believing that it owns them."""
    while await world.wait(3.0):
        member = _victim(world)
        world.monkey.note("SIGSTOP", member.name)
        member.send(signal.SIGSTOP)
        await world.wait(PAUSE_SECONDS)
        member.send(signal.SIGCONT)


async def roll(world: World) -> None:
    """Every process is told to stop, drains, and is replaced, one after another."""
    while await world.wait(1.0):
        for member in list(world.stack.services.members.values()):
            codes = await world.monkey.replace_politely(member)
            if codes != 0:
                world.broken.append(f"{member.name} left with exit code {codes} after SIGTERM")
            if not await world.wait(5.0):
                return


async def storm(world: World) -> None:
    """A member leaves or joins every 2 s."""
    while not world.over.is_set():
        await world.monkey.storm(seconds=10.0, pause_seconds=STORM_PAUSE_SECONDS)


async def starve_memory(world: World) -> None:
    """A process gets no more memory than it has; where it cannot do without it ends, and is started again."""
    while await world.wait(5.0):
        member = _victim(world)
        if member.process is None:
            continue
        world.monkey.note("memory limit", member.name)
        process = psutil.Process(member.process.pid)
        limit = process.memory_info().vms
        process.rlimit(psutil.RLIMIT_AS, (limit, psutil.RLIM_INFINITY))
        await world.wait(10.0)
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended for want of memory
            process.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    world.figures["ended for want of memory"] = str(sum(fault.kind == FELL for fault in world.monkey.faults))


async def starve_cpu(world: World) -> None:
    """One process after another gets a tenth of a core, in slices, for as long as a rebalance would need to notice."""
    while await world.wait(3.0):
        member = _victim(world)
        world.monkey.note("a tenth of a core", member.name)
        until = time.monotonic() + STARVED_SECONDS
        while time.monotonic() < until and not world.over.is_set() and member.alive:
            member.send(signal.SIGSTOP)
            await asyncio.sleep(0.9 * SLICE_SECONDS)
            member.send(signal.SIGCONT)
            await asyncio.sleep(0.1 * SLICE_SECONDS)


async def hang_scrapes(world: World) -> None:
    """Scrapes of the metrics that are begun and never read."""
    ports = [int(m.environ["HOLDFAST_TELEMETRY_PORT"]) for m in world.stack.services.members.values()]
    writers = []
    for _ in range(HANGING_SCRAPES):
        _, writer = await asyncio.open_connection("127.0.0.1", world.source.choice(ports))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        writers.append(writer)
    await world.over.wait()
    for writer in writers:
        writer.close()


def _victim(world: World) -> Member:
    return world.source.choice([m for m in world.stack.services.members.values() if m.alive])


ROWS = (
    Row("worker-kill", "kill -9 of a service process every 2–5 s", kill_workers, exact=False, volumes=5),
    Row("worker-pause", "SIGSTOP of a service process for 12 s", pause_workers, exact=False),
    Row("rolling-sigterm", "every process told to stop and replaced, in turn", roll, exact=False),
    Row("rebalance-storm", "a member leaves or joins every 2 s", storm, exact=False),
    Row("memory-limit", "processes that get no more memory", starve_memory, exact=False),
    Row("cpu-starved", "a tenth of a core for a process, 15 s each", starve_cpu, exact=False, expires=True),
    Row("scrapes-hang", "scrapes that are never read", hang_scrapes),
)
