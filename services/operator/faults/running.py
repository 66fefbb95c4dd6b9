"""
One row of the matrix, run: bring everything up, load it, disturb it, let it come to rest, judge it, take it down.
"""

import asyncio
import random
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from services.operator.adapters.fleet import Fleet
from services.operator.adapters.monkey import Monkey
from services.operator.adapters.playbooks import publish_playbook
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.stack import Broker, Stack, StackPlan, listening, running
from services.operator.adapters.watch import Watch
from services.operator.faults import invariants
from services.operator.faults.hunt import RecordHunt
from services.operator.faults.model_proxy import ModelProxy
from services.operator.faults.post import SILENCE, TENANTS, LoadPlan, Post
from services.operator.faults.world import Row, World
from shared.broker.clients import KafkaSettings
from shared.broker.local import free_port_base
from shared.playbook.model import Playbook

TICK_SECONDS = 0.05
DRAIN_SECONDS_MAX = 180.0
SETTLE_SECONDS = 2.0
"""A doubled outcome would come after the first."""


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """
    How every row is run: *rate* messages a second, *replicas* processes a stage, *latency_seconds* a model call.
    With *waiting_max* no more is published while so many messages have no outcome; 0 publishes regardless.
    """

    folder: Path
    playbook: Playbook
    load: LoadPlan
    rate: float
    broker: Broker = Broker.KAFKA3
    replicas: int = 2
    latency_seconds: float = 0.1
    ready_seconds_max: float = 90.0
    waiting_max: int = 0


@dataclass(frozen=True, slots=True)
class RowResult:
    """What a row came to, of so many `asked` messages; `broken` is empty where everything held."""

    row: str
    what: str
    asked: int
    rate: float
    messages: int
    turns: int
    outcomes: Mapping[str, int]
    faults: int
    calls_a_turn: float
    quiet_seconds: float
    stop_seconds: float
    figures: Mapping[str, str]
    broken: tuple[str, ...] = field(default=())


async def run_row(row: Row, plan: MatrixPlan, kafka: KafkaSettings, report: Callable[[str], None]) -> RowResult:
    """
    Run *row*; *report* is told of the phases. The logs and topics of a row that broke stay beside *plan*'s folder,
    under the row's name.

    Raises:
        Fatal: something did not come up, or the row needs Apache Kafka's own processes.

    """
    result = await _run(row, replace(plan, rate=min(plan.rate, row.rate_max)), kafka, report)
    if result.broken:
        remains = plan.folder.with_name(f"{plan.folder.name}-{row.name}")
        shutil.rmtree(remains, ignore_errors=True)
        plan.folder.rename(remains)
        result = replace(result, figures={**result.figures, "what remains of it": str(remains)})
    return result


async def _run(row: Row, plan: MatrixPlan, kafka: KafkaSettings, report: Callable[[str], None]) -> RowResult:
    async with AsyncExitStack() as stack:
        aids = Fleet(plan.folder.with_name(f"{plan.folder.name}-model"), {})
        stack.push_async_callback(aids.stop)
        proxy = await stack.enter_async_context(ModelProxy(await _model(plan, aids), seed=plan.load.seed))
        report("starting")
        world = await _world(row, plan, kafka, proxy, stack)
        await row.prepare(world)
        report("publishing and disturbing")
        await _disturbed(row, plan, world, stack)
        report("coming to rest")
        quiet_seconds = await _drained(world)
        report("judging")
        await row.judge(world)
        return await _judged(row, plan, world, aids, quiet_seconds)


async def _model(plan: MatrixPlan, aids: Fleet) -> str:
    port = free_port_base()
    latency = f"{plan.latency_seconds:g}"
    model = await aids.start("model", "shared.llm.rehearsal", "--port", str(port), "--base-latency-seconds", latency)
    await listening(model, port, plan.ready_seconds_max)
    return f"http://127.0.0.1:{port}/v1"


async def _world(row: Row, plan: MatrixPlan, kafka: KafkaSettings, proxy: ModelProxy, stack: AsyncExitStack) -> World:
    first, *others = TENANTS
    brought = StackPlan(
        folder=plan.folder,
        tenant=first,
        playbook=plan.playbook,
        broker=plan.broker,
        broker_settings=row.broker,
        replicas=plan.replicas,
        model_url=proxy.url,
        environ={
            "HOLDFAST_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
            "HOLDFAST_KAFKA_HEARTBEAT_INTERVAL_SECONDS": "0.5",
            **({"HOLDFAST_KAFKA_TENANT_TOPICS": row.apart} if row.apart else {}),
            **row.environ,
        },
        environ_of=row.environ_of,
        tls=row.tls,
        ready_seconds_max=plan.ready_seconds_max,
    )
    if row.apart:
        kafka = kafka.model_copy(update={"tenant_topics": row.apart})
    built: Stack = await stack.enter_async_context(running(brought, kafka))
    for tenant in others:
        await publish_playbook(built.kafka, tenant, plan.playbook)
    watch = await stack.enter_async_context(Watch(built.kafka, tenant=row.judged))
    source = random.Random(plan.load.seed)
    return World(built, watch, Monkey(built.services, source), proxy, plan.playbook, source)


