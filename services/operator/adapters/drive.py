"""
Driving dialogues through Holdfast as customers would: asking, waiting for the answer or not, many conversations at
once.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.watch import Watch
from services.operator.domain.dialogues import Dialogue
from shared.events.envelope import Address
from shared.events.turns import TurnClosed


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How dialogues are played.

    `speed` divides the recorded pauses (0 leaves them out); with `take_turns` a customer reads the outcome before
    going on; `conversations_max` are open at once; `outcome_seconds_max` is how long a customer waits before the
    run is given up.
    """

    speed: float = 0.0
    take_turns: bool = True
    conversations_max: int = 50
    outcome_seconds_max: float = 180.0


class Unanswered(Exception):
    """A message had no outcome within the time allowed."""


@asynccontextmanager
async def playing(
    dialogues: Sequence[Dialogue], *, tenant: str, agent: str, pace: Pace, publisher: Publisher, watch: Watch
) -> AsyncIterator[asyncio.Task[None]]:
    """A task that plays *dialogues* and ends when every message has its outcome; cancelled on leaving."""
    task = asyncio.create_task(_play(dialogues, tenant, agent, pace, publisher, watch))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _play(
    dialogues: Sequence[Dialogue], tenant: str, agent: str, pace: Pace, publisher: Publisher, watch: Watch
) -> None:
    room = asyncio.Semaphore(pace.conversations_max)

    async def one(dialogue: Dialogue) -> None:
        async with room:
            await _converse(dialogue, Address(tenant, dialogue.name), agent, pace, publisher, watch)

    async with asyncio.TaskGroup() as group:
        for dialogue in dialogues:
            group.create_task(one(dialogue))


async def _converse(
    dialogue: Dialogue, address: Address, agent: str, pace: Pace, publisher: Publisher, watch: Watch
) -> None:
    waiting = []
    after = 0.0
    for line in dialogue.lines:
        if pace.speed:
            await asyncio.sleep((line.after_seconds - after) / pace.speed)
        after = line.after_seconds
        message = str(uuid4())
        outcome = watch.expect(message, line.text, time.time_ns() // 1_000_000)
        await publisher.publish([(address, posted(address, agent, line.text, event_id=message))])
        if pace.take_turns:
            await _outcome(outcome, address, pace)
        else:
            waiting.append(outcome)
    for outcome in waiting:
        await _outcome(outcome, address, pace)


async def _outcome(outcome: asyncio.Future[TurnClosed], address: Address, pace: Pace) -> None:
    try:
        await asyncio.wait_for(outcome, pace.outcome_seconds_max)
    except TimeoutError:
        raise Unanswered(
            f"{address.tenant}:{address.conversation} had no outcome within {pace.outcome_seconds_max:g} s; "
            "are the services running and reading this broker?",
        ) from None
