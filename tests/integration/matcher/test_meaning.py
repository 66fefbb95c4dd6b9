"""
A matcher process that is given an endpoint of embeddings.
"""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx
import pytest

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.stack import StackPlan, running
from services.operator.adapters.watch import Watch
from shared.broker.clients import KafkaSettings
from shared.events.envelope import Address
from shared.events.turns import Outcome
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.model import Guideline, Playbook, Profile

pytestmark = pytest.mark.timeout(150)

TENANT = "acme"
SECONDS_MAX = 60.0
MISSPELT = "wherabouts of parclshipments"
"""Shares no word with the condition, but spelling, which is what the rehearsed embeddings compare."""
PLAYBOOK = Playbook(
    agent="desk",
    profile=Profile(name="Desk"),
    guidelines=(
        Guideline(id="where", condition="The customer wonders about whereabouts of parcelshipments", action="Track it"),
        *(
            Guideline(id=f"g{n}", condition=f"The customer asks about subject{n}", action="Answer it")
            for n in range(400)
        ),
    ),
)


class Customer:
    """Asks, and is told what the matcher asked about and how the turn ended."""

    def __init__(self, publisher, watch):
        self.publisher = publisher
        self.watch = watch

    async def ask(self, text):
        address = Address(TENANT, f"c-{uuid4().hex[:8]}")
        message = posted(address, "desk", text)
        outcome = self.watch.expect(message.id, text, 0)
        await self.publisher.publish([(address, message)])
        closed = await asyncio.wait_for(outcome, SECONDS_MAX)
        return {match.guideline_id for match in closed.matching.matches}, closed.outcome


async def without_meaning(stack, reason):
    """How often the matcher says that it went on without, for *reason*."""
    port = stack.services.members["matcher-1"].environ["HOLDFAST_TELEMETRY_PORT"]
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    found = [
        line for line in text.splitlines() if line.startswith("holdfast_match_without_meaning_total") and reason in line
    ]
    return sum(float(line.split()[-1]) for line in found)


async def test_what_shares_no_word_is_asked_about_by_its_meaning_and_turns_survive_the_endpoint(tmp_path):
    async with AsyncExitStack() as held:
        model = await held.enter_async_context(RehearsalServer(RehearsalSettings()))
        endpoint = RehearsalServer(RehearsalSettings(), rules={})
        await endpoint.start()
        held.push_async_callback(endpoint.stop)
        plan = StackPlan(
            folder=tmp_path / "stack",
            tenant=TENANT,
            playbook=PLAYBOOK,
            partitions=2,
            model_url=model.url,
            environ={"HOLDFAST_EMBEDDINGS_URL": endpoint.url, "HOLDFAST_EMBEDDINGS_RETRIES_MAX": "0"},
        )
        stack = await held.enter_async_context(running(plan, KafkaSettings()))
        publisher = await held.enter_async_context(Publisher(stack.kafka))
        watch = await held.enter_async_context(Watch(stack.kafka, tenant=TENANT))
        customer = Customer(publisher, watch)

        asked, outcome = await customer.ask(MISSPELT)
        assert outcome in (Outcome.ANSWERED, Outcome.NO_REPLY), "the first turn does not wait for the index"
        assert "where" not in asked
        assert await without_meaning(stack, "index") >= 1
        async with asyncio.timeout(SECONDS_MAX):
            while "where" not in asked:
                asked, outcome = await customer.ask(MISSPELT)
        assert len(asked) < len(PLAYBOOK.guidelines)

        await endpoint.stop()
        asked, outcome = await customer.ask(f"{MISSPELT} and subject7")
        assert "g7" in asked
        assert "where" not in asked
        assert outcome in (Outcome.ANSWERED, Outcome.NO_REPLY)
