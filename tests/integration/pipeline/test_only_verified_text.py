"""
Whatever the verifier's model does, and whatever is killed meanwhile: every response is, by its hash, a verified draft
or a fallback that the playbook names.
"""

import asyncio
import hashlib
import json
import signal
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import pytest

from services.operator.adapters.publisher import Publisher
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.stack import Broker, StackPlan, running
from services.operator.adapters.watch import Watch
from services.operator.verification.lab import rehearsal_result
from shared.broker.clients import KafkaSettings
from shared.events import topics
from shared.events.turns import FinishResult, TurnFinished
from shared.llm.rehearsal.rules import load_rules
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.loading import load
from tests.integration.pipeline.conftest import Pipeline

pytestmark = pytest.mark.timeout(240)

MESSAGES = 40
KILLS = 4
BANK = Path(str(files("services.operator"))) / "samples" / "bank.yaml"
VERIFIERS_SCHEMAS = {"blind_answers_v2", "cross_check_v2", "edit_segments_v1"}
QUESTIONS = (
    "How long does an international transfer take?",
    "What does the current account cost a month?",
    "My card was stolen, please help!",
    "Which personal loans are there, and at how many percent?",
)


class Hanging(RehearsalServer):
    """A model that drafts, and never answers its verifier."""

    async def _complete(self, request):
        body = json.loads(await request.read())
        if body.get("response_format", {}).get("json_schema", {}).get("name") in VERIFIERS_SCHEMAS:
            await asyncio.sleep(3_600)
        return await super()._complete(request)


def agreeing(situation):
    """Every question answered by the first fact, every claim supported, every guideline performed."""
    facts = situation.sections.get("facts") or [{"id": "F1", "text": ""}]
    reply = situation.sections.get("reply", {}).get("text", "")
    words = facts[0]["text"]
    answer = {"fact": facts[0]["id"], "quote": words, "answer": "Yes.", "status": "answered"}
    guidelines = [
        {"guideline": one["guideline"], "evidence": reply, "verdict": "performed"}
        for one in situation.sections.get("guidelines", [])
    ]
    if "claims" in situation.sections:
        claims = [
            {"claim": one["claim"], "evidence": "x", "verdict": "supported"} for one in situation.sections["claims"]
        ]
        return {"claims": claims, "guidelines": guidelines}
    answers = [{"question": one["question"], **answer} for one in situation.sections.get("questions", [])]
    return {"answers": answers, "guidelines": guidelines}


def garbage(_):
    return {"answers": "yes", "claims": 7}


def rules(**changed):
    return load_rules() | changed


def model(behaviour):
    settings = RehearsalSettings(hallucination_rate=0.5)
    if behaviour == "times out":
        return Hanging(settings)
    if behaviour == "answers garbage":
        return RehearsalServer(settings, rules=rules(**dict.fromkeys(VERIFIERS_SCHEMAS, garbage)))
    return RehearsalServer(settings, rules=rules(blind_answers_v2=agreeing, cross_check_v2=agreeing))


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def place(request):
    """Where the topics live: (settings, broker)."""
    if request.param == "embedded":
        return KafkaSettings(), Broker.EMBEDDED
    node = request.getfixturevalue("kafka")
    return KafkaSettings(bootstrap_servers=node.bootstrap_servers, namespace=f"{uuid4().hex[:8]}."), Broker.OUTSIDE


async def kill_by_turns(stack):
    """Kill one service after another, and start each again, until all have had their turn."""
    for member in [*stack.services.members.values()][:KILLS]:
        await asyncio.sleep(1.0)  # work is under way again; nothing tells when it hurts most
        member.send(signal.SIGKILL)
        await member.wait()
        await member.start()


async def finished(kafka):
    """Every result of the stages, as an independent reader sees it."""
    found = []
    async with TopicReader(kafka, (topics.TURNS_FINISHED, topics.TURNS_VERIFIED)) as reader:
        while await reader.behind():
            found += [seen.event.data for seen in await reader.read()]
    return [body for body in found if isinstance(body, TurnFinished)]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("behaviour", ["times out", "answers garbage", "agrees with everything"])
async def test_every_response_is_a_verified_draft_or_a_named_fallback(tmp_path, place, behaviour):
    kafka, broker = place
    playbook = load(BANK).playbook
    limits = playbook.limits.model_copy(update={"deadline_seconds": 12.0})
    playbook = playbook.model_copy(update={"limits": limits})
    async with model(behaviour) as server:
        plan = StackPlan(
            folder=tmp_path / "stack",
            tenant="acme",
            playbook=playbook,
            broker=broker,
            partitions=4,
            model_url=server.url,
            environ={"HOLDFAST_LLM_TOTAL_TIMEOUT_SECONDS": "4", "HOLDFAST_LLM_FIRST_BYTE_TIMEOUT_SECONDS": "4"},
            ready_seconds_max=60.0,
        )
        async with (
            running(plan, kafka) as stack,
            Publisher(stack.kafka) as publisher,
            Watch(stack.kafka, tenant=plan.tenant) as watch,
        ):
            pipeline = Pipeline(stack, plan.tenant, publisher, watch)
            texts = [f"{QUESTIONS[number % len(QUESTIONS)]} ({number})" for number in range(MESSAGES)]
            bodies = [json.dumps({"agent": "bank", "author": "customer", "text": text}).encode() for text in texts]
            ids = await asyncio.gather(*(pipeline.put(f"c-{uuid4().hex[:8]}", body) for body in bodies))
            await kill_by_turns(stack)
            exchanges = [await pipeline.outcome(event_id) for event_id in ids]
            records = await finished(stack.kafka)
            report = watch.auditor.report()

    verified = {
        (body.turn.id, sha256(body.text))
        for body in records
        if body.result is FinishResult.VERIFIED and body.verification.passed and sha256(body.text) == body.text_sha256
    }
    fallbacks = {sha256(text): name for name, text in playbook.fallbacks.model_dump().items()}
    responses = [exchange for exchange in exchanges if exchange.response is not None]
    assert report.findings == ()
    assert len(responses) == MESSAGES
    for exchange in responses:
        own = sha256(exchange.response.text)
        assert own == exchange.closed.response_sha256
        assert (exchange.closed.turn.id, own) in verified or fallbacks[own] == exchange.response.fallback
    if behaviour == "agrees with everything":
        assert any(not exchange.response.fallback for exchange in responses)
    else:
        judged = [claim for exchange in exchanges if (result := rehearsal_result(exchange)) for claim in result.claims]
        assert judged
        assert [claim for claim in judged if claim.sent == "wrong"] == []