async def _disturbed(row: Row, plan: MatrixPlan, world: World, stack: AsyncExitStack) -> None:
    publisher = await stack.enter_async_context(Publisher(world.stack.kafka))
    async with asyncio.TaskGroup() as group:
        supervising = group.create_task(world.monkey.supervise())
        publishing = group.create_task(_publish(plan, row.load(plan.load), publisher, world))
        publishing.add_done_callback(lambda _: world.over.set())
        disturbing = group.create_task(row.disturb(world))
        await asyncio.gather(publishing, disturbing)
        world.calm()
        supervising.cancel()


async def _publish(plan: MatrixPlan, load: Iterable[Post], publisher: Publisher, world: World) -> None:
    """As an open loop, unless *plan* bounds it: what is slow to be answered does not slow the asking."""
    begin, batch = time.monotonic(), list[Post]()
    for slot, post in enumerate(load, start=1):
        if post.expected:
            world.watch.expect(post.expected, post.text, time.time_ns() // 1_000_000)
        if post is not SILENCE:
            batch.append(post)
            world.sent.append(post)
        ahead = slot / plan.rate - (time.monotonic() - begin)
        if ahead > TICK_SECONDS:
            await publisher.publish_raw([(one.key, one.headers, one.value) for one in batch])
            batch.clear()
            await asyncio.sleep(ahead)
        while 0 < plan.waiting_max <= world.watch.waiting:
            await publisher.publish_raw([(one.key, one.headers, one.value) for one in batch])
            batch.clear()
            world.watch.check()
            await asyncio.sleep(TICK_SECONDS)
    await publisher.publish_raw([(one.key, one.headers, one.value) for one in batch])


async def _drained(world: World) -> float:
    """Seconds from the last fault until every message had its outcome."""
    while world.watch.waiting and time.time() - world.faults_end_seconds < DRAIN_SECONDS_MAX:
        world.watch.check()
        await asyncio.sleep(TICK_SECONDS)
    seconds = time.time() - world.faults_end_seconds
    await asyncio.sleep(SETTLE_SECONDS)
    return seconds


async def _judged(row: Row, plan: MatrixPlan, world: World, aids: Fleet, quiet_seconds: float) -> RowResult:
    audit = await world.watch.audit()
    calls = await _calls(aids)
    scraped = await invariants.scrape(world.stack.services)
    hunt = RecordHunt()
    broken = [
        *world.broken,
        *(f"{finding.invariant}: {finding.count}, as {', '.join(finding.examples)}" for finding in audit.findings),
        *await invariants.leaks(world.stack.kafka, hunt),
        *invariants.spoken(world.stack.services, scraped.values()),
        *(() if row.judged else invariants.bounded(calls, audit.turns, most=row.calls_a_turn_max)),
        *invariants.quiet(quiet_seconds),
    ]
    if row.exact:
        broken += invariants.conserved(scraped, messages=audit.messages, turns=audit.turns)
    if not row.expires:
        broken += invariants.in_time(world.watch.exchanges.values())
    begin = time.monotonic()
    codes = await world.stack.services.stop()
    stop_seconds = time.monotonic() - begin
    broken += invariants.left(codes, stop_seconds)
    return RowResult(
        row=row.name,
        what=row.what,
        asked=plan.load.events,
        rate=plan.rate,
        messages=audit.messages,
        turns=audit.turns,
        outcomes=audit.outcomes,
        faults=len(world.monkey.faults) + world.model.faulty,
        calls_a_turn=calls / max(audit.turns, 1),
        quiet_seconds=quiet_seconds,
        stop_seconds=stop_seconds,
        figures=world.figures | {"records searched": f"{hunt.records:,}, {hunt.marked.total():,} with a canary"},
        broken=tuple(broken),
    )


async def _calls(aids: Fleet) -> int:
    port = aids.members["model"].arguments[1]
    async with httpx.AsyncClient(timeout=10.0) as client:
        stats = (await client.get(f"http://127.0.0.1:{port}/stats")).raise_for_status().json()
    return int(stats["calls"])
