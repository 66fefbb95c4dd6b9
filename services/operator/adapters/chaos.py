"""
One chaos run: a whole Holdfast under load while processes and brokers die, judged by an independent reader.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.operator.adapters.load import publish_at
from services.operator.adapters.monkey import FELL, Fault, Monkey
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.stack import Stack
from services.operator.adapters.watch import Watch
from services.operator.domain.audit import Audit
from services.operator.domain.recovery import rate, recovery_seconds
from services.operator.domain.repeats import Repeats
from services.operator.domain.workload import messages
from shared.events import topics

TENANT = "chaos"
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """
    What happens in one run: *events* messages at *rate* a second over *conversations*; quiet for *quiet_seconds*,
    then one kill that is measured, then a kill every *kill_least* to *kill_most* seconds, a storm, and on three
    nodes a broker's death.
    """

    seed: int
    texts: Sequence[str]
    agent: str = "bank"
    events: int = 20_000
    rate: float = 100.0
    conversations: int = 4_000
    warm_up_seconds: float = 10.0
    quiet_seconds: float = 15.0
    kill_least_seconds: float = 2.0
    kill_most_seconds: float = 5.0
    storm_seconds: float = 15.0
    broker_down_seconds: float = 12.0
    drain_seconds_max: float = 180.0


@dataclass(frozen=True, slots=True)
class ChaosResult:
    """What a run came to."""

    seed: int
    audit: Audit
    kills: int
    repeats: dict[str, int]
    repeated_calls: int
    calls: int
    baseline_per_second: float
    kill_recovery_seconds: float | None
    broker_recovery_seconds: float | None
    falls: int
    faults: tuple[Fault, ...] = ()
    unanswered: int = 0

    @property
    def passed(self) -> bool:
        """Whether every promise held."""
        return self.audit.passed and not self.unanswered


@dataclass(slots=True)
class _Run:
    plan: ChaosPlan
    stack: Stack
    watch: Watch
    monkey: Monkey
    report: Callable[[str], None]
    quiet: tuple[float, float] = (0.0, 0.0)
    measured_kill: Fault | None = None
    measured_node: Fault | None = None
    repeats: Repeats = field(default_factory=Repeats)


async def run(plan: ChaosPlan, stack: Stack, report: Callable[[str], None]) -> ChaosResult:
    """Run *plan* against *stack*; *report* is told of the phases."""
    load = messages(plan.texts, count=plan.events, conversations=plan.conversations, seed=plan.seed)
    async with Publisher(stack.kafka) as publisher, Watch(stack.kafka, tenant=TENANT) as watch:
        state = _Run(plan, stack, watch, Monkey(stack.services, random.Random(plan.seed)), report)
        async with _background(_count_repeats(state)), _background(state.monkey.supervise()):
            publishing = asyncio.create_task(
                publish_at(plan.rate, load, tenant=TENANT, agent=plan.agent, publisher=publisher, watch=watch),
            )
            try:
                await _torment(state, publishing)
                await publishing
            finally:
                publishing.cancel()
            await _drain(state)
    return await _judge(state)


async def _torment(state: _Run, publishing: asyncio.Task[int]) -> None:
    plan, loop = state.plan, asyncio.get_running_loop()
    state.report("warming up, then a quiet stretch to compare with")
    await asyncio.sleep(plan.warm_up_seconds)
    begin = _now()
    await asyncio.sleep(plan.quiet_seconds)
    state.quiet = (begin, _now())
    state.report("one kill, measured")
    state.measured_kill = await state.monkey.kill_one()
    await asyncio.sleep(plan.quiet_seconds)
    if state.stack.nodes is not None and len(state.stack.nodes.numbers) > 1:
        state.report("a broker dies, measured")
        state.measured_node = await state.monkey.kill_node(state.stack.nodes, down_seconds=plan.broker_down_seconds)
        await asyncio.sleep(plan.quiet_seconds * 2)
    state.report(
        f"a kill -9 every {plan.kill_least_seconds:g}–{plan.kill_most_seconds:g} s until all is published, "
        f"and a rebalance storm of {plan.storm_seconds:g} s",
    )
    stop = asyncio.Event()
    publishing.add_done_callback(lambda _: loop.call_soon(stop.set))
    await asyncio.gather(
        state.monkey.kill_for(stop, least_seconds=plan.kill_least_seconds, most_seconds=plan.kill_most_seconds),
        state.monkey.storm(seconds=plan.storm_seconds, pause_seconds=1.0),
    )


async def _drain(state: _Run) -> None:
    state.report("draining")
    until = _now() + state.plan.drain_seconds_max
    while state.watch.waiting and _now() < until:
        state.watch.check()
        await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(2.0)  # a doubled outcome would come after the first
    await state.watch.settled()


async def _judge(state: _Run) -> ChaosResult:
    closed = sorted(exchange.closed_ms / 1000 for exchange in state.watch.exchanges.values())
    baseline = rate(closed, *state.quiet)

    def recovered(fault: Fault | None) -> float | None:
        return recovery_seconds(closed, fault.at_seconds, baseline) if fault else None

    calls, repeated = await _model_calls(state.stack)
    return ChaosResult(
        seed=state.plan.seed,
        audit=await state.watch.audit(),
        kills=sum(fault.kind == "kill -9" for fault in state.monkey.faults),
        repeats=dict(state.repeats.by_topic),
        repeated_calls=repeated,
        calls=calls,
        baseline_per_second=baseline,
        kill_recovery_seconds=recovered(state.measured_kill),
        broker_recovery_seconds=recovered(state.measured_node),
        falls=sum(fault.kind == FELL for fault in state.monkey.faults),
        faults=tuple(state.monkey.faults),
        unanswered=state.watch.waiting,
    )


async def _model_calls(stack: Stack) -> tuple[int, int]:
    async with httpx.AsyncClient(timeout=10.0) as client:
        stats = (await client.get(stack.model_url.removesuffix("/v1") + "/stats")).raise_for_status().json()
    return int(stats["calls"]), int(stats["repeated"])


async def _count_repeats(state: _Run) -> None:
    names = [topics.TURNS_MATCHED, topics.TURNS_DRAFTED, topics.TURNS_FINISHED, topics.TURNS_VERIFIED]
    async with TopicReader(state.stack.kafka, names) as reader:
        while True:
            for seen in await reader.read():
                state.repeats.take(seen.topic, seen.event.data)


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _now() -> float:
    return time.time()
