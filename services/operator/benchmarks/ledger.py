"""
`holdfast bench ledger`: events per CPU-second through the conversations service, against a bare consume → produce
chain.

Each message goes through the service twice, as an event and as a finished turn; the chain has two hops too, and
carries the same records over the same broker.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import NewTopic

from services.operator.adapters.fleet import Fleet
from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.stack import Stack
from services.operator.domain.workload import Message
from shared.broker.clients import KafkaSettings, admin, consumer, producer
from shared.events import topics
from shared.events.base import Body
from shared.events.claims import ClaimKind, Judge, ReasoningMode, Verdict
from shared.events.codec import encode, source_of
from shared.events.envelope import Address, Envelope, derived_id
from shared.events.turns import (
    ClaimVerdict,
    Draft,
    FactRecord,
    FinishResult,
    Segment,
    SegmentKind,
    TurnOpened,
    Verification,
)
from shared.events.verified import TurnVerified

REPLY = "A domestic transfer arrives within 1 working day. An international transfer takes 3 to 5 working days."
BATCH = 500


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """Events per CPU-second of the service and of the chain, and what one event costs each, microseconds of CPU."""

    events: int
    service_us: float
    chain_us: float

    @property
    def share(self) -> float:
        """The service's events per CPU-second as a share of the chain's."""
        return self.chain_us / self.service_us


async def measure(stack: Stack, load: list[Message], *, tenant: str, agent: str) -> LedgerFigures:
    """Run *load* through the conversations service of *stack*, then the same number of records through the chain."""
    service_us = await _service(stack, load, tenant, agent)
    chain_us = await _chain(stack, load, tenant, agent)
    return LedgerFigures(2 * len(load), service_us, chain_us)


async def _service(stack: Stack, load: list[Message], tenant: str, agent: str) -> float:
    member = stack.services.members["conversations-1"]
    async with (
        Publisher(stack.kafka) as publisher,
        TopicReader(stack.kafka, [topics.TURNS_OPENED], start="end") as opened,
        TopicReader(stack.kafka, [topics.TURNS_CLOSED], start="end") as closed,
        _finisher(stack.kafka, opened),
    ):
        before = member.cpu_seconds()
        await _publish(publisher, load, tenant, agent)
        seen = 0
        while seen < len(load):
            seen += len(await closed.read(wait_seconds=0.5))
            stack.check()
        return (member.cpu_seconds() - before) / (2 * len(load)) * 1e6


async def _chain(stack: Stack, load: list[Message], tenant: str, agent: str) -> float:
    names = ["bench.middle", "bench.end"]
    async with _topics(stack.kafka, names):
        hops = Fleet(stack.services.folder, {"HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": stack.kafka.bootstrap_servers})
        source = stack.kafka.namespace + topics.CONVERSATION_EVENTS
        module = "services.operator.benchmarks.bare_chain"
        members = [
            await hops.start("chain-1", module, source, names[0]),
            await hops.start("chain-2", module, names[0], names[1]),
        ]
        try:
            await _drained(stack.kafka, names[1], len(load))  # what the service's run left in the source topic: warm-up
            before = sum(member.cpu_seconds() for member in members)
            async with Publisher(stack.kafka) as publisher:
                await _publish(publisher, load, tenant, agent)
            await _drained(stack.kafka, names[1], 2 * len(load))
            return (sum(member.cpu_seconds() for member in members) - before) / (2 * len(load)) * 1e6
        finally:
            await hops.stop()


async def _publish(publisher: Publisher, load: list[Message], tenant: str, agent: str) -> None:
    for begin in range(0, len(load), BATCH):
        await publisher.publish(
            [
                (address := Address(tenant, message.conversation), posted(address, agent, message.text))
                for message in load[begin : begin + BATCH]
            ],
        )


@asynccontextmanager
async def _finisher(kafka: KafkaSettings, opened: TopicReader) -> AsyncIterator[None]:
    """Stands in for the model stages: every opened turn is finished at once with the same verified reply."""

    async def finish() -> None:
        writing = producer(kafka, linger_ms=5)
        await writing.start()
        try:
            while True:
                for seen in await opened.read():
                    if isinstance(seen.event.data, TurnOpened):
                        headers, value = encode(finished(seen.event.data, seen.event.id))
                        await writing.send(
                            kafka.namespace + topics.TURNS_VERIFIED,
                            value,
                            key=seen.address.key,
                            headers=list(headers),
                            partition=seen.partition,
                        )
        finally:
            await writing.stop()

    task = asyncio.create_task(finish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def finished(opened: TurnOpened, causation: str) -> Envelope[Body]:
    """A verified reply of two claims for *opened*, as a verifier would hand it on."""
    turn = opened.turn
    digest = hashlib.sha256(REPLY.encode()).hexdigest()
    segments = tuple(
        Segment(
            kind=SegmentKind.CLAIM, text=f"{part.strip().rstrip('.')}.", fact_ids=("f1",), claim_kind=ClaimKind.NUMBER
        )
        for part in REPLY.split(". ")
    )
    body = TurnVerified(
        turn=turn,
        stage="verifier",
        result=FinishResult.VERIFIED,
        text=REPLY,
        text_sha256=digest,
        draft=Draft(
            mode=ReasoningMode.ARQ, segments=segments, facts=(FactRecord(id="f1", text=REPLY, source="playbook"),)
        ),
        verification=Verification(
            passed=True,
            verified_by=Judge.CODE,
            draft_sha256=digest,
            claims=tuple(
                ClaimVerdict(
                    position=number,
                    kind=ClaimKind.NUMBER,
                    text=segment.text,
                    draft_verdict=Verdict.SUPPORTED,
                    final_verdict=Verdict.SUPPORTED,
                    judge=Judge.CODE,
                )
                for number, segment in enumerate(segments, start=1)
            ),
        ),
    )
    return Envelope(
        id=derived_id(turn.id, turn.leg, "turn.verified"),
        source=source_of(turn.tenant, "verifier"),
        type="turn.verified",
        time=turn.opened_at,
        subject=turn.conversation,
        data=body,
        correlation_id=turn.id,
        causation_id=causation,
    )


@asynccontextmanager
async def _topics(kafka: KafkaSettings, names: list[str]) -> AsyncIterator[None]:
    client = admin(kafka)
    await client.start()
    try:
        await client.create_topics([NewTopic(name, 8, 1) for name in names])
        yield
        await client.delete_topics(names)
    finally:
        await client.close()


async def _drained(kafka: KafkaSettings, topic: str, count: int) -> None:
    reading = consumer(kafka, group=None, isolation_level="read_uncommitted")
    reading.subscribe([topic])
    await reading.start()
    try:
        seen = 0
        while seen < count:
            seen += sum(len(records) for records in (await reading.getmany(timeout_ms=500)).values())
    finally:
        await reading.stop()
