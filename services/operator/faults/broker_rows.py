"""
Faults of the brokers.
"""

import asyncio
import itertools

import psutil

from services.operator.faults.replicas import catch_up
from services.operator.faults.world import Row, World

DOWN_SECONDS = 10.0
PAUSE_SECONDS = 20.0
BETWEEN_SECONDS = 20.0
AWAY_SECONDS = 8.0
RECONNECT_SECONDS_MAX = 30.0


async def kill_brokers(world: World) -> None:
    """One of three nodes after the other dies, comes back, and catches up."""
    while await world.wait(5.0):
        await world.monkey.kill_node(world.nodes, down_seconds=DOWN_SECONDS)
        await catch_up(world)
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
    known = await asyncio.to_thread(world.nodes.status)
    pid = next(status.pid for status in known if status.node == node)
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


async def start_without_brokers(world: World) -> None:
    """Processes are started while no broker answers, and must come to work once one does."""
    if not await world.wait(5.0):
        return
    for node in world.nodes.numbers:
        await asyncio.to_thread(world.nodes.pause, node)
    world.monkey.note("no broker answers", "all nodes")
    for name in ("conversations-1", "matcher-1", "reasoner-1", "verifier-1"):
        await world.monkey.kill(world.stack.services.members[name])
    await asyncio.sleep(AWAY_SECONDS)
    for node in world.nodes.numbers:
        await asyncio.to_thread(world.nodes.resume, node)


async def rotate_certificates(world: World) -> None:
    """
    New certificates of another authority: brokers take them up in a rolling restart, then services in another.
    """
    certificates = world.stack.certificates
    if certificates is None:
        world.broken.append("this stack has no certificates to rotate")
        return
    if not await world.wait(5.0):
        return
    await asyncio.to_thread(certificates.issue, world.nodes)
    for node in world.nodes.numbers:
        world.monkey.note("new certificate of a broker", f"node {node}")
        await asyncio.to_thread(world.nodes.stop, node)
        await asyncio.to_thread(world.nodes.start, node)
        await catch_up(world)
    for member in list(world.stack.services.members.values()):
        if (code := await world.monkey.replace_politely(member)) != 0:
            world.broken.append(f"{member.name} left with exit code {code} after SIGTERM")
    world.figures["certificates issued"] = str(certificates.issued)


async def silence_was_short(world: World) -> None:
    """While certificates were exchanged, turns never stopped ending for longer than clients may take to reconnect."""
    closed = sorted(exchange.closed_ms / 1000 for exchange in world.watch.exchanges.values())
    gaps = [after - before for before, after in itertools.pairwise(closed)]
    longest = max(gaps, default=0.0)
    world.figures["longest silence"] = f"{longest:.1f} s"
    if longest > RECONNECT_SECONDS_MAX:
        world.broken.append(f"no turn ended for {longest:.0f} s, more than {RECONNECT_SECONDS_MAX:g} s")


ROWS = (
    Row(
        "broker-kill",
        "kill -9 of a broker for 10 s, again once it has caught up",
        kill_brokers,
        exact=False,
        volumes=5,
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
    Row(
        "broker-away",
        "processes started while no broker answers",
        start_without_brokers,
        exact=False,
    ),
    Row(
        "certificates",
        "over mTLS; brokers' and services' certificates replaced",
        rotate_certificates,
        judge=silence_was_short,
        tls=True,
        exact=False,
    ),
)
