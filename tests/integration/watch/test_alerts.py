"""
Every alert: silent until its fault, and firing while it lasts.

A real Prometheus watches a real stack under a steady load. Its rules are the shipped ones with minutes made seconds:
every range, offset, `for` and interval divided by sixty, every threshold as it stands (conftest.py says how). Two of
them compare an hour with the day before; yesterday.py makes that day.
"""

import asyncio
import itertools
import json
import logging
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from services.matcher.domain.compiled import ALL_MAX
from services.operator.adapters.effects import EffectsPlan, effects_playbook
from services.operator.adapters.fleet import Fleet, Member
from services.operator.adapters.inputs import read_paused, release_input
from services.operator.adapters.playbooks import publish_playbook
from services.operator.adapters.publisher import Publisher, event, posted
from services.operator.adapters.samples import bank_playbook, sample_dialogues
from services.operator.adapters.stack import STAGES, Stack, StackPlan, listening, running
from services.operator.faults.model_proxy import Misbehaviour, ModelProxy, answering
from services.operator.faults.post import message
from services.operator.toolworld.server import Manners, ToolWorld
from shared.broker.clients import KafkaSettings, admin, consumer, producer
from shared.broker.local import free_port_base
from shared.events.conversation import ConversationErased
from shared.events.envelope import Address
from shared.events.topics import CONVERSATIONS_STATE, PLAYBOOKS, TURNS_DRAFTED, TURNS_OPENED, tenant_topic
from shared.playbook.knowledge import Retriever
from shared.playbook.model import Guideline
from shared.stage.assignor import TaskAssignor
from shared.stage.settings import StageSettings
from tests.integration.watch.yesterday import judge_claims, remember_verifications

FACTOR = 60
DAY_SECONDS = 86_400
TENANT = "harbour"
FLOODER = "flooder"
"""A tenant with topics of its own."""
WATCHED = (*STAGES, "observer")
RATE = 4.0
"""Customers' messages a second, each in a conversation of its own: below a hundred in an hour nobody is called."""
PARTITIONS = 4
IN_FLIGHT_MAX = 2_000
FIRST_ORDER = 100_000
ARCHIVE = "archive"
TWIN_SECONDS = 1.5
"""Between two takeovers: more than three in ten minutes, here seconds, and the ledger goes on between them."""
STOPPED_SECONDS = 1.0
GOING_SECONDS = 5.0
"""Between two such moments: less than the fifteen minutes, here seconds, that the alert looks at."""
POLL_SECONDS = 0.5
STRANGER_SECONDS = 1.0
"""Between two visits, so that the verifier gets to its work at all."""
PATIENCE_SECONDS = 8.0
"""Of the heartbeat: a storm of rebalances alone does not outlast it."""
FIRING_SECONDS_MAX = 90.0
STUCK_SECONDS_MAX = 200.0
DEADLINE_SECONDS = 600.0
"""Of turns: longer than anything that hangs here, or they would expire and count as progress."""

log = logging.getLogger(__name__)


class Tools(ToolWorld):
    """
    A tool world that can be told to refuse a share of its calls, and to leave a share of the others unanswered; and a
    retriever, under the name `ARCHIVE`, that finds nothing.
    """

    refused = 0.0

    async def _call(self, request: web.Request) -> web.Response:
        if self._random.random() < self.refused:
            return web.json_response({"error": "no"}, status=422)
        if request.match_info["name"] == ARCHIVE:
            return web.json_response({"documents": []})
        return await super()._call(request)

    @contextmanager
    def misbehaving(self) -> Iterator[None]:
        healthy, self._manners = self._manners, Manners(lost_answer_rate=0.3)
        self.refused = 0.5
        try:
            yield
        finally:
            self._manners, self.refused = healthy, 0.0


@dataclass
class Scene:
    """What faults act on."""

    stack: Stack
    model: ModelProxy
    erring: ModelProxy
    publisher: Publisher
    tools: Tools
    agent: str
    registrar: str
    bug: Path
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    texts: tuple[str, ...] = tuple(line.text for dialogue in sample_dialogues() for line in dialogue.lines)

    async def ask(self, count: int) -> None:
        """So many customers ask, and a tenth as many want something done."""
        batch = []
        for number in itertools.islice(self.numbers, count):
            address = Address(TENANT, f"watched-{number}")
            batch.append((address, posted(address, self.agent, self.texts[number % len(self.texts)])))
            if number % 3 == 0:
                address = Address(TENANT, f"order-{number}")
                order = f"I want to register the order {FIRST_ORDER + number}"
                batch.append((address, posted(address, self.registrar, order)))
        await self.publisher.publish(batch)

    async def load(self) -> None:
        """Ask at `RATE` for ever."""
        while True:
            await self.ask(round(RATE / 2))
            await asyncio.sleep(0.5)


