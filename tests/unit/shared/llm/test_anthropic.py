"""
What is sent to the Messages API, and how its answers are read.
"""

import httpx
import pytest

from shared.arq.prompt import Message
from shared.llm.adapter import HttpModel
from shared.llm.anthropic import payload, read
from shared.llm.base import Usage
from shared.llm.errors import ModelUnavailable
from shared.llm.settings import LlmSettings


def message(*texts, stop_reason="end_turn", **rest):
    return {"content": [{"type": "text", "text": text} for text in texts], "stop_reason": stop_reason, **rest}


async def test_the_schema_is_the_output_format_and_the_static_part_is_cached(make_request):
    request = make_request(temperature=0.3, output_tokens_max=500)
    assert payload(request, LlmSettings(provider="anthropic", model="m-1")) == {
        "model": "m-1",
        "max_tokens": 500,
        "temperature": 0.3,
        "system": [{"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "Hello there."}],
        "output_config": {"format": {"type": "json_schema", "schema": request.schema}},
    }


async def test_only_the_last_static_message_carries_the_cache_breakpoint(make_request):
    messages = (Message("system", "one"), Message("system", "two"), Message("user", "three"))
    system = payload(make_request(messages=messages), LlmSettings())["system"]
    assert ["cache_control" in block for block in system] == [False, True]


async def test_a_prompt_without_static_part_is_sent_without_one(make_request):
    body = payload(make_request(messages=(Message("user", "hi"),)), LlmSettings(send_temperature=False))
    assert "system" not in body
    assert "temperature" not in body


async def test_a_temperature_above_one_is_cut_to_what_the_api_takes(make_request):
    assert payload(make_request(temperature=1.4), LlmSettings())["temperature"] == 1.0


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("tool_use", "other"),
        (None, "other"),
    ],
)
async def test_how_an_answer_ended_is_mapped(make_request, reason, finish):
    reading = read(message("{", "}", stop_reason=reason), make_request(), "m-1")
    assert (reading.completion.text, reading.completion.finish) == ("{}", finish)


async def test_blocks_that_are_no_text_are_passed_over(make_request):
    answer = {"content": [{"type": "thinking", "thinking": "hm"}, 3, {"type": "text", "text": "{}"}, {"type": "text"}]}
    reading = read(answer, make_request(), "m-1")
    assert reading.completion.text == "{}"


@pytest.mark.parametrize("answer", [{}, {"content": None}, {"content": 3}])
async def test_a_document_that_is_no_message_is_a_server_error(make_request, answer):
    with pytest.raises(ModelUnavailable) as caught:
        read(answer, make_request(), "m-1")
    assert caught.value.kind == "server_error"


async def test_cached_input_counts_as_input(make_request):
    usage = {"input_tokens": 1, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 7}
    reading = read(message("{}", usage=usage, model="m-2"), make_request(), "m-1")
    assert reading.completion.usage == Usage(111, 7, calls=1)
    assert reading.completion.model == "m-2"
    assert not reading.estimated


@pytest.mark.parametrize(
    "usage", [None, {"input_tokens": 1}, {"output_tokens": 1}, {"input_tokens": "1", "output_tokens": 1}]
)
async def test_absent_usage_is_estimated_from_the_characters(make_request, usage):
    reading = read(message("x" * 9, usage=usage), make_request(), "m-1")
    assert reading.completion.usage == Usage(input_tokens=5, output_tokens=3, calls=1)
    assert reading.estimated


async def test_key_and_version_are_headers(make_request):
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, request.headers["x-api-key"], request.headers["anthropic-version"]))
        return httpx.Response(200, json=message("{}"))

    async with HttpModel(LlmSettings(provider="anthropic", key="sk-1"), transport=httpx.MockTransport(handle)) as model:
        await model.complete(make_request())
    assert seen == [("/v1/messages", "sk-1", "2023-06-01")]
