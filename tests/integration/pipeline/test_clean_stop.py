"""
Stopping under load: every service leaves with 0 in time, and nothing that it had finished is done again.
"""

import asyncio
import time

import httpx
import pytest

from services.operator.adapters.load import publish_at
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import STAGES, Broker, StackPlan, ready, running
from services.operator.adapters.watch import Watch
from services.operator.domain.repeats import Repeats
from services.operator.domain.workload import Message
from services.operator.faults.invariants import STOP_SECONDS_MAX
from services.operator.faults.records import raw_records
from shared.broker.clients import KafkaSettings
from shared.events import topics
from shared.events.codec import decode

pytestmark = pytest.mark.timeout(300)

MODEL_STAGES = ("matcher", "reasoner", "verifier")
"""At each start they ask the model one and the same question: whether it answers as a blueprint demands."""
RATE = 12.0
MESSAGES_MAX = 2_000
READY_SECONDS_MAX = 60.0
DRAIN_SECONDS_MAX = 90.0


@pytest.mark.parametrize("broker", [Broker.EMBEDDED, pytest.param(Broker.KAFKA, marks=pytest.mark.kafka)])
async def test_a_service_told_to_stop_under_load_leaves_with_0_and_repeats_no_finished_work(tmp_path, broker):
    plan = StackPlan(
        folder=tmp_path / "stack",
        tenant="acme",
        playbook=bank_playbook(),
        broker=broker,
        rehearsal={"base_latency_seconds": 0.3},
        ready_seconds_max=READY_SECONDS_MAX,
    )
    async with (
        running(plan, KafkaSettings()) as stack,
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka) as watch,
    ):
        sending = asyncio.create_task(
            publish_at(RATE, _load(), tenant="acme", agent="bank", publisher=publisher, watch=watch)
        )
        await _closed(watch, more=10)
        for stage in STAGES:
            code, seconds = await _replaced(stack, f"{stage}-1")
            assert code == 0, stack.services.members[f"{stage}-1"].log_tail()
            assert seconds < STOP_SECONDS_MAX
            await _closed(watch, more=10)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await _drained(watch)

        audit = watch.auditor.report()
        assert audit.findings == ()
        assert audit.outcomes.keys() == {"answered"}, "no turn was lost to the stops"
        assert (await _repeats(stack)).by_topic == {}
        asked, repeated = await _calls(stack)
        spent = sum(_calls_of(exchange.closed) for exchange in watch.exchanges.values())
        probes = 2 * len(MODEL_STAGES)
        assert (asked - spent, repeated) == (probes, probes - 1), "each other call is part of what became of its turn"


def _load():
    """Each message a conversation and a text of its own, so that no two model calls are alike but a repeated one."""
    texts = sample_texts()
    for number in range(MESSAGES_MAX):
        yield Message(f"c{number}", f"{texts[number % len(texts)]} (case {number})")


async def _replaced(stack, name):
    """SIGTERM, then the same service again; its exit code and how long it took to leave."""
    member = stack.services.members[name]
    begun = time.monotonic()
    member.process.terminate()
    code = await member.wait()
    seconds = time.monotonic() - begun
    await member.start()
    async with httpx.AsyncClient(timeout=2.0) as client:
        until = time.monotonic() + READY_SECONDS_MAX
        while not await ready(client, member):
            assert time.monotonic() < until, member.log_tail()
            await asyncio.sleep(0.1)
    return code, seconds


async def _closed(watch, *, more):
    until, goal = time.monotonic() + DRAIN_SECONDS_MAX, len(watch.exchanges) + more
    while len(watch.exchanges) < goal:
        watch.check()
        assert time.monotonic() < until, f"fewer than {more} turns ended"
        await asyncio.sleep(0.05)


async def _drained(watch):
    until = time.monotonic() + DRAIN_SECONDS_MAX
    while watch.auditor.waiting:
        watch.check()
        assert time.monotonic() < until, f"{watch.auditor.waiting} messages have no outcome"
        await asyncio.sleep(0.1)


async def _repeats(stack):
    repeats = Repeats()
    names = (topics.TURNS_MATCHED, topics.TURNS_DRAFTED, topics.TURNS_FINISHED, topics.TURNS_VERIFIED)
    async for record in raw_records(stack.kafka, names):
        event = decode(topics.TOPICS[record.topic].types, record.key, record.headers, record.value)
        repeats.take(record.topic, event.data)
    return repeats


async def _calls(stack):
    """Calls that the model answered, and how many of them repeated an earlier one."""
    async with httpx.AsyncClient(timeout=10.0) as client:
        stats = (await client.get(stack.model_url.removesuffix("/v1") + "/stats")).raise_for_status().json()
    return stats["calls"], stats["repeated"]


def _calls_of(closed):
    return sum(part.spent.calls for part in (closed.matching, closed.draft, closed.verification) if part is not None)
