"""
A person who allows, or refuses, whatever is asked: for demonstrations and trials.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.operator.adapters.publisher import Publisher, event
from services.operator.adapters.reader import TopicReader
from shared.broker.clients import KafkaSettings
from shared.events import topics
from shared.events.conversation import ApprovalGiven, ApprovalRequested
from shared.events.envelope import Address


@dataclass(slots=True)
class Approver:
    """Answers every request of *tenant*; `decided` holds the requests, with their conversations."""

    kafka: KafkaSettings
    tenant: str
    grants: bool = True
    decided: list[tuple[Address, ApprovalRequested]] = field(default_factory=list)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Approver"]:
        """Answer requests, from the beginning of the topic, until the block is left."""
        task = asyncio.create_task(self._follow())
        try:
            yield self
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        async with TopicReader(self.kafka, [topics.CONVERSATION_RESPONSES]) as reader, Publisher(self.kafka) as desk:
            while True:
                for seen in await reader.read():
                    asked = seen.event.data
                    if isinstance(asked, ApprovalRequested) and seen.address.tenant == self.tenant:
                        given = ApprovalGiven(
                            approval_id=asked.approval_id,
                            granted=self.grants,
                            digest=asked.digest,
                            by="the trial's desk",
                        )
                        await desk.publish([(seen.address, event(seen.address, "approval.given", given))])
                        self.decided.append((seen.address, asked))
