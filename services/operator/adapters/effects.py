"""
One run that shows whether effects happen once: turns with one consequential call each, while reasoners are killed.

The tool server stands outside and counts what it was asked to do and what it did, by the key of each call.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from services.operator.adapters.fleet import Fleet
from services.operator.adapters.load import publish_at
from services.operator.adapters.monkey import Monkey
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.samples import FOLDER
from services.operator.adapters.stack import Stack, listening
from services.operator.adapters.watch import Watch
from services.operator.domain.audit import Audit
from services.operator.domain.workload import Message
from shared.events.tools import ToolStatus
from shared.events.turns import Outcome
from shared.playbook.loading import load
from shared.playbook.model import Playbook

TENANT = "effects"
FIRST_ORDER = 100_000
POLL_SECONDS = 0.2
READY_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class EffectsPlan:
    """
    *turns* at *rate* a second, a reasoner killed every *kill_seconds*; a call takes the tool *latency_seconds*, and a
    share *lost_answer_rate* is done but not answered. Without *honours_keys* the tool does what it is told each time.
    """

    port: int
    turns: int = 2_000
    rate: float = 25.0
    kill_seconds: float = 2.0
    latency_seconds: float = 0.3
    lost_answer_rate: float = 0.0
    honours_keys: bool = True
    seed: int = 1
    drain_seconds_max: float = 240.0


@dataclass(frozen=True, slots=True)
class EffectsResult:
    """
    What a run came to: `effects` of the tool by key (how often each was executed), the calls that accepted replies
    rest on, the turns by outcome, and what the audit of the topics says.
    """

    plan: EffectsPlan
    audit: Audit
    kills: int
    deliveries: int
    effects: dict[str, int]
    cited: frozenset[str]
    unknown: int
    unanswered: int

    @property
    def doubled(self) -> int:
        """Effects that happened more than once."""
        return sum(times > 1 for times in self.effects.values())

    @property
    def claimed(self) -> int:
        """Calls that a reply says were done, and were not."""
        return len(self.cited - self.effects.keys())

    @property
    def passed(self) -> bool:
        """
        Whether each effect happened once, none was claimed that did not happen, and each turn ended once. Where the
        tool knows no keys, a turn may end as of unknown outcome, in a person's hands; else each had its effect.
        """
        whole = len(self.effects) == self.plan.turns if self.plan.honours_keys else self.unknown < self.plan.turns
        sound = self.audit.passed and not self.unanswered and self.audit.messages == self.plan.turns
        return sound and whole and not self.doubled and not self.claimed


def effects_playbook(plan: EffectsPlan) -> Playbook:
    """The playbook of a run, its tool at the run's port."""
    playbook = load(FOLDER / "effects.yaml").playbook
    [tool] = playbook.tools
    if tool.http is None:
        raise TypeError("the run's tool is an HTTP endpoint")
    changes: dict[str, str] = {"url": f"http://127.0.0.1:{plan.port}/tools/{tool.id}"}
    if not plan.honours_keys:
        changes["idempotency_header"] = ""
    return playbook.model_copy(
        update={"tools": (tool.model_copy(update={"http": tool.http.model_copy(update=changes)}),)}
    )


async def run(plan: EffectsPlan, stack: Stack, report: Callable[[str], None]) -> EffectsResult:
    """Run *plan* against *stack*, whose playbook is `effects_playbook(plan)`."""
    flags = ["--port", str(plan.port), "--latency", str(plan.latency_seconds), "--seed", str(plan.seed)]
    flags += ["--lost-answer-rate", str(plan.lost_answer_rate)]
    flags += ["--honours-keys" if plan.honours_keys else "--no-honours-keys"]
    world = await stack.aids.start("toolworld", "services.operator.toolworld", *flags)
    await listening(world, plan.port, READY_SECONDS_MAX)
    reasoners = {name: member for name, member in stack.services.members.items() if name.startswith("reasoner")}
    monkey = Monkey(Fleet(stack.services.folder, stack.services.environ, reasoners), random.Random(plan.seed))
    async with Publisher(stack.kafka) as publisher, Watch(stack.kafka, tenant=TENANT) as watch:
        stop, drained = asyncio.Event(), time.monotonic() + plan.turns / plan.rate + plan.drain_seconds_max
        killing = asyncio.create_task(
            monkey.kill_for(stop, least_seconds=plan.kill_seconds, most_seconds=plan.kill_seconds)
        )
        try:
            agent = effects_playbook(plan).agent
            load_ = _load(plan)
            await publish_at(plan.rate, load_, tenant=TENANT, agent=agent, publisher=publisher, watch=watch)
            report("all is published; killing goes on until every turn is closed")
            while watch.waiting and time.monotonic() < drained:
                watch.check()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            stop.set()
            await killing
        await asyncio.sleep(2.0)  # a doubled effect or outcome would come after the first
        await watch.settled()
        return await _result(plan, watch, monkey)


def _load(plan: EffectsPlan) -> Iterator[Message]:
    for number in range(plan.turns):
        yield Message(f"order-{number}", f"I want to register the order {FIRST_ORDER + number}")


async def _result(plan: EffectsPlan, watch: Watch, monkey: Monkey) -> EffectsResult:
    async with httpx.AsyncClient(timeout=10.0) as client:
        told = (await client.get(f"http://127.0.0.1:{plan.port}/effects")).raise_for_status().json()
    closed = [exchange.closed for exchange in watch.exchanges.values()]
    cited = {
        result.call.id
        for turn in closed
        if turn.outcome == Outcome.ANSWERED and turn.draft is not None
        for result in turn.draft.results
        if result.status == ToolStatus.DONE
    }
    return EffectsResult(
        plan=plan,
        audit=await watch.audit(),
        kills=Counter(fault.kind for fault in monkey.faults)["kill -9"],
        deliveries=told["deliveries"],
        effects=told["by_key"],
        cited=frozenset(cited),
        unknown=sum(bool(turn.outstanding) for turn in closed),
        unanswered=watch.waiting,
    )
