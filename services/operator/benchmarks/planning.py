"""
`holdfast bench plan`: the plan's figures against those of a run.

CPU a turn, idle CPU and calls a turn are taken from runs at a rate and at twice the rate. Three times the rate is
predicted from them and from the model's set latency: what the stages then hold in flight and use of their cores is
measured.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from services.operator.adapters.load import publish_at
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.stack import Stack
from services.operator.adapters.watch import Exchange, Watch
from services.operator.benchmarks.pipeline import IN_FLIGHT_GAUGE, POLL_SECONDS, gauge
from services.operator.domain.capacity import ROLES, STAGES, Load, Means, Role, plan
from services.operator.domain.workload import Message

SETTLE_SECONDS = 5.0
"""After a load begins, before it is measured: several times what a turn takes."""


@dataclass(frozen=True, slots=True)
class Held:
    """A stage's figure as predicted and as measured."""

    stage: str
    what: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """How far the prediction is off, as a share of what was measured."""
        return abs(self.predicted - self.measured) / self.measured if self.measured else float("inf")


@dataclass(frozen=True, slots=True)
class Measured:
    """A run at one rate: turns a second, per stage the mean in flight and the share of a core, and calls a turn."""

    turns_per_second: float
    in_flight: dict[str, float]
    utilisation: dict[str, float]
    calls: dict[str, float]


async def held(
    stack: Stack, loads: Sequence[Sequence[Message]], *, tenant: str, agent: str, rate: float, model_seconds: float
) -> list[Held]:
    """Measure *loads* at *rate*, twice and three times it, and predict the third from the first two."""
    first, second, third = [
        await measure(stack, load, tenant=tenant, agent=agent, rate=times * rate)
        for times, load in enumerate(loads, start=1)
    ]
    roles = {stage: Role(model_seconds, model_seconds, calls=second.calls[stage]) for stage in ROLES}
    more = second.turns_per_second - first.turns_per_second
    a_turn = {stage: max(0.0, second.utilisation[stage] - first.utilisation[stage]) / more for stage in STAGES}
    idle = {stage: max(0.0, first.utilisation[stage] - a_turn[stage] * first.turns_per_second) for stage in STAGES}
    cpu_ms = {stage: 1_000 * seconds for stage, seconds in a_turn.items()}
    means = Means(cpu_ms, processes_min=1, utilisation_max=1.0, idle_cores=idle)
    need = plan(Load(third.turns_per_second, peak_factor=1), roles, means)
    flights = [Held(stage, "turns in flight", need.stages[stage].in_flight, third.in_flight[stage]) for stage in ROLES]
    return flights + [
        Held(stage, "share of a core", need.stages[stage].cores, third.utilisation[stage]) for stage in STAGES
    ]


async def measure(stack: Stack, load: Sequence[Message], *, tenant: str, agent: str, rate: float) -> Measured:
    """Publish *load* at *rate* and measure from when it has settled until its end."""
    async with (
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka, tenant=tenant, start="end") as watch,
        httpx.AsyncClient(timeout=10.0) as client,
    ):
        sending = asyncio.create_task(
            publish_at(rate, load, tenant=tenant, agent=agent, publisher=publisher, watch=watch)
        )
        await asyncio.sleep(SETTLE_SECONDS)
        begun, cpu, closed = time.monotonic(), _cpu(stack), len(watch.exchanges)
        samples: dict[str, list[float]] = {stage: [] for stage in STAGES}
        while not sending.done():
            for stage in STAGES:
                member = stack.services.members[f"{stage}-1"]
                samples[stage].append(await gauge(client, member, IN_FLIGHT_GAUGE))
            stack.check()
            await asyncio.sleep(POLL_SECONDS)
        seconds, spent, done = time.monotonic() - begun, _cpu(stack), len(watch.exchanges)
        await sending
        while watch.waiting:
            stack.check()
            await asyncio.sleep(POLL_SECONDS)
        return Measured(
            turns_per_second=(done - closed) / seconds,
            in_flight={stage: sum(values) / max(len(values), 1) for stage, values in samples.items()},
            utilisation={stage: (spent[stage] - cpu[stage]) / seconds for stage in STAGES},
            calls=_calls(list(watch.exchanges.values())),
        )


def _calls(exchanges: Sequence[Exchange]) -> dict[str, float]:
    spent = dict.fromkeys(ROLES, 0)
    for exchange in exchanges:
        parts = (exchange.closed.matching, exchange.closed.draft, exchange.closed.verification)
        for stage, part in zip(ROLES, parts, strict=True):
            spent[stage] += part.spent.calls if part else 0
    return {stage: calls / max(len(exchanges), 1) for stage, calls in spent.items()}


def _cpu(stack: Stack) -> dict[str, float]:
    return {stage: stack.services.members[f"{stage}-1"].cpu_seconds() for stage in STAGES}