@asynccontextmanager
async def beside(coroutine: Awaitable[None]) -> AsyncIterator[None]:
    """*coroutine* goes on while the block lasts."""
    task = asyncio.ensure_future(coroutine)
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), f"a fault, or the load, came to an end by itself: {ended!r}"


@asynccontextmanager
async def misbehaving(scene: Scene, fault: Misbehaviour, share: float) -> AsyncIterator[None]:
    with scene.model.misbehaving(fault, share):
        yield


def poison(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Every few messages one that cannot be read."""

    async def publish() -> None:
        while True:
            post = message(Address(TENANT, f"poison-{next(scene.numbers)}"), "hello", "poison")
            await scene.publisher.publish_raw([(post.key, post.headers, b"{")])
            await asyncio.sleep(1.0)

    return beside(publish())


def bad_playbooks(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Somebody publishes playbooks that are none, past the checks."""

    async def publish() -> None:
        topic = f"{scene.stack.kafka.namespace}{PLAYBOOKS}"
        async with producer(scene.stack.kafka) as writer:
            while True:
                key = f"{TENANT}:bank:{next(scene.numbers):016x}"
                await writer.send_and_wait(topic, b"no playbook", key=key.encode())
                await asyncio.sleep(1.0)

    return beside(publish())


def strangers(scene: Scene) -> AbstractAsyncContextManager[None]:
    """A member joins the verifier's group and leaves it, again and again."""

    async def come_and_go() -> None:
        while True:
            member = consumer(scene.stack.kafka, group="verifier", partition_assignment_strategy=(TaskAssignor(),))
            member.subscribe([TURNS_DRAFTED, TURNS_OPENED])
            try:
                await member.start()
            finally:
                await member.stop()
            await asyncio.sleep(STRANGER_SECONDS)

    return beside(come_and_go())


def twins(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Others take over the ledger's transactional ids, as a process would that was given up and wakes."""

    async def fence() -> None:
        for number in itertools.cycle(range(PARTITIONS)):
            twin = producer(scene.stack.kafka, transactional_id=f"conversations.{number}")
            try:
                await twin.start()
            finally:
                await twin.stop()
            await asyncio.sleep(TWIN_SECONDS)

    return beside(fence())


def outlived(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Now and then the reasoner stands still for a moment, and turns that it did not read of meanwhile are deleted."""

    async def delete() -> None:
        reasoner = scene.stack.services.members["reasoner-1"]
        places = [TopicPartition(f"{scene.stack.kafka.namespace}{TURNS_OPENED}", n) for n in range(PARTITIONS)]
        administration = admin(scene.stack.kafka)
        await administration.start()
        try:
            async with consumer(scene.stack.kafka, group=None) as reader:
                while True:
                    reasoner.send(signal.SIGSTOP)
                    await asyncio.sleep(STOPPED_SECONDS)
                    ends = await reader.end_offsets(places)
                    await administration.delete_records({place: RecordsToDelete(end) for place, end in ends.items()})
                    reasoner.send(signal.SIGCONT)
                    await asyncio.sleep(GOING_SECONDS)
        finally:
            reasoner.send(signal.SIGCONT)
            await administration.close()

    return beside(delete())


def clocks(scene: Scene) -> AbstractAsyncContextManager[None]:
    """A turn that was opened long ago comes as if it had been opened now, as where the ledger's clock is behind."""

    async def reopen() -> None:
        topic = f"{scene.stack.kafka.namespace}{TURNS_OPENED}"
        async with consumer(scene.stack.kafka, group=None) as reader, producer(scene.stack.kafka) as writer:
            reader.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
            await reader.seek_to_beginning()
            turn = await reader.getone()
            while True:
                then = (datetime.now(UTC) - timedelta(minutes=10)).isoformat().encode()
                headers = [(name, then if name == "ce_time" else held) for name, held in turn.headers]
                await writer.send_and_wait(topic, turn.value, key=turn.key, headers=headers)
                await asyncio.sleep(POLL_SECONDS)

    return beside(reopen())


def dear(scene: Scene) -> AbstractAsyncContextManager[None]:
    """The endpoint bills a thousand times as many tokens."""

    async def bill(request: web.Request, _: random.Random) -> web.StreamResponse:
        answer = await scene.model._passed_on(request)
        body = json.loads(answer.body)
        if "usage" in body:
            body["usage"] = {name: 1000 * count for name, count in body["usage"].items() if isinstance(count, int)}
        return web.json_response(body, status=answer.status)

    return misbehaving(scene, bill, 1.0)


@asynccontextmanager
async def bad_tools(scene: Scene) -> AsyncIterator[None]:
    """Half of the calls of tools and retrievers are refused, of the others some are done and not answered."""
    with scene.tools.misbehaving():
        yield


def doubts(scene: Scene) -> AbstractAsyncContextManager[None]:
    """A model that denies what the sources say, and half of the time says something else itself."""

    async def ask_the_other(request: web.Request, _: random.Random) -> web.StreamResponse:
        return await scene.erring._passed_on(request)

    return misbehaving(scene, ask_the_other, 1.0)


def rambles(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Half of the answers are not what their schema asks."""

    async def ramble(_: web.Request, __: random.Random) -> web.StreamResponse:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "NaN"}}
        return web.json_response({"model": "rehearsal", "choices": [choice]})

    return misbehaving(scene, ramble, 0.5)


@asynccontextmanager
async def buggy(scene: Scene) -> AsyncIterator[None]:
    """A share of the turns raises in the matcher, each time it is tried."""
    scene.bug.touch()
    try:
        yield
    finally:
        scene.bug.unlink()


def away(scene: Scene) -> AbstractAsyncContextManager[None]:
    """The model's endpoint, and that of embeddings, answer with errors only."""
    return misbehaving(scene, answering((503,)), 1.0)


@asynccontextmanager
async def hangs(scene: Scene) -> AsyncIterator[None]:
    """The model answers nobody until the fault is over, and more turns come than a matcher takes in."""
    over = asyncio.Event()

    async def hang(request: web.Request, _: random.Random) -> web.StreamResponse:
        await over.wait()
        return await scene.model._passed_on(request)

    with scene.model.misbehaving(hang, 1.0):
        await scene.ask(IN_FLIGHT_MAX + 100)
        yield
    over.set()


@asynccontextmanager
async def backlog(_: Scene) -> AsyncIterator[None]:
    """What waited for the model is done late."""
    yield


@asynccontextmanager
async def dies(scene: Scene) -> AsyncIterator[None]:
    """The only verifier is killed, and stays away."""
    scene.stack.services.members["verifier-1"].send(signal.SIGKILL)
    yield


@asynccontextmanager
async def floods(scene: Scene) -> AsyncIterator[None]:
    """A tenant publishes nothing but garbage on its own topic, which is released in the end."""
    kafka = scene.stack.kafka
    async with producer(kafka) as writer:
        for _ in range(StageSettings().tenant_topic_rejected_consecutive_max):
            for partition in range(PARTITIONS):
                await writer.send_and_wait(kafka.namespace + tenant_topic(FLOODER), b"{", partition=partition)
    try:
        yield
    finally:
        await release_input(kafka, await read_paused(kafka), by="", reason="")


def damaged(scene: Scene) -> AbstractAsyncContextManager[None]:
    """States that cannot be read are found when a task is opened anew: `twins`, in the same step, sees to that."""

    async def damage() -> None:
        keys: list[Address] = []
        topic = f"{scene.stack.kafka.namespace}{CONVERSATIONS_STATE}"
        try:
            async with producer(scene.stack.kafka) as writer:
                while True:
                    keys.append(Address(TENANT, f"damaged-{next(scene.numbers)}"))
                    await writer.send_and_wait(topic, b"no state", key=keys[-1].key)
                    await asyncio.sleep(PARTITIONS * TWIN_SECONDS)
                    await scene.publisher.publish([(keys[-1], posted(keys[-1], scene.agent, "hello"))])
        finally:
            erased = [(one, event(one, "conversation.erased", ConversationErased())) for one in keys]
            await scene.publisher.publish(erased)

    return beside(damage())


Fault = Callable[[Scene], AbstractAsyncContextManager[None]]
STEPS: tuple[dict[Fault, set[str]], ...] = (
    {
        poison: {"HoldfastDeadLetters", "HoldfastManyDeadLetters"},
        bad_playbooks: {"HoldfastPlaybookRefused"},
        strangers: {"HoldfastRebalances"},
        twins: {"HoldfastTasksLost"},
        damaged: {"HoldfastQuarantine"},
        outlived: {"HoldfastRecordsLost"},
        floods: {"HoldfastInputPaused"},
        clocks: {"HoldfastClockApart"},
        dear: {"HoldfastTokenSpend"},
        bad_tools: {"HoldfastToolFails", "HoldfastToolUnknown", "HoldfastRetrieversFail"},
    },
    {
        doubts: {
            "HoldfastFewVerified",
            "HoldfastCalibrationDisagrees",
            "HoldfastVerificationDrifts",
            "HoldfastHazardDrifts",
        }
    },
    {
        rambles: {
            "HoldfastAnswersInvalid",
            "HoldfastBudgetBurnsFast",
            "HoldfastBudgetBurns",
            "HoldfastBudgetBurnsSlowly",
        },
        buggy: {"HoldfastUnexpectedErrors", "HoldfastTurnsFail"},
    },
    {away: {"HoldfastModelFails", "HoldfastCircuitOpen", "HoldfastWithoutMeaning"}},
    {dies: {"HoldfastProcessDown", "HoldfastStageDown", "HoldfastHeartbeatLost"}},
    {hangs: {"HoldfastSaturated", "HoldfastStageReadsNothing", "HoldfastStuck"}},
    {backlog: {"HoldfastEventsOld"}},
)
"""Faults that are at work at once, and what each of them awakes; one step after the other."""
PROVOKED = set().union(*(alerts for step in STEPS for alerts in step.values()))


def test_every_alert_is_provoked(rules):
    documents, _ = rules
    alerts = {
        rule["alert"]
        for document in documents
        for group in document["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }

    assert alerts == PROVOKED


def test_minutes_are_made_seconds_and_nothing_else(rules):
    documents, scaled = rules
    query = """
        sum(rate(x{window="1h"}[5m])) / holdfast:sli:ratio_rate1h > 20
        and sum(increase(y[1d] offset 15m)) > 120
    """
    given = {"groups": [{"name": "g", "interval": "5m", "rules": [{"alert": "A", "expr": query, "for": "2m"}]}]}

    [group] = scaled(given, FACTOR)["groups"]

    assert group["interval"] == "5000ms"
    assert group["rules"][0]["for"] == "2000ms"
    assert group["rules"][0]["expr"] == query.replace("[5m]", "[5000ms]").replace("[1d]", "[1440000ms]").replace(
        "offset 15m", "offset 15000ms"
    )
    number = re.compile(r"(\[|offset )\d+(?:ms|[smhd])")
    for document in documents:
        for before, after in zip(queries(document), queries(scaled(document, FACTOR)), strict=True):
            assert number.sub(r"\1", before) == number.sub(r"\1", after)


def queries(document):
    return [rule["expr"] for group in document["groups"] for rule in group["rules"]]


@asynccontextmanager
async def scene_of(folder) -> AsyncIterator[Scene]:
    """A stack with all that can go wrong: models behind a proxy, embeddings, tools, a retriever, a heartbeat."""
    async with AsyncExitStack() as exits:
        tools = Tools(Manners())
        await tools.start()
        exits.push_async_callback(tools.stop)
        aids = Fleet(folder.with_name("models"), {})
        exits.push_async_callback(aids.stop)
        errors = ("--hallucination-rate", "0.5", "--verifier-false-alarm-rate", "1")
        model = await exits.enter_async_context(ModelProxy(await rehearsal(aids, "model"), seed=1))
        erring = await exits.enter_async_context(ModelProxy(await rehearsal(aids, "erring", *errors), seed=2))
        bank = bank_playbook()
        bank = bank.model_copy(
            update={
                "guidelines": (*bank.guidelines, *others()),
                "retrievers": (Retriever(id=ARCHIVE, url=f"{tools.url}/tools/{ARCHIVE}"),),
                "limits": bank.limits.model_copy(update={"deadline_seconds": DEADLINE_SECONDS}),
                "verification": bank.verification.model_copy(update={"calibration_share": 1.0, "rounds_max": 0}),
            }
        )
        plan = StackPlan(
            folder=folder,
            tenant=TENANT,
            playbook=bank,
            stages=WATCHED,
            partitions=PARTITIONS,
            model_url=model.url,
            environ={
                "HOLDFAST_EMBEDDINGS_URL": model.url,
                "HOLDFAST_OUTGOING_PRIVATE_HOSTS": f"127.0.0.1:{tools.port}",
                "HOLDFAST_KAFKA_HEARTBEAT_INTERVAL_SECONDS": "0.3",
                "HOLDFAST_KAFKA_TENANT_TOPICS": FLOODER,
                "HOLDFAST_LLM_FIRST_BYTE_TIMEOUT_SECONDS": f"{DEADLINE_SECONDS}",
                "HOLDFAST_LLM_TOTAL_TIMEOUT_SECONDS": f"{DEADLINE_SECONDS}",
                "HOLDFAST_MATCHER_MODEL_WAIT_MAX_SECONDS": f"{DEADLINE_SECONDS}",
                "HOLDFAST_STAGE_IN_FLIGHT_MAX": f"{IN_FLIGHT_MAX}",
                "HOLDFAST_STAGE_READ_AHEAD_MAX": "0",
                "HOLDFAST_STAGE_LEDGER_TAKEOVER_WAIT_SECONDS": "0.1",
                "HOLDFAST_STAGE_DRAIN_SECONDS": "0.5",
            },
            ready_seconds_max=90.0,
        )
        stack = await exits.enter_async_context(running(plan, KafkaSettings(tenant_topics=FLOODER)))
        bug = folder.with_name("bug")
        await with_a_bug(stack.services.members["matcher-1"], bug)
        registrar = effects_playbook(EffectsPlan(port=tools.port, honours_keys=False))
        registrar = registrar.model_copy(update={"limits": bank.limits})
        await publish_playbook(stack.kafka, TENANT, registrar)
        await stack.services.start(
            "heartbeat",
            "services.operator",
            "heartbeat",
            HOLDFAST_HEARTBEAT_INTERVAL_SECONDS="0.5",
            HOLDFAST_HEARTBEAT_PATIENCE_SECONDS=f"{PATIENCE_SECONDS}",
        )
        await judge_claims(stack, TENANT, bank.agent)
        publisher = await exits.enter_async_context(Publisher(stack.kafka))
        yield Scene(stack, model, erring, publisher, tools, bank.agent, registrar.agent, bug)


async def with_a_bug(matcher: Member, bug: Path) -> None:
    """Have *matcher* run with the bug that is at work while the file *bug* exists."""
    matcher.send(signal.SIGTERM)
    await matcher.wait()
    matcher.module, matcher.arguments = "tests.integration.watch.faulty_matcher", (str(bug),)
    await matcher.start()


def others() -> list[Guideline]:
    """So many guidelines of other things that the matcher cannot ask about all, and compares meanings."""
    return [
        Guideline(id=f"other-{number}", condition=f"The customer asks about the fund {number}", action="Name its price")
        for number in range(ALL_MAX)
    ]


async def rehearsal(aids: Fleet, name: str, *flags: str) -> str:
    port = free_port_base()
    model = await aids.start(name, "shared.llm.rehearsal", "--port", str(port), *flags)
    await listening(model, port, 60.0)
    return f"http://127.0.0.1:{port}/v1"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_alert_fires_for_its_fault_and_is_silent_until_then(tmp_path, watched):
    too_early, silent = [], []
    await remember_verifications(tmp_path / "watch/data", seconds=DAY_SECONDS // FACTOR)
    async with (
        scene_of(tmp_path / "stack") as scene,
        watched(scene.stack, tmp_path / "watch", FACTOR) as server,
        beside(scene.load()),
    ):
        # Until the first scrapes every stage is down; before so many turns an alert may be silent for want of cases.
        await server.until("up", lambda found: len(found) == len(WATCHED) + 1 and all(found.values()))
        await server.until('absent(ALERTS{alertname="HoldfastStageDown"})', bool)
        begun = time.monotonic()
        await server.until("holdfast:turns:increase1h >= 100", bool, seconds_max=FIRING_SECONDS_MAX)
        for step in STEPS:
            expected = set().union(*step.values())
            past = f"[{time.monotonic() - begun:.0f}s]"
            seen = await server.values(f'max_over_time(ALERTS{{alertstate="firing"}}{past})', "alertname")
            too_early += expected & seen.keys()
            async with AsyncExitStack() as faults:
                for fault in step:
                    await faults.enter_async_context(fault(scene))
                silent += await missing(server, expected)
    assert (sorted(too_early), sorted(silent)) == ([], [])


async def missing(server, expected: set[str]) -> set[str]:
    """Those of the *expected* alerts that do not fire in time."""
    begun, waiting = time.monotonic(), set(expected)
    while waiting:
        seconds = time.monotonic() - begun
        if seconds > (STUCK_SECONDS_MAX if "HoldfastStuck" in waiting else FIRING_SECONDS_MAX):
            break
        for alert in waiting & (await server.values('ALERTS{alertstate="firing"}', "alertname")).keys():
            log.info("%s fires %.0f s into its fault", alert, seconds)
            waiting.remove(alert)
        await asyncio.sleep(POLL_SECONDS)
    return waiting
