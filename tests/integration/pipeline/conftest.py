"""
A whole Holdfast as real processes, for the tests of this folder: once on the embedded broker, once on Apache Kafka.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from services.operator.adapters.publisher import Publisher
from services.operator.adapters.stack import Broker, Stack, StackPlan, running
from services.operator.adapters.watch import Watch
from shared.broker.clients import KafkaSettings, consumer, producer
from shared.events import topics
from shared.playbook.loading import load

SAMPLES = Path(str(files("services.operator"))) / "samples"
OUTCOME_SECONDS_MAX = 60.0


@dataclass
class Pipeline:
    """A running stack with what the tests say to it and hear from it."""

    stack: Stack
    tenant: str
    publisher: Publisher
    watch: Watch

    @property
    def kafka(self) -> KafkaSettings:
        return self.stack.kafka

    async def put(
        self, conversation, value, *, event_id=None, type_="message.posted", key=None, tenant=None, **headers
    ):
        """Publish a record as a foreign client would, byte for byte; a header given as None is left out."""
        tenant = tenant or self.tenant
        event_id = event_id or str(uuid4())
        attributes = {
            "ce_specversion": "1.0",
            "ce_id": event_id,
            "ce_source": f"/tenants/{tenant}",
            "ce_type": type_,
            "ce_time": datetime.now(UTC).isoformat(),
            "ce_subject": conversation,
            "content-type": "application/json",
        } | headers
        if type_ == "message.posted":
            self.watch.expect(event_id, "", time.time_ns() // 1_000_000)
        writing = producer(self.kafka, max_request_size=8_000_000)
        await writing.start()
        try:
            await writing.send_and_wait(
                self.kafka.namespace + topics.CONVERSATION_EVENTS,
                value,
                key=key or f"{tenant}:{conversation}".encode(),
                headers=[(name, text.encode()) for name, text in attributes.items() if text is not None],
            )
        finally:
            await writing.stop()
        return event_id

    async def outcome(self, event_id):
        """The exchange whose turn covers the message *event_id*."""
        until = time.monotonic() + OUTCOME_SECONDS_MAX
        while time.monotonic() < until:
            for exchange in list(self.watch.exchanges.values()):
                if event_id in exchange.closed.covers:
                    return exchange
            self.watch.check()
            self.stack.check()
            await asyncio.sleep(0.1)
        raise AssertionError(f"{event_id} had no outcome within {OUTCOME_SECONDS_MAX:g} s")

    async def dead_letter(self, event_id=b"", *, reason):
        """The dead letter of *reason* whose original `ce_id` is *event_id*; (key, value, headers)."""
        reading = consumer(self.kafka, group=None)
        reading.subscribe([self.kafka.namespace + topics.DEAD_LETTERS])
        await reading.start()
        until = time.monotonic() + OUTCOME_SECONDS_MAX
        try:
            while time.monotonic() < until:
                for records in (await reading.getmany(timeout_ms=200)).values():
                    for record in records:
                        headers = dict(record.headers)
                        if (
                            headers.get("x-holdfast-reason") == reason.encode()
                            and headers.get("ce_id", b"") == event_id
                        ):
                            return record.key, record.value, headers
        finally:
            await reading.stop()
        raise AssertionError(f"no dead letter {reason} of {event_id!r} within {OUTCOME_SECONDS_MAX:g} s")


def _plan(folder: Path, tenant: str, broker: Broker, **changes) -> StackPlan:
    return StackPlan(
        folder=folder,
        tenant=tenant,
        playbook=load(SAMPLES / "bank.yaml").playbook,
        broker=broker,
        partitions=4,
        ready_seconds_max=60.0,
        **changes,
    )


@asynccontextmanager
async def started(folder: Path, kafka: KafkaSettings, broker: Broker, **changes) -> AsyncIterator[Pipeline]:
    """A running pipeline."""
    plan = _plan(folder / "stack", "acme", broker, **changes)
    async with (
        running(plan, kafka) as stack,
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka, tenant=plan.tenant) as watch,
    ):
        yield Pipeline(stack, plan.tenant, publisher, watch)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)]
)
async def pipeline(request, tmp_path_factory) -> AsyncIterator[Pipeline]:
    """A pipeline with a model that answers at once, for all tests of a module."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "kafka":
        node = request.getfixturevalue("kafka")
        kafka = KafkaSettings(bootstrap_servers=node.bootstrap_servers, namespace=f"{uuid4().hex[:8]}.")
        broker = Broker.OUTSIDE
    else:
        kafka, broker = KafkaSettings(), Broker.EMBEDDED
    async with started(folder, kafka, broker) as built:
        yield built


@pytest.fixture
def start_pipeline(tmp_path) -> Callable[..., AbstractAsyncContextManager[Pipeline]]:
    """Starts a pipeline of one's own on the embedded broker, with changes to its `StackPlan`."""
    return partial(started, tmp_path, KafkaSettings(), Broker.EMBEDDED)
