"""
Playing scenarios: `turn.opened` for a running matcher, and the `turn.matched` that comes back.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.operator.adapters.playbooks import publishing
from services.operator.adapters.publisher import event
from services.operator.adapters.reader import TopicReader
from services.operator.evaluation.distractors import distractors
from services.operator.evaluation.result import Result, accepted, observed, strays
from services.operator.evaluation.scenario import Scenario
from shared.broker.clients import KafkaSettings, producer
from shared.errors import Fatal
from shared.events import topics
from shared.events.codec import encode
from shared.events.conversation import Author
from shared.events.envelope import Address, derived_id
from shared.events.turns import (
    Applied,
    JourneyPosition,
    Matching,
    MatchVerdict,
    Turn,
    TurnFinished,
    TurnMatched,
    TurnOpened,
    Utterance,
)
from shared.playbook.model import Playbook
from shared.playbook.topic import Published

TENANT = "evaluation"
GRACE_SECONDS = 15.0
"""Beyond a turn's deadline, that its decision may still be under way."""
_AUTHORS = {"customer": Author.CUSTOMER, "agent": Author.ASSISTANT}


@dataclass(frozen=True, slots=True)
class Play:
    """One scenario to be played for the *repeat*-th time, padded to *guidelines*."""

    scenario: Scenario
    guidelines: int
    repeat: int
    fingerprint: str

    @property
    def agent(self) -> str:
        """Whose playbook it is played with: that of its fingerprint."""
        return f"s-{self.fingerprint}"

    @property
    def turn(self) -> str:
        """The turn's id, the same whenever it is played again, so that recorded answers are found by it."""
        return derived_id("evaluation", self.fingerprint, self.repeat)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to play: *turn_seconds_max* from a turn's opening to its deadline, *open_max* turns at once."""

    model: str
    repeats: int = 1
    sizes: tuple[int, ...] = (0,)
    open_max: int = 16
    turn_seconds_max: float = 60.0


def plays(scenarios: Iterable[Scenario], plan: Plan, done: Mapping[tuple[str, int], Result]) -> list[Play]:
    """What is to be played: every scenario in every size and repeat, but for what *done* holds a final result of."""
    found = []
    for scenario in scenarios:
        for size in dict.fromkeys(max(size, len(scenario.guidelines)) for size in plan.sizes):
            fingerprint = scenario.fingerprint(size, plan.model)
            for repeat in range(1, plan.repeats + 1):
                earlier = done.get((fingerprint, repeat))
                if earlier is None or not earlier.is_final:
                    found.append(Play(scenario, size, repeat, fingerprint))
    return found


async def run(kafka: KafkaSettings, todo: Sequence[Play], plan: Plan, keep: Callable[[Result], None]) -> None:
    """
    Play *todo* through the matcher that listens at *kafka*, and hand each result to *keep* when it is there.

    Raises:
        Fatal: a topic is missing, or a playbook could not be published.

    """
    places = asyncio.Semaphore(plan.open_max)
    async with publishing(kafka) as publish, _decisions(kafka) as desk:
        versions: dict[str, asyncio.Task[Published]] = {}

        async def one(play: Play) -> None:
            async with places:
                if play.agent not in versions:
                    versions[play.agent] = group.create_task(_published(publish, play))
                keep(await desk.decided(play, (await versions[play.agent]).version, plan))

        try:
            async with asyncio.TaskGroup() as group:
                for play in todo:
                    group.create_task(one(play))
        except ExceptionGroup as found:
            raise found.exceptions[0] from None  # the others are its consequence, or the same


async def _published(publish: Callable[[str, Playbook], Awaitable[Published]], play: Play) -> Published:
    padding = distractors(play.scenario, play.guidelines)
    return await publish(TENANT, play.scenario.playbook(play.agent, padding))


