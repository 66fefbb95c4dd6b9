"""The `holdfast` command against a running Holdfast."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest_asyncio
from click.testing import Result
from typer.testing import CliRunner

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.samples import bank_playbook
from services.operator.adapters.stack import Stack, StackPlan, running
from services.operator.adapters.watch import Watch
from services.operator.cli import app
from shared.broker.clients import KafkaSettings
from shared.events.envelope import Address
from shared.events.turns import TurnClosed

TENANT = "acme"
OUTCOME_SECONDS_MAX = 60.0


@dataclass
class Running:
    """A stack, how to speak to it as a customer, and the command as an operator would call it."""

    stack: Stack
    ask: Callable[[str, str], Awaitable[TurnClosed]]

    @property
    def kafka(self) -> KafkaSettings:
        return self.stack.kafka

    async def holdfast(self, *arguments: object) -> Result:
        environ = {
            "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "HOLDFAST_KAFKA_NAMESPACE": self.kafka.namespace,
        }
        return await asyncio.to_thread(CliRunner(env=environ).invoke, app, [str(one) for one in arguments])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def holdfast_running(tmp_path_factory) -> AsyncIterator[Running]:
    """A whole Holdfast on the embedded broker, whose model answers at once and makes no mistakes."""
    plan = StackPlan(
        folder=tmp_path_factory.mktemp("operator") / "stack",
        tenant=TENANT,
        playbook=bank_playbook(),
        partitions=4,
        ready_seconds_max=60.0,
    )
    async with (
        running(plan, KafkaSettings()) as stack,
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka, tenant=TENANT) as watch,
    ):

        async def ask(conversation: str, text: str) -> TurnClosed:
            address = Address(TENANT, conversation)
            message = posted(address, "bank", text)
            outcome = watch.expect(message.id, text, 0)
            await publisher.publish([(address, message)])
            return await asyncio.wait_for(outcome, OUTCOME_SECONDS_MAX)

        yield Running(stack, ask)
