"""Legs and approvals by a real ledger on the embedded broker; what the model stages would do is done by hand."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.stack import StackPlan, running
from services.operator.benchmarks.ledger import finished
from services.operator.cli import app
from shared.broker.clients import KafkaSettings, producer
from shared.events import topics
from shared.events.codec import encode, source_of
from shared.events.conversation import ApprovalRequested, ResponseSent
from shared.events.envelope import Address, Envelope
from shared.events.tools import Claim, ToolCall, ToolResult, ToolStatus
from shared.events.turns import FinishResult, Matching, Outcome, TurnClosed, TurnFinished, TurnOpened
from shared.events.verified import TurnVerified
from shared.playbook.model import Playbook

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

TENANT = "acme"
SECONDS_MAX = 60.0
HTTP = {"url": "https://bank.example/do", "method": "POST"}
PLAYBOOK = Playbook.model_validate(
    {
        "agent": "bank",
        "profile": {"name": "Ada"},
        "tools": [
            {"id": "block-card", "description": "Blocks a card", "http": HTTP, "consequential": True},
            {"id": "lend", "description": "Lends money", "http": HTTP, "consequential": True, "approval": True},
        ],
        "guidelines": [{"id": "all", "condition": "always", "action": "help", "tools": ["block-card", "lend"]}],
    }
)
READ = (topics.TURNS_OPENED, topics.TURNS_CLOSED, topics.CONVERSATION_RESPONSES)


class ByHand:
    """One conversation with a ledger; its stages are whoever holds this."""

    def __init__(self, kafka, reader, writing):
        self.kafka, self.reader, self.writing = kafka, reader, writing
        self.address = Address(TENANT, f"c-{uuid4().hex[:8]}")
        self.seen = []

    async def say(self, text):
        message = posted(self.address, "bank", text)
        async with Publisher(self.kafka) as publisher:
            await publisher.publish([(self.address, message)])
        return message.id

    async def next(self, kind):
        """The next record of *kind* about the conversation, in the order in which they were read."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                for place, body in enumerate(self.seen):
                    if isinstance(body, kind):
                        del self.seen[place]
                        return body
                self.seen += [seen.event.data for seen in await self.reader.read() if seen.address == self.address]

    async def finish(self, opened, event=None, **fields):
        body = TurnFinished(turn=opened.turn, stage="reasoner", result=FinishResult.PAUSED, **fields)
        event = event or Envelope(
            id=str(uuid4()),
            source=source_of(TENANT, "reasoner"),
            type="turn.finished",
            time=datetime.now(UTC),
            subject=self.address.conversation,
            data=body,
        )
        headers, value = encode(event)
        verified = isinstance(event.data, TurnVerified)
        topic = self.kafka.namespace + (topics.TURNS_VERIFIED if verified else topics.TURNS_FINISHED)
        await self.writing.send_and_wait(topic, value, key=self.address.key, headers=list(headers))

    async def holdfast(self, *arguments):
        environ = {
            "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "HOLDFAST_KAFKA_NAMESPACE": self.kafka.namespace,
            "COLUMNS": "300",
        }
        return await asyncio.to_thread(CliRunner(env=environ).invoke, app, ["approve", *arguments])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(tmp_path_factory):
    plan = StackPlan(
        folder=tmp_path_factory.mktemp("legs") / "stack",
        tenant=TENANT,
        playbook=PLAYBOOK,
        partitions=2,
        stages=("conversations",),
        model_url="http://127.0.0.1:1",
        ready_seconds_max=60.0,
    )
    async with running(plan, KafkaSettings()) as stack:

        @asynccontextmanager
        async def conversation():
            writing = producer(stack.kafka)
            await writing.start()
            try:
                async with TopicReader(stack.kafka, READ, start="end") as reader:
                    yield ByHand(stack.kafka, reader, writing)
            finally:
                await writing.stop()

        yield conversation


def call(tool, **arguments):
    return ToolCall(id=str(uuid4()), tool=tool, arguments=arguments)


