"""
What is sent to an OpenAI-compatible endpoint, and how its answers are read.
"""

import json

import httpx
import pytest
from structlog.testing import capture_logs

from shared.arq.prompt import Message
from shared.llm.adapter import HttpModel
from shared.llm.base import Usage
from shared.llm.errors import ModelUnavailable
from shared.llm.openai import payload, read
from shared.llm.settings import LlmSettings


def choice(finish="stop", **message):
    return {"choices": [{"message": message, "finish_reason": finish}]}


async def test_the_schema_is_sent_strict_with_the_prompt_and_its_limits(make_request):
    request = make_request(temperature=0.3, output_tokens_max=500)
    body = payload(request, LlmSettings(model="m-1"))
    assert body == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "Rules."}, {"role": "user", "content": "Hello there."}],
        "max_tokens": 500,
        "temperature": 0.3,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "unit_v1", "strict": True, "schema": request.schema},
        },
    }


async def test_settings_bound_the_output_and_choose_the_parameters(make_request):
    settings = LlmSettings(
        output_tokens_max=100,
        output_limit_parameter="max_completion_tokens",
        send_temperature=False,
        prompt_cache_key=True,
    )
    body = payload(make_request(output_tokens_max=500), settings)
    assert body["max_completion_tokens"] == 100
    assert "max_tokens" not in body
    assert "temperature" not in body
    assert body["prompt_cache_key"]


async def test_the_cache_key_depends_on_the_static_part_alone(make_request):
    settings = LlmSettings(prompt_cache_key=True)

    def key(static, dynamic):
        messages = (Message("system", static), Message("user", dynamic))
        return payload(make_request(messages=messages), settings)["prompt_cache_key"]

    assert key("rules", "one") == key("rules", "two")
    assert key("rules", "one") != key("other", "one")


@pytest.mark.parametrize(
    ("answer", "text", "finish"),
    [
        (choice("stop", content="{}"), "{}", "stop"),
        (choice("length", content='{"a'), '{"a', "length"),
        (choice("content_filter", content=""), "", "refusal"),
        (choice("stop", content=None, refusal="No."), "", "refusal"),
        (choice("tool_calls", content=None), "", "other"),
        (choice(None, content=[{"type": "text"}]), "", "other"),
        (choice(None, content=[{"type": ["text"], "text": "odd"}, {"type": {}, "text": "odder"}]), "", "other"),
    ],
)
async def test_how_an_answer_ended_is_mapped(make_request, answer, text, finish):
    reading = read(answer, make_request(), "m-1")
    assert (reading.completion.text, reading.completion.finish) == (text, finish)


@pytest.mark.parametrize(
    "answer", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": "x"}]}, {"choices": 1}]
)
async def test_a_document_without_a_choice_is_a_server_error(make_request, answer):
    with pytest.raises(ModelUnavailable) as caught:
        read(answer, make_request(), "m-1")
    assert caught.value.kind == "server_error"


async def test_usage_and_model_are_those_that_the_endpoint_reports(make_request):
    answer = choice(content="{}") | {"usage": {"prompt_tokens": 11, "completion_tokens": 7}, "model": "m-1-2026"}
    reading = read(answer, make_request(), "m-1")
    assert reading.completion.usage == Usage(11, 7, calls=1)
    assert reading.completion.model == "m-1-2026"
    assert not reading.estimated


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 3}, {"prompt_tokens": None, "completion_tokens": 3}, 7])
async def test_absent_usage_is_estimated_from_the_characters(make_request, usage):
    reading = read(choice(content="x" * 9) | {"usage": usage}, make_request(), "m-1")
    assert reading.completion.usage == Usage(input_tokens=5, output_tokens=3, calls=1)
    assert reading.completion.model == "m-1"
    assert reading.estimated


async def test_that_usage_is_estimated_is_said_once(make_request):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=choice(content="{}")))
    async with HttpModel(LlmSettings(), transport=transport) as model:
        with capture_logs() as logs:
            await model.complete(make_request())
            await model.complete(make_request())
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "estimated" in logs[0]["event"]


async def test_the_key_is_sent_as_a_bearer_token_and_not_at_all_when_empty(make_request):
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers.get("authorization"), json.loads(request.content)["model"]))
        return httpx.Response(200, json=choice(content="{}"))

    for key in ("sk-1", ""):
        settings = LlmSettings(url="https://api.example/v1", key=key, model="m")
        async with HttpModel(settings, transport=httpx.MockTransport(handle)) as model:
            await model.complete(make_request())
    url = "https://api.example/v1/chat/completions"
    assert seen == [(url, "Bearer sk-1", "m"), (url, None, "m")]
