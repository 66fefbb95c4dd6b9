"""
A hostile tenant beside a good one: by what it publishes, what its tools answer, what its playbooks hold; once on the
topic that tenants share, once on its own.

The hostile tenant is quiet and hostile by turns, so that what the good one waits is compared within one run, and the
machine's own ups and downs fall on both.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from services.operator.adapters.monkey import FELL
from services.operator.adapters.playbooks import publishing
from services.operator.adapters.watch import Exchange
from services.operator.faults.hostile_endpoint import HostileEndpoint, calling
from services.operator.faults.input_rows import LATENCY_GROWTH_MAX, percentile, waited, waits
from services.operator.faults.mutation import Headers, mutated, mutated_headers, mutated_text
from services.operator.faults.post import TENANTS, LoadPlan, Post, message
from services.operator.faults.world import Disturbance, Row, World
from shared.broker.clients import producer
from shared.events import topics
from shared.events.envelope import Address
from shared.playbook.model import Playbook
from shared.playbook.records import Head, PlaybookKey, pack
from shared.playbook.version import canonical, hash_of

HOSTILE, GOOD = TENANTS
BLOCK_SECONDS = 5.0
"""Of quiet, then of hostility, then of quiet again."""
WRITES_A_SECOND = 40.0
MESSAGES_A_SECOND = 2.0
"""Of the hostile tenant's ordinary messages, where its tools or playbooks are what is hostile."""
PLAYBOOKS_A_SECOND = 4.0
SLOW_SECONDS = 0.3
"""Longer answers of the model: the machine's own unrest weighs less in what is waited for."""
RATE_MAX = 12.0
HEADERS_SHARE = 0.3
VALID_SHARE = 0.2
KEY_SHARE = 0.05
ENVIRON = {"HOLDFAST_OUTGOING_PRIVATE_HOSTS": "127.0.0.1:*"}

Attack = Callable[[], Awaitable[None]]
"""One hostile act."""


def good_alone(plan: LoadPlan) -> Iterator[Post]:
    """The good tenant's questions, each in a conversation of its own: what is measured is waiting."""
    source = random.Random(f"{plan.seed} good")
    for number in range(plan.events):
        event_id = str(UUID(int=source.getrandbits(128), version=4))
        yield message(Address(GOOD, f"good-{number}"), source.choice(plan.texts), event_id)


async def by_turns(world: World, attack: Attack, a_second: float) -> None:
    """Quiet blocks and blocks of *attack* by turns, until all is published."""
    world.model.wait_seconds = SLOW_SECONDS
    acts = 0
    while await world.wait(BLOCK_SECONDS):
        begun, number = time.time(), 0
        while time.time() - begun < BLOCK_SECONDS and not world.over.is_set():
            await attack()
            number += 1
            await asyncio.sleep(max(0.0, begun + number / a_second - time.time()))
        world.hostile_spans.append((begun, time.time()))
        acts += number
    world.figures["hostile acts"] = f"{acts:,}"


class Publishing:
    """What the hostile tenant publishes: its records, its messages, its playbooks."""

    def __init__(self, world: World, writing: AIOKafkaProducer) -> None:
        self._world = world
        self._writing = writing
        self._source = random.Random(f"{world.source.random()} hostile")
        kafka = world.stack.kafka
        self._topic = kafka.namespace + kafka.topic_for(HOSTILE, topics.CONVERSATION_EVENTS)
        self._playbooks = kafka.namespace + topics.PLAYBOOKS
        self._samples = [one.value or b"" for one in (self._post() for _ in range(8))]
        self._content = canonical(world.playbook)
        self._good = hash_of(self._content)

    async def record(self) -> None:
        """A record that was valid before it was changed; now and then one that still is."""
        source, post = self._source, self._post()
        key, value = post.key, post.value
        headers: Headers = post.headers
        if source.random() > VALID_SHARE:
            value = mutated(value or b"", source, self._samples)[:900_000] if source.random() < 0.98 else None  # noqa: PLR2004
            if source.random() < HEADERS_SHARE:
                headers = mutated_headers(headers, source)
            if source.random() < KEY_SHARE:
                key = mutated_text(key.decode(), source).encode("utf-8", "surrogatepass")
        await self._write(self._topic, key, value, headers)

    async def message(self) -> None:
        """An ordinary message."""
        post = self._post()
        await self._write(self._topic, post.key, post.value, post.headers)

    async def playbook(self) -> None:
        """A changed playbook under its right hash, and a head that puts it in force; or a changed head."""
        source, name = self._source, PlaybookKey(HOSTILE, self._world.playbook.agent)
        content = mutated(self._content, source)
        version = hash_of(content)
        head = Head(version=version, kept=(version, self._good)).model_dump_json().encode()
        if source.random() < 0.2:  # noqa: PLR2004  a share
            head = mutated(head, source)
        packed = pack(content)
        if source.random() < 0.1:  # noqa: PLR2004  a share
            packed = mutated(packed, source)
        await self._publish(replace(name, version=version), packed)
        await self._publish(name, head)
        if source.random() < MESSAGES_A_SECOND / PLAYBOOKS_A_SECOND:
            await self.message()

    async def put_in_force(self, playbook: Playbook) -> None:
        """A good playbook, as an author would publish it."""
        content = canonical(playbook)
        name, version = PlaybookKey(HOSTILE, playbook.agent), hash_of(content)
        head = Head(version=version, kept=(version, self._good))
        await self._publish(replace(name, version=version), pack(content))
        await self._publish(name, head.model_dump_json().encode())

    def _post(self) -> Post:
        source = self._source
        event_id = str(UUID(int=source.getrandbits(128), version=4))
        return message(Address(HOSTILE, f"hostile-{source.randrange(200)}"), "What does it cost?", event_id)

    async def _publish(self, key: PlaybookKey, value: bytes) -> None:
        """All records of an agent lie in the partition of its head, as publishing has it."""
        count = len(await self._writing.partitions_for(self._playbooks))
        partition = (murmur2(key.head.encode()) & 0x7FFFFFFF) % count
        await self._writing.send_and_wait(self._playbooks, value, key=key.encode(), partition=partition)

    async def _write(self, topic: str, key: bytes, value: bytes | None, headers: Headers) -> None:
        await self._writing.send_and_wait(topic, value, key=key, headers=list(headers))