def done(called):
    return ToolResult(call=called, status=ToolStatus.DONE, data={"ok": True}, at=datetime.now(UTC))


async def test_a_call_is_granted_claimed_and_reported_on_leg_by_leg(ledger):
    async with ledger() as it:
        message = await it.say("block my card")
        first = await it.next(TurnOpened)
        wanted = call("block-card", card="1234")
        await it.finish(first, calls=(wanted,), matching=Matching(active=("all",)))
        second = await it.next(TurnOpened)
        assert ([grant.call for grant in second.grants], second.matching.active) == ([wanted], ("all",))
        await it.finish(second, claims=(Claim(call_id=wanted.id, claimant="word"),))
        third = await it.next(TurnOpened)
        assert [grant.claimant for grant in third.grants] == ["word"]
        await it.finish(third, results=(done(wanted),))
        await it.finish(third, results=(done(wanted),))
        fourth = await it.next(TurnOpened)
        assert (fourth.grants, [result.call for result in fourth.results]) == ((), [wanted])
        await it.finish(fourth, finished(fourth, "e"))
        closed = await it.next(TurnClosed)
        assert (closed.outcome, closed.covers, closed.turn.leg) == (Outcome.ANSWERED, (message,), 4)
        assert (await it.next(ResponseSent)).epoch == 1


async def test_what_is_given_on_the_command_line_is_performed_by_a_turn(ledger):
    async with ledger() as it:
        await it.say("lend me 50")
        wanted = call("lend", amount=50)
        await it.finish(await it.next(TurnOpened), calls=(wanted,))
        request = await it.next(ApprovalRequested)
        assert (await it.next(TurnClosed)).reason == "approval_requested"
        assert (await it.next(ResponseSent)).fallback == "approval_requested"

        listed = await it.holdfast("list", "--tenant", TENANT)
        assert request.approval_id in listed.output
        assert json.dumps(wanted.arguments) in listed.output
        given = await it.holdfast("give", request.approval_id, "--by", "Grace")
        assert given.exit_code == 0, given.output

        opened = await it.next(TurnOpened)
        assert ([grant.call for grant in opened.grants], opened.turn.epoch) == ([wanted], 2)
        await it.finish(opened, results=(done(wanted),))
        told = await it.next(TurnOpened)
        await it.finish(told, finished(told, "e"))
        closed = await it.next(TurnClosed)
        assert (closed.outcome, [one.by for one in closed.decisions]) == (Outcome.ANSWERED, ["Grace"])
        again = await it.holdfast("give", request.approval_id)
        assert (again.exit_code, request.approval_id in again.output) == (1, True)
        assert "Grace allowed it" in again.output
        assert request.approval_id not in (await it.holdfast("list")).output


async def test_what_is_refused_is_answered_for_and_not_done(ledger):
    async with ledger() as it:
        await it.say("lend me 5000")
        await it.finish(await it.next(TurnOpened), calls=(call("lend", amount=5_000),))
        request = await it.next(ApprovalRequested)
        refused = await it.holdfast("refuse", request.approval_id, "--reason", "too much")
        assert refused.exit_code == 0, refused.output
        opened = await it.next(TurnOpened)
        assert (opened.grants, [result.status for result in opened.results]) == ((), [ToolStatus.REFUSED])


async def test_a_newer_message_takes_the_grant_along_and_a_late_result_counts(ledger):
    async with ledger() as it:
        await it.say("block my card")
        wanted = call("block-card")
        await it.finish(await it.next(TurnOpened), calls=(wanted,))
        second = await it.next(TurnOpened)
        await it.say("quickly")
        closed = await it.next(TurnClosed)
        assert (closed.outcome, closed.outstanding) == (Outcome.SUPERSEDED, (wanted.id,))
        third = await it.next(TurnOpened)
        assert [grant.call for grant in third.grants] == [wanted]
        await it.finish(second, results=(done(wanted),))
        await it.finish(third, results=(done(wanted).model_copy(update={"data": "again"}),))
        fourth = await it.next(TurnOpened)
        assert [result.data for result in fourth.results] == [{"ok": True}]
