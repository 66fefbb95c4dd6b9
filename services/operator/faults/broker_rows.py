"""
Faults of the brokers.
"""

import asyncio

import psutil

from services.operator.faults.world import Row, World

DOWN_SECONDS = 10.0
PAUSE_SECONDS = 20.0
BETWEEN_SECONDS = 20.0


async def kill_brokers(world: World) -> None:
    """One of three nodes after the other dies and comes back."""
    while await world.wait(5.0):
        await world.monkey.kill_node(world.nodes, down_seconds=DOWN_SECONDS)
        if not await world.wait(BETWEEN_SECONDS):
            return


async def pause_brokers(world: World) -> None:
    """A node stops for longer than its session, its connections open, and goes on."""
    while await world.wait(5.0):
        node = world.source.choice(world.nodes.numbers)
        world.monkey.note("pause of a broker", f"node {node}")
        await asyncio.to_thread(world.nodes.pause, node)
        await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.to_thread(world.nodes.resume, node)
        if not await world.wait(BETWEEN_SECONDS):
            return


async def fill_disk(world: World) -> None:
    """
    A node can write no further, as on a full disk, gives up and is started again with room.

    The limit on its files is the process's own (RLIMIT_FSIZE): what it writes beyond meets an input/output error.
    """
    if not await world.wait(5.0):
        return
    node = world.source.choice(world.nodes.numbers)
    pid = next(status.pid for status in world.nodes.status() if status.node == node)
    if pid is None:
        world.broken.append(f"node {node} was not running")
        return
    world.monkey.note("full disk of a broker", f"node {node}")
    psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (4_096, 4_096))
    await world.wait(DOWN_SECONDS)
    alive = psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    world.figures["the node"] = "stays, without its log" if alive else "stops by itself"
    await asyncio.to_thread(world.nodes.kill, node)
    await asyncio.to_thread(world.nodes.start, node)


ROWS = (
    Row(
        "broker-kill",
        "kill -9 of one of three brokers every 30 s",
        kill_brokers,
        exact=False,
    ),
    Row(
        "broker-pause",
        "SIGSTOP of a broker for 20 s",
        pause_brokers,
        exact=False,
    ),
    Row(
        "broker-disk-full",
        "a broker cannot write any more",
        fill_disk,
        exact=False,
    ),
)