async def hostile_publisher(world: World) -> None:
    """Records of every kind of nonsense."""
    async with attacking(world) as attacker:
        await by_turns(world, attacker.record, WRITES_A_SECOND)


async def hostile_playbook(world: World) -> None:
    """Playbooks of every kind of nonsense, and messages that they answer."""
    async with attacking(world) as attacker:
        await by_turns(world, attacker.playbook, PLAYBOOKS_A_SECOND)


async def hostile_tools(world: World) -> None:
    """Messages whose turns use tools, a retriever and an MCP server that answer with every kind of nonsense."""
    async with HostileEndpoint(seed=world.source.randrange(1_000)) as endpoint, attacking(world) as attacker:
        async with publishing(world.stack.kafka) as publish:
            await publish(HOSTILE, calling(world.playbook, endpoint.url))
        await by_turns(world, attacker.message, MESSAGES_A_SECOND)
        # The turns under way are still to ask.
        await asyncio.sleep(BLOCK_SECONDS)
        world.figures["hostile answers"] = f"{endpoint.asked:,}"


@asynccontextmanager
async def attacking(world: World) -> AsyncIterator[Publishing]:
    """What the hostile tenant publishes, for as long as the context lasts."""
    writing = producer(world.stack.kafka)
    await writing.start()
    try:
        yield Publishing(world, writing)
    finally:
        await writing.stop()


def no_process_ended(world: World) -> None:
    """Whatever came in, it cost its own record, turn or conversation."""
    fallen = [fault.victim for fault in world.monkey.faults if fault.kind == FELL]
    if fallen:
        world.broken.append(f"{len(fallen)} processes ended by themselves, first {fallen[0]}")


async def good_tenant_is_spared(world: World) -> None:
    """No process ended; each of the good tenant's messages has its outcome, hardly later beside the hostile one."""
    no_process_ended(world)
    exchanges = [one for one in world.watch.exchanges.values() if one.closed.turn.tenant == GOOD]
    alone, beside = _divided(world, exchanges)
    before, after = percentile(waited(alone), 0.99), percentile(waited(beside), 0.99)
    if not alone or not beside:
        world.broken.append("the load was too short for a quiet and a hostile block")
    elif after > before * (1 + LATENCY_GROWTH_MAX):
        world.broken.append(f"the good tenant's p99 grew from {before} to {after} ms beside the hostile one")
    world.figures |= {
        "good tenant alone": waits(waited(alone)),
        "beside the hostile one": f"{waits(waited(beside))}, p99 {after / max(before, 1) - 1:+.0%}",
    }


def _divided(world: World, exchanges: Sequence[Exchange]) -> tuple[list[Exchange], list[Exchange]]:
    """Those that were asked while the hostile tenant was quiet, and those asked while it was hostile."""
    spans = world.hostile_spans
    asked = sorted(exchanges, key=lambda one: one.posted_ms)
    beside = [one for one in asked if any(a <= one.posted_ms / 1_000 < b for a, b in spans)]
    known = {id(one) for one in beside}
    # Before the first block of hostility the processes are cold.
    first = spans[0][0] if spans else 0.0
    warm = first - BLOCK_SECONDS / 2
    return [one for one in asked if id(one) not in known and one.posted_ms / 1_000 >= warm], beside


def _row(name: str, what: str, disturb: Disturbance, *, apart: bool) -> Row:
    return Row(
        f"{name}-apart" if apart else name,
        f"{what}, on {'a topic of its own' if apart else 'the topic that tenants share'}",
        disturb,
        load=good_alone,
        judge=good_tenant_is_spared,
        environ=ENVIRON,
        apart=HOSTILE if apart else "",
        judged=GOOD,
        exact=False,
        rate_max=RATE_MAX,
    )


ROWS = tuple(
    _row(name, what, disturb, apart=apart)
    for name, what, disturb in (
        ("hostile-publisher", "a tenant publishes every kind of nonsense", hostile_publisher),
        ("hostile-tools", "a tenant's tools, retriever and MCP server answer nonsense", hostile_tools),
        ("hostile-playbook", "a tenant publishes playbooks of every kind of nonsense", hostile_playbook),
    )
    for apart in (False, True)
)
