"""
`holdfast bench pipeline | latency | inflight`: the whole pipeline under load, with what each service spends.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.operator.adapters.drive import Pace, playing
from services.operator.adapters.fleet import Member
from services.operator.adapters.load import publish_at
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.stack import Stack
from services.operator.adapters.watch import Exchange, Watch
from services.operator.domain.dialogues import Dialogue, Line
from services.operator.domain.timing import Spread, breakdown
from services.operator.domain.workload import Message
from shared.events.turns import Outcome, Spent

IN_FLIGHT_GAUGE = "holdfast_inflight_events"
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Throughput:
    """
    Turns a second of CPU, what each service spends on a turn (milliseconds), and what replies cost in model calls.
    """

    turns: int
    cpu_ms: dict[str, float]
    replies: int
    calls_per_reply: float
    input_tokens_per_reply: float
    output_tokens_per_reply: float

    @property
    def turns_per_cpu_second(self) -> float:
        """Turns that one core's second of all services' CPU pays for."""
        return 1000 / sum(self.cpu_ms.values())


async def throughput(stack: Stack, load: list[Message], *, tenant: str, agent: str, open_max: int) -> Throughput:
    """One message a conversation, *open_max* conversations at once, as fast as the pipeline takes them."""
    before = _cpu(stack)
    exchanges = await played(stack, load, tenant=tenant, agent=agent, open_max=open_max)
    after = _cpu(stack)
    spent = [_spent(exchange) for exchange in exchanges if exchange.closed.outcome is Outcome.ANSWERED]
    replies = max(len(spent), 1)
    return Throughput(
        turns=len(exchanges),
        cpu_ms={stage: (after[stage] - before[stage]) / len(exchanges) * 1000 for stage in after},
        replies=len(spent),
        calls_per_reply=sum(cost.calls for cost in spent) / replies,
        input_tokens_per_reply=sum(cost.input_tokens for cost in spent) / replies,
        output_tokens_per_reply=sum(cost.output_tokens for cost in spent) / replies,
    )


async def latency(
    stack: Stack, load: list[Message], *, tenant: str, agent: str, rate: float, warm_up_seconds: float
) -> tuple[dict[str, Spread], Spread]:
    """
    Where a turn's time goes at *rate* messages a second, after a warm-up: the parts of the way, and the whole.

    With a model that answers at once, all of it is what Holdfast and the broker add.
    """
    async with Publisher(stack.kafka) as publisher, Watch(stack.kafka, tenant=tenant, start="end") as watch:
        begin_ms = (time.time() + warm_up_seconds) * 1000
        await publish_at(rate, load, tenant=tenant, agent=agent, publisher=publisher, watch=watch)
        await _settled(stack, watch)
        exchanges = [found for found in watch.exchanges.values() if found.posted_ms >= begin_ms]
    whole = Spread.of([float(exchange.closed_ms - exchange.posted_ms) for exchange in exchanges])
    return breakdown(exchange.hops() for exchange in exchanges), whole


@dataclass(frozen=True, slots=True)
class InFlight:
    """The most turns that one matcher had in flight, and the memory that it held then."""

    turns_max: int
    resident_bytes_max: int


async def in_flight(stack: Stack, load: list[Message], *, tenant: str, agent: str) -> InFlight:
    """Publish *load* at once against a slow model and watch the matcher."""
    matcher = stack.services.members["matcher-1"]
    turns, resident = 0, 0
    async with (
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka, tenant=tenant, start="end") as watch,
        httpx.AsyncClient(timeout=10.0) as client,
    ):
        await publish_at(1e6, load, tenant=tenant, agent=agent, publisher=publisher, watch=watch)
        while watch.waiting:
            turns = max(turns, int(await gauge(client, matcher, IN_FLIGHT_GAUGE)))
            resident = max(resident, matcher.resident_bytes())
            stack.check()
            await asyncio.sleep(POLL_SECONDS)
    return InFlight(turns, resident)


async def gauge(client: httpx.AsyncClient, member: Member, name: str) -> float:
    """The sum of a metric's samples in a service's `/metrics`."""
    response = await client.get(f"http://127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}/metrics")
    return sum(
        sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name == name
    )


async def played(stack: Stack, load: list[Message], *, tenant: str, agent: str, open_max: int) -> list[Exchange]:
    """What becomes of *load*, one message a conversation, *open_max* at once."""
    dialogues = [Dialogue(message.conversation, (), (Line(message.text, 0.0),)) for message in load]
    async with closed_loop(stack, dialogues, tenant=tenant, agent=agent, open_max=open_max) as (watch, task):
        await _until(stack, task.done)
        task.result()
        return list(watch.exchanges.values())


@asynccontextmanager
async def closed_loop(
    stack: Stack, dialogues: Sequence[Dialogue], *, tenant: str, agent: str, open_max: int
) -> AsyncIterator[tuple[Watch, asyncio.Task[None]]]:
    """Play *dialogues*, *open_max* at once, a new one as one ends: who watches the outcomes, and the playing's task."""
    async with (
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka, tenant=tenant, start="end") as watch,
        playing(
            dialogues,
            tenant=tenant,
            agent=agent,
            pace=Pace(conversations_max=open_max),
            publisher=publisher,
            watch=watch,
        ) as task,
    ):
        yield watch, task


async def _settled(stack: Stack, watch: Watch) -> None:
    await _until(stack, lambda: not watch.waiting)


async def _until(stack: Stack, done: Callable[[], bool]) -> None:
    while not done():
        stack.check()
        await asyncio.sleep(POLL_SECONDS)


def _cpu(stack: Stack) -> Counter[str]:
    spent: Counter[str] = Counter()
    for name, member in stack.services.members.items():
        spent[name.rsplit("-", 1)[0]] += member.cpu_seconds()  # type: ignore[assignment]  # a Counter of seconds
    return spent


def _spent(exchange: Exchange) -> Spent:
    closed = exchange.closed
    parts = [part.spent for part in (closed.matching, closed.draft, closed.verification) if part is not None]
    return Spent(
        calls=sum(part.calls for part in parts),
        input_tokens=sum(part.input_tokens for part in parts),
        output_tokens=sum(part.output_tokens for part in parts),
    )
