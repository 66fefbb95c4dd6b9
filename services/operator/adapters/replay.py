"""
Recording turns from the topics, and having the stages decide them anew on topics of their own.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from services.operator.adapters.playbooks import known_playbooks, publish_playbook
from services.operator.adapters.publisher import event
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.scan import scan
from services.operator.adapters.stack import Stack
from services.operator.domain.replay import Decision, RecordedTurn, decision_of, recorded
from shared.broker.clients import KafkaSettings, producer
from shared.errors import Fatal, Invalid
from shared.events import topics
from shared.events.base import Body
from shared.events.codec import decode, encode
from shared.events.envelope import Address, derived_id
from shared.events.turns import TurnClosed, TurnFinished, TurnOpened
from shared.playbook.model import Playbook

GRACE_SECONDS = 15.0
"""Beyond a turn's deadline, that its decision may still be under way."""
NO_ANSWER = Decision(outcome="no answer")
"""Of a turn that the stages did not end in time."""

B = TypeVar("B", bound=Body)
Key = tuple[str, str]
"""Tenant and agent."""


@dataclass(slots=True)
class Recording:
    """Turns, the playbooks that decided them by tenant, agent and version, and how many were left out, and why."""

    turns: list[RecordedTurn]
    playbooks: dict[tuple[str, str, str], Playbook] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


async def record(kafka: KafkaSettings, tenant: str, agent: str, *, since_ms: int, turns_max: int) -> Recording:
    """
    The newest *turns_max* turns of *tenant* and *agent* that the topics still hold whole, with their playbooks.

    Raises:
        Fatal: a topic does not exist, or the playbooks could not be read.

    """

    def wanted(body: TurnOpened | TurnFinished | TurnClosed) -> bool:
        return (body.turn.tenant, body.turn.agent) == (tenant, agent)

    opened = [one for one in await _bodies(kafka, topics.TURNS_OPENED, TurnOpened, since_ms) if wanted(one)]
    finished = [
        one
        for topic in (topics.TURNS_FINISHED, topics.TURNS_VERIFIED)
        for one in await _bodies(kafka, topic, TurnFinished, since_ms)
        if wanted(one)
    ]
    closings = await _bodies(kafka, topics.TURNS_CLOSED, TurnClosed, since_ms)
    turns, left_out = recorded(opened, finished, {one.turn.id: one for one in closings if wanted(one)})
    found = Recording(turns[-turns_max:], left_out=left_out)
    async with known_playbooks(kafka) as known:
        for version in {one.opened.turn.playbook_version for one in found.turns}:
            if (playbook := known.version(tenant, agent, version)) is not None:
                found.playbooks[tenant, agent, version] = playbook
    return found


def write(recording: Recording, path: Path) -> None:
    """Keep *recording* in *path*: a JSON object a line. What customers said is in it: keep it as you keep that."""
    with path.open("w", encoding="utf-8") as file:
        for (tenant, _, version), playbook in recording.playbooks.items():
            body = json.loads(playbook.model_dump_json(exclude_defaults=True))
            file.write(json.dumps({"tenant": tenant, "version": version, "playbook": body}) + "\n")
        for turn in recording.turns:
            file.write(turn.model_dump_json(exclude_defaults=True) + "\n")


