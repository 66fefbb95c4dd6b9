"""
A rolling upgrade under load, and its way back: processes of a former release are replaced one by one by those of this
one, then these by the former ones, while turns, approvals and grants are in flight.
"""

import asyncio
import io
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid5

import httpx

from services.operator.adapters.effects import EffectsPlan, effects_playbook
from services.operator.adapters.fleet import Member
from services.operator.adapters.playbooks import publish_playbook
from services.operator.adapters.publisher import Publisher, event
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.stack import listening, ready
from services.operator.faults.post import AGENT, TENANTS, LoadPlan, Post, message
from services.operator.faults.world import Row, World
from shared.broker.local import free_port_base
from shared.errors import Fatal
from shared.events import topics
from shared.events.codec import encode
from shared.events.conversation import ApprovalGiven, ApprovalRequested
from shared.events.envelope import Address

NAME = "release-upgrade"
FORMER = "b4274e3"
"""The last commit at which approvals and verified replies came on topics that others write to as well."""
ORDER = ("conversations", "verifier", "reasoner", "matcher")
"""The ledger first: it reads all that the former release writes, and that one does not read all that this one does."""
TRANSITION = {
    "HOLDFAST_CONVERSATIONS_VERIFIED_FROM_FINISHED": "true",
    "HOLDFAST_CONVERSATIONS_APPROVALS_FROM_EVENTS": "true",
}
ENVIRON = {"HOLDFAST_OUTGOING_PRIVATE_HOSTS": "127.0.0.1:*"}
ASKING, FREE = TENANTS
"""The tenant whose calls a person must allow, and the one whose calls are granted at once."""
REPOSITORY = Path(__file__).parents[3]
PAUSE_SECONDS = 2.0
READY_SECONDS_MAX = 60.0
POLL_SECONDS = 0.1
DECIDED_SECONDS_MAX = 60.0
DONE_SECONDS = 5.0
KNOWN_SECONDS = 3.0
"""Until every process has read of a new playbook."""
RATE_MAX = 15.0
CALLS_A_TURN_MAX = 8.0
"""Of all the legs of a turn."""
FIRST_ORDER = 100_000
_EVENTS = UUID("6f1c7a52-3d0e-4b7e-9a3c-0d5b7e2f9c11")


def is_known(release: str) -> bool:
    """Whether the repository's history holds *release*; a distribution has none."""
    found = _git("rev-parse", "--verify", "--quiet", f"{release}^{{commit}}")
    return found.returncode == 0


def row(release: str = FORMER) -> Row:
    """The row that begins with the processes of *release*, a commit."""
    return Row(
        NAME,
        f"processes of {release} replaced one by one, and back",
        _roll,
        load=_orders,
        prepare=_prepare,
        judge=_judge,
        environ=ENVIRON,
        environ_of=partial(_former, release),
        exact=False,
        rate_max=RATE_MAX,
        calls_a_turn_max=CALLS_A_TURN_MAX,
    )


def _former(release: str, folder: Path, _name: str) -> Mapping[str, str]:
    """What lets a process run the code of *release*, which is put below *folder* once."""
    code = folder / "release"
    if not code.exists():
        packed = _git("archive", "--format=tar", release, "services", "shared")
        if packed.returncode != 0:
            raise Fatal(f"the history of {REPOSITORY} holds no commit {release}: {packed.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(code, filter="data")
    # A static member is given what its predecessor had; the former release ends at topics that it does not know.
    return {"PYTHONPATH": str(code), "HOLDFAST_KAFKA_GROUP_INSTANCE_ID": ""}


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, b"", b"there is no git")


def _orders(plan: LoadPlan) -> Iterator[Post]:
    """One order each, in a conversation of its own: an effect that has to happen once."""
    for number in range(plan.events):
        address = Address(TENANTS[number % 2], f"order-{number}")
        event_id = str(uuid5(_EVENTS, f"{plan.seed} {number}"))
        yield message(address, f"I want to register the order {FIRST_ORDER + number}", event_id)