@dataclass(slots=True)
class _Desk:
    """Opens turns, and waits for what becomes of them."""

    kafka: KafkaSettings
    publish: Callable[[Address, TurnOpened], "asyncio.Future[object]"]
    waiting: dict[str, asyncio.Future[TurnMatched | TurnFinished]] = field(default_factory=dict)

    async def decided(self, play: Play, version: str, plan: Plan) -> Result:
        """The result of *play*; a failure where no decision came in time."""
        address = Address(TENANT, f"{play.fingerprint}-{play.repeat}")
        future = self.waiting[play.turn] = asyncio.get_running_loop().create_future()
        begun = time.monotonic()
        try:
            await self.publish(address, opened(play, address, version, datetime.now(UTC), plan.turn_seconds_max))
            outcome = await asyncio.wait_for(future, plan.turn_seconds_max + GRACE_SECONDS)
        except TimeoutError:
            return _result(play, None, time.monotonic() - begun, failure="no_answer")
        finally:
            del self.waiting[play.turn]
        seconds = time.monotonic() - begun
        if isinstance(outcome, TurnFinished):
            return _result(play, None, seconds, failure=outcome.reason or str(outcome.result))
        return _result(play, outcome.matching, seconds)

    async def follow(self, reader: TopicReader) -> None:
        """Hand on what is read until cancelled."""
        while True:
            for seen in await reader.read():
                body = seen.event.data
                if isinstance(body, TurnMatched | TurnFinished) and seen.address.tenant == TENANT:
                    future = self.waiting.get(seen.event.correlation_id)
                    if future is not None and not future.done():
                        future.set_result(body)


@contextlib.asynccontextmanager
async def _decisions(kafka: KafkaSettings) -> AsyncIterator[_Desk]:
    writing = producer(kafka)
    await writing.start()
    topic = kafka.namespace + topics.TURNS_OPENED

    async def publish(address: Address, body: TurnOpened) -> object:
        envelope = event(address, "turn.opened", body, event_id=body.turn.id)
        headers, value = encode(envelope)
        return await writing.send_and_wait(topic, value, key=address.key, headers=list(headers))

    desk = _Desk(kafka, lambda address, body: asyncio.ensure_future(publish(address, body)))
    try:
        async with TopicReader(kafka, (topics.TURNS_MATCHED, topics.TURNS_FINISHED), start="end") as reader:
            following = asyncio.create_task(desk.follow(reader))
            try:
                yield desk
            finally:
                following.cancel()
                ended = (await asyncio.gather(following, return_exceptions=True))[0]
                if not isinstance(ended, asyncio.CancelledError):
                    raise Fatal(f"the decisions could not be read any more: {ended!r}")
    finally:
        await writing.stop()


def opened(play: Play, address: Address, version: str, now: datetime, seconds_max: float) -> TurnOpened:
    """The turn that *play* begins: its newest messages of the customer wait for an answer."""
    scenario = play.scenario
    transcript = tuple(
        Utterance(id=f"m{place}", author=_AUTHORS[line.source], text=line.text, at=now)
        for place, line in enumerate(scenario.conversation, start=1)
    )
    answered = max((place for place, one in enumerate(transcript) if one.author is not Author.CUSTOMER), default=-1)
    positions = {}
    if scenario.journey is not None and scenario.path:
        positions[scenario.journey.id] = JourneyPosition(path=scenario.path)
    return TurnOpened(
        turn=Turn(
            id=play.turn,
            tenant=address.tenant,
            conversation=address.conversation,
            epoch=2,
            agent=play.agent,
            playbook_version=version,
            opened_at=now,
            deadline=now + timedelta(seconds=seconds_max),
        ),
        covers=tuple(one.id for one in transcript[answered + 1 :]),
        transcript=transcript,
        applied={name: Applied(count=1, epoch=1) for name in scenario.applied},
        journeys=positions,
        variables=scenario.variables,
    )


def _result(play: Play, matching: Matching | None, seconds: float, *, failure: str = "") -> Result:
    scenario = play.scenario
    decided = observed(scenario, matching) if matching else ()
    spent = matching.spent if matching else None
    return Result(
        fingerprint=play.fingerprint,
        repeat=play.repeat,
        scenario=scenario.id,
        area=scenario.area,
        guidelines=play.guidelines,
        expected=accepted(scenario, decided),
        observed=decided,
        unknown=sum(match.verdict is MatchVerdict.UNKNOWN for match in matching.matches) if matching else 0,
        strays=strays(matching) if matching else 0,
        calls=spent.calls if spent else 0,
        input_tokens=spent.input_tokens if spent else 0,
        output_tokens=spent.output_tokens if spent else 0,
        model=spent.model if spent else "",
        seconds=round(seconds, 3),
        failure=failure,
    )
