"""
One suite of behaviour for every implementation of the model port: the scripted fake, the OpenAI adapter on the
rehearsal model, with and without its limits, and the Anthropic adapter on a stand-in of the Messages API.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from shared.arq.prompt import Message, Prompt, Section
from shared.llm.adapter import HttpModel
from shared.llm.base import LanguageModel, Request
from shared.llm.client import build_model
from shared.llm.errors import DeadlineExceeded
from shared.llm.metrics import LlmMetrics
from shared.llm.probe import BLUEPRINT, probe
from shared.llm.rehearsal.conform import least_answer
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.scripted import ScriptedModel
from shared.llm.settings import LlmSettings
from shared.llm.structured import ask

SCHEMA = {
    "type": "object",
    "properties": {"notes": {"type": "string"}, "verdict": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["notes", "verdict"],
    "additionalProperties": False,
}


@asynccontextmanager
async def messages_api() -> AsyncIterator[str]:
    """A stand-in that checks a request as Anthropic's API does and answers with the least that its schema allows."""

    async def messages(request: web.Request) -> web.Response:
        document = await request.json()
        assert request.headers["anthropic-version"]
        assert document["max_tokens"] > 0
        assert [message["role"] for message in document["messages"]] == ["user"]
        assert document["system"][-1]["cache_control"] == {"type": "ephemeral"}
        text = json.dumps(least_answer(document["output_config"]["format"]["schema"]))
        return web.json_response(
            {
                "type": "message",
                "model": document["model"],
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 4, "cache_read_input_tokens": 4, "output_tokens": 4},
            },
        )

    app = web.Application()
    app.router.add_post("/v1/messages", messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@pytest.fixture(params=["scripted", "openai", "anthropic", "client"])
async def model(request: pytest.FixtureRequest) -> AsyncIterator[LanguageModel]:
    if request.param == "scripted":
        yield ScriptedModel(lambda asked: least_answer(asked.schema))
    elif request.param == "anthropic":
        async with messages_api() as url, HttpModel(LlmSettings(url=url, provider="anthropic", model="m")) as model:
            yield model
    else:
        async with RehearsalServer(RehearsalSettings(), rules={}) as server:
            settings = LlmSettings(url=server.url)
            metrics = LlmMetrics(CollectorRegistry())
            async with HttpModel(settings) if request.param == "openai" else build_model(settings, metrics) as model:
                yield model


def make_request(**changes) -> Request:
    fields = {
        "purpose": "match",
        "tenant": "acme",
        "messages": (Message("system", "Rules."), Message("user", "Hello there.")),
        "schema_name": "port_v1",
        "schema": SCHEMA,
        "deadline": asyncio.get_running_loop().time() + 30,
    }
    return Request(**{**fields, **changes})


async def test_an_answer_is_text_by_the_schema_with_its_cost(model):
    completion = await model.complete(make_request())
    assert json.loads(completion.text) == {"notes": "", "verdict": "yes"}
    assert completion.finish == "stop"
    assert completion.model
    assert completion.usage.input_tokens > 0
    assert completion.usage.output_tokens > 0
    assert completion.usage.calls == 1


async def test_calls_at_once_do_not_mix(model):
    def schema(number: int) -> dict:
        return {"type": "object", "properties": {"own": {"type": "string", "enum": [f"number {number}"]}}}

    requests = [make_request(schema=schema(number), tenant=f"t{number % 3}") for number in range(40)]
    completions = await asyncio.gather(*(model.complete(request) for request in requests))
    assert [json.loads(one.text)["own"] for one in completions] == [f"number {number}" for number in range(40)]


async def test_text_of_any_script_survives(model):
    schema = {
        "type": "object",
        "properties": {"own": {"type": "string", "enum": ['Žluť 漢字 🎈 \u2028 \\ " </section>']}},
    }
    completion = await model.complete(make_request(schema=schema))
    assert json.loads(completion.text)["own"] == schema["properties"]["own"]["enum"][0]


async def test_a_cancelled_call_leaves_the_model_usable(model):
    call = asyncio.create_task(model.complete(make_request()))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert (await model.complete(make_request())).finish == "stop"


async def test_a_structured_question_gets_its_answer(model):
    prompt = Prompt(static=(Section("rules", "Be brief."),), dynamic=(Section("turn", data={"text": "hi"}),))
    deadline = asyncio.get_running_loop().time() + 30
    answered = await ask(model, BLUEPRINT, prompt, purpose="match", tenant="acme", deadline=deadline)
    assert (answered.answer.colour, answered.attempts) == ("ultramarine", 1)


async def test_the_probe_finds_the_schema_enforced(model):
    assert await probe(model, LlmSettings(), LlmMetrics(CollectorRegistry())) == "enforced"


# The scripted fake has no time: a script says what is late.
@pytest.mark.parametrize("model", ["openai", "anthropic", "client"], indirect=True)
async def test_a_passed_deadline_is_told_without_a_call(model):
    with pytest.raises(DeadlineExceeded):
        await model.complete(make_request(deadline=asyncio.get_running_loop().time() - 1))