async def _prepare(world: World) -> None:
    """The desk that registers orders, and what it registers them with."""
    port = free_port_base()
    flags = ("--port", str(port), "--latency", "0.2", "--seed", "1", "--honours-keys")
    desk = await world.stack.aids.start("toolworld", "services.operator.toolworld", *flags)
    await listening(desk, port, READY_SECONDS_MAX)
    plain = effects_playbook(EffectsPlan(port=port)).model_copy(update={"agent": AGENT})
    [tool] = plain.tools
    asking = plain.model_copy(update={"tools": (tool.model_copy(update={"approval": True}),)})
    await publish_playbook(world.stack.kafka, FREE, plain)
    await publish_playbook(world.stack.kafka, ASKING, asking)
    await asyncio.sleep(KNOWN_SECONDS)


async def _roll(world: World) -> None:
    """Up and back, again and again, until all is published; at least once."""
    former = {name: member.environ for name, member in world.stack.services.members.items()}
    rounds = 0
    async with _approving(world):
        while not rounds or not world.over.is_set():
            for service in ORDER:
                for member in _of(world, service):
                    # Of the same name in its group, and on the same port.
                    present = {name: value for name, value in former[member.name].items() if name != "PYTHONPATH"}
                    await _replaced(world, member, present | (TRANSITION if service == ORDER[0] else {}))
            await asyncio.sleep(PAUSE_SECONDS)
            for service in reversed(ORDER):
                for member in _of(world, service):
                    await _replaced(world, member, former[member.name])
            rounds += 1
        await _decided(world)
    world.figures["replaced"] = f"{sum(fault.kind == 'rolling SIGTERM' for fault in world.monkey.faults):,} processes"


async def _decided(world: World) -> None:
    """Until all that needs leave has been asked for, or long enough after the last process was replaced."""
    asking = sum(post.key.startswith(f"{ASKING}:".encode()) for post in world.sent)
    until = time.monotonic() + DECIDED_SECONDS_MAX
    while world.approved < asking and time.monotonic() < until:
        world.watch.check()
        await asyncio.sleep(POLL_SECONDS)
    # What was allowed last is still to be done.
    await asyncio.sleep(DONE_SECONDS)


def _of(world: World, service: str) -> list[Member]:
    return [m for m in world.stack.services.members.values() if m.module == f"services.{service}"]


async def _replaced(world: World, member: Member, environ: Mapping[str, str]) -> None:
    member.environ = environ
    if code := await world.monkey.replace_politely(member):
        world.broken.append(f"{member.name} left with exit code {code} after SIGTERM")
    async with httpx.AsyncClient(timeout=2.0) as client, asyncio.timeout(READY_SECONDS_MAX):
        while not await ready(client, member):  # noqa: ASYNC110  another process tells
            await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def _approving(world: World) -> AsyncIterator[None]:
    """Somebody who allows all that is asked, where both releases read it."""
    task = asyncio.create_task(_approve(world))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _approve(world: World) -> None:
    kafka = world.stack.kafka
    async with TopicReader(kafka, [topics.CONVERSATION_RESPONSES]) as reader, Publisher(kafka) as desk:
        while True:
            for seen in await reader.read():
                asked = seen.event.data
                if isinstance(asked, ApprovalRequested):
                    given = ApprovalGiven(approval_id=asked.approval_id, granted=True, by="the desk")
                    headers, value = encode(event(seen.address, "approval.given", given))
                    await desk.publish_raw([(seen.address.key, headers, value)])
                    world.approved += 1


async def _judge(world: World) -> None:
    """Every order was registered, once."""
    port = world.stack.aids.members["toolworld"].arguments[1]
    async with httpx.AsyncClient(timeout=10.0) as client:
        told = (await client.get(f"http://127.0.0.1:{port}/effects")).raise_for_status().json()
    asked = sum(bool(post.expected) for post in world.sent)
    if told["doubled"]:
        world.broken.append(f"{told['doubled']} orders were registered twice")
    if told["executions"] != asked:
        world.broken.append(f"{told['executions']} orders were registered of {asked} that were asked for")
    if not world.approved:
        world.broken.append("nobody was asked for leave: no approval was in flight")
    world.figures |= {"orders registered": f"{told['executions']:,}", "approvals": f"{world.approved:,}"}


ROWS = (row(),)