def read(path: Path) -> Recording:
    """
    What `write` kept.

    Raises:
        Fatal: a line is neither a playbook nor a turn; the message names it.

    """
    found = Recording([])
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            if "playbook" in row:
                playbook = Playbook.model_validate_json(json.dumps(row["playbook"]))
                found.playbooks[row["tenant"], playbook.agent, row["version"]] = playbook
            else:
                found.turns.append(RecordedTurn.model_validate_json(line))
        except (ValidationError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise Fatal(f"{path}, line {number}: no recorded turn ({type(error).__name__}); record it anew") from None
    if not found.turns:
        raise Fatal(f"{path}: no turn is recorded in it")
    return found


@dataclass(frozen=True, slots=True)
class Run:
    """How turns are decided: *repeats* times each, *open_max* at once, *turn_seconds_max* from opening to deadline."""

    side: str
    repeats: int
    open_max: int
    turn_seconds_max: float


async def decide(
    stack: Stack,
    turns: Sequence[RecordedTurn],
    playbook_of: Callable[[RecordedTurn], Playbook],
    run: Run,
    advance: Callable[[], None],
) -> list[list[Decision]]:
    """
    The decisions of the stages of *stack* on each of *turns*, in their order.

    No call that changes anything is executed: the turns come without grants.

    Raises:
        Fatal: a process of the stack ended.

    """
    versions: dict[tuple[Key, str], str] = {}
    for turn in turns:
        playbook = playbook_of(turn)
        key = (turn.opened.turn.tenant, playbook.agent)
        name = (key, playbook.model_dump_json())
        if name not in versions:
            versions[name] = (await publish_playbook(stack.kafka, key[0], playbook)).version

    def version_of(turn: RecordedTurn) -> str:
        playbook = playbook_of(turn)
        return versions[(turn.opened.turn.tenant, playbook.agent), playbook.model_dump_json()]

    places = asyncio.Semaphore(run.open_max)
    waiting: dict[str, asyncio.Future[Decision]] = {}
    topic = stack.kafka.namespace + topics.TURNS_OPENED

    async with (
        producer(stack.kafka) as writing,
        TopicReader(stack.kafka, [topics.TURNS_FINISHED, topics.TURNS_VERIFIED], start="end") as reader,
    ):

        async def one(turn: RecordedTurn, repeat: int) -> Decision:
            async with places:
                opened = again(turn.opened, version_of(turn), run, repeat, datetime.now(UTC))
                address = Address(opened.turn.tenant, opened.turn.conversation)
                waiting[opened.turn.id] = future = asyncio.get_running_loop().create_future()
                headers, value = encode(event(address, "turn.opened", opened, event_id=opened.turn.id))
                await writing.send_and_wait(topic, value, key=address.key, headers=list(headers))
                try:
                    return await asyncio.wait_for(future, run.turn_seconds_max + GRACE_SECONDS)
                except TimeoutError:
                    return NO_ANSWER
                finally:
                    advance()

        following = asyncio.create_task(_follow(stack, reader, waiting))
        deciding = asyncio.gather(*(one(turn, repeat) for turn in turns for repeat in range(run.repeats)))
        try:
            await asyncio.wait((following, deciding), return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            found = await deciding
        finally:
            for task in (following, deciding):
                task.cancel()
            await asyncio.gather(following, deciding, return_exceptions=True)
    return [found[at : at + run.repeats] for at in range(0, len(found), run.repeats)]


def again(opened: TurnOpened, version: str, run: Run, repeat: int, now: datetime) -> TurnOpened:
    """*opened* as a turn of a conversation of its own, under *version*, without leave to change anything."""
    name = derived_id("replay", opened.turn.id, run.side, repeat)
    turn = opened.turn.model_copy(
        update={
            "id": name,
            # Stages drop a turn that is not its conversation's newest, and these are decided at once.
            "conversation": f"replay-{name}",
            "playbook_version": version,
            "opened_at": now,
            "deadline": now + timedelta(seconds=run.turn_seconds_max),
        }
    )
    return opened.model_copy(update={"turn": turn, "grants": (), "marks": ()})


async def _follow(stack: Stack, reader: TopicReader, waiting: dict[str, "asyncio.Future[Decision]"]) -> None:
    while True:
        for seen in await reader.read(wait_seconds=0.5):
            if isinstance(seen.event.data, TurnFinished):
                future = waiting.get(seen.event.data.turn.id)
                if future is not None and not future.done():
                    future.set_result(decision_of(seen.event.data))
        stack.check()


async def _bodies(kafka: KafkaSettings, topic: str, kind: type[B], since_ms: int) -> list[B]:
    found = []
    async for one in scan(kafka, topic, since_ms=since_ms):
        try:
            body = decode(topics.TOPICS[topic].types, one.key, one.headers, one.value).data
        except Invalid:
            continue  # it is on dead.letters
        if isinstance(body, kind):
            found.append(body)
    return found
