"""
Reasoners that die before, while and after a tool executes a call, and before they are believed: the effect happens
once. The reasoner, its HTTP and the tool server are real; the ledger's part, which is to take the first word about a
leg, is played by the tests.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from services.operator.toolworld.server import Manners, ToolWorld
from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.runners import Runners
from services.reasoner.calling import Calling
from services.reasoner.domain.tools.inference import call_of
from services.reasoner.metrics import ReasonerMetrics, ToolMetrics
from services.reasoner.settings import OutgoingSection, ReasonerSection
from services.reasoner.stage import Reasoning
from shared.events.conversation import Author
from shared.events.envelope import Envelope
from shared.events.tools import Grant
from shared.events.turns import FinishResult, Matching, Turn, TurnMatched, TurnOpened, Utterance
from shared.llm.scripted import ScriptedModel
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook

NOW = datetime.now(UTC)


class WatchedWorld(ToolWorld):
    """Tells when an effect has happened; a call is not answered before `answers` is set."""

    def __init__(self, manners):
        super().__init__(manners)
        self.happened, self.answers = asyncio.Event(), asyncio.Event()
        self.answers.set()

    def _execute(self, effect, name, given):
        super()._execute(effect, name, given)
        self.happened.set()

    async def _change(self, request, name, given):
        answer = await super()._change(request, name, given)
        await self.answers.wait()
        return answer

    @property
    def counts(self):
        told = self.effects.counts()
        return told["executions"], told["doubled"]


@dataclass
class Desk:
    """Starts reasoners, each as a process of its own would be: nothing is shared but the world outside."""

    world: WatchedWorld
    keyed: bool
    open: list[Outgoing] = field(default_factory=list)

    def process(self):
        declared = {"url": f"{self.world.url}/tools/register_order", "method": "POST"}
        if self.keyed:
            declared["idempotency_header"] = "idempotency-key"
        tool = {"id": "register_order", "description": "x", "consequential": True, "http": declared}
        tool["parameters"] = [{"name": "order"}]
        directory = StaticDirectory()
        playbook = {"agent": "desk", "profile": {"name": "Desk"}, "tools": [tool]}
        self.version = directory.put("acme", Playbook.model_validate(playbook))
        section = OutgoingSection(private_hosts=f"127.0.0.1:{self.world.port}", retry_wait_first_seconds=0.01)
        outgoing = Outgoing(section)
        self.open.append(outgoing)
        registry, model, settings = CollectorRegistry(), ScriptedModel([]), ReasonerSection()
        clock = NOW.timestamp  # that of the turn, however long ago this file was read
        calling = Calling(model, Runners(outgoing, section), settings, ToolMetrics(registry), clock)
        return Reasoning(model, directory, settings, ReasonerMetrics(registry), clock, calling)

    def leg(self, claimant="", number=2):
        turn = Turn(
            id="turn-1", tenant="acme", conversation="c-1", epoch=1, leg=number, agent="desk",
            playbook_version=self.version, opened_at=NOW, deadline=NOW + timedelta(seconds=600),
        )  # fmt: skip
        grant = Grant(call=call_of("turn-1", "register_order", {"order": "123456"}), claimant=claimant)
        said = (Utterance(id="m-1", author=Author.CUSTOMER, text="register 123456", at=NOW),)
        opened = TurnOpened(turn=turn, covers=("m-1",), transcript=said, grants=(grant,))
        return Envelope(
            "e-1", "/x", "turn.matched", NOW, "c-1", TurnMatched(opened=opened, matching=Matching(active=()))
        )

    async def handled(self, process, event):
        [(_, _, finished)] = await process.process(event)
        assert finished.result is FinishResult.PAUSED
        return finished

    async def claimed(self, process):
        """The word under which *process* claims the call; nothing is done yet."""
        finished = await self.handled(process, self.leg())
        assert (finished.results, self.world.counts) == ((), (0, 0))
        return finished.claims[0].claimant


async def killed(process, event, *, after):
    """*process* is killed while it handles *event*, as soon as *after* is set."""
    task = asyncio.create_task(process.process(event))
    await after.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


@pytest.fixture
async def world():
    made = WatchedWorld(Manners())
    await made.start()
    yield made
    made.answers.set()
    await made.stop()


@pytest.fixture(params=[True, False], ids=["by-key", "by-claim"])
async def desk(request, world):
    made = Desk(world, request.param)
    yield made
    for outgoing in made.open:
        await outgoing.__aexit__()


def status(finished):
    [result] = finished.results
    return result.status


async def test_undisturbed_the_effect_happens_once_and_its_result_is_handed_in(desk, world):
    process = desk.process()
    word = "" if desk.keyed else await desk.claimed(process)
    finished = await desk.handled(process, desk.leg(word, 3))
    assert status(finished) == "done"
    assert "registered" in finished.results[0].data
    assert world.counts == (1, 0)


async def test_killed_before_it_calls(desk, world):
    """The grant is known and nothing was sent: by key the next process does it, by claim nobody can."""
    first = desk.process()
    word = "" if desk.keyed else await desk.claimed(first)
    finished = await desk.handled(desk.process(), desk.leg(word, 3))
    assert status(finished) == ("done" if desk.keyed else "unknown")
    assert world.counts == ((1, 0) if desk.keyed else (0, 0))


async def test_killed_while_the_tool_executes(desk, world):
    first = desk.process()
    word = "" if desk.keyed else await desk.claimed(first)
    world.answers.clear()
    await killed(first, desk.leg(word, 3), after=world.happened)
    world.answers.set()
    finished = await desk.handled(desk.process(), desk.leg(word, 3))
    assert status(finished) == ("done" if desk.keyed else "unknown")
    assert world.counts == (1, 0)


async def test_killed_after_the_tool_has_answered_and_before_anybody_is_told(desk, world):
    first = desk.process()
    word = "" if desk.keyed else await desk.claimed(first)
    lost = await desk.handled(first, desk.leg(word, 3))
    again = await desk.handled(desk.process(), desk.leg(word, 3))
    assert world.counts == (1, 0)
    if desk.keyed:
        assert again.results[0].data == lost.results[0].data
    else:
        assert status(again) == "unknown"


async def test_told_and_killed_before_the_record_is_acknowledged(desk, world):
    """The first word about the leg stands; the repetition in the same process or in another adds no effect."""
    first = desk.process()
    word = "" if desk.keyed else await desk.claimed(first)
    told = await desk.handled(first, desk.leg(word, 3))
    assert status(told) == "done"
    for process in (first, desk.process()):
        await desk.handled(process, desk.leg(word, 3))
    assert world.counts == (1, 0)


async def test_a_process_that_lost_its_place_and_its_successor_do_not_both_do_it(desk, world):
    """A rebalance: the former owner is at work still when the new one begins."""
    first, second = desk.process(), desk.process()
    word = "" if desk.keyed else await desk.claimed(first)
    found = await asyncio.gather(*(desk.handled(one, desk.leg(word, 3)) for one in (first, second)))
    assert world.counts == (1, 0)
    assert [status(one) for one in found] == (["done", "done"] if desk.keyed else ["done", "unknown"])


async def test_of_two_claims_the_one_that_the_ledger_took_decides_who_calls(world):
    desk = Desk(world, keyed=False)
    first, second = desk.process(), desk.process()
    word, other = await desk.claimed(first), await desk.claimed(second)
    assert word != other
    found = [await desk.handled(one, desk.leg(word, 3)) for one in (second, first)]
    assert [status(one) for one in found] == ["unknown", "done"]
    assert world.counts == (1, 0)
    for outgoing in desk.open:
        await outgoing.__aexit__()


async def test_a_tool_that_answers_to_nobody_is_not_asked_twice_without_a_key(desk, world):
    lossy = WatchedWorld(Manners(lost_answer_rate=1.0))
    await lossy.start()
    desk.world = lossy
    process = desk.process()
    word = "" if desk.keyed else await desk.claimed(process)
    finished = await desk.handled(process, desk.leg(word, 3))
    assert status(finished) == "unknown"
    assert lossy.counts == (1, 0)
    assert lossy.effects.counts()["deliveries"] == (3 if desk.keyed else 1)
    await lossy.stop()
