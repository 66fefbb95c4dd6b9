"""What servers, and gateways before them, answer beside what their API's page says: each has one sensible reading."""

import asyncio
import gzip
import json
from functools import partial
from typing import Any, Literal

import httpx
import pytest
from prometheus_client import CollectorRegistry

from shared.arq.blueprint import Blueprint, Queries
from shared.arq.prompt import Prompt, Section
from shared.llm.base import Usage
from shared.llm.client import build_model
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings
from shared.llm.structured import ask


class Fruit(Queries):
    fruit: Literal["quince", "half a pear"]


BLUEPRINT = Blueprint("fruit_v1", Fruit)
PROMPT = Prompt(static=(Section("task", "Name a fruit."),), dynamic=(Section("turn", "Which?"),))
QUINCE = '{"fruit": "quince"}'


def chat(content: Any = QUINCE, finish: str | None = "stop", /, message: Any = None, **top: Any) -> dict[str, Any]:
    """A chat completion; *message* instead of one with *content*."""
    message = {"role": "assistant", "content": content} if message is None else message
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"model": "m-2", "choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}} | top


def message(content: Any = QUINCE, stop: str | None = "end_turn", /, **top: Any) -> dict[str, Any]:
    """A message of Anthropic's."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    usage = {"input_tokens": 7, "output_tokens": 3}
    return {"type": "message", "model": "m-2", "content": blocks, "stop_reason": stop, "usage": usage} | top


def reply(answer: Any) -> httpx.Response:
    if callable(answer):
        return answer()
    return httpx.Response(200, content=answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def packed() -> httpx.Response:
    content = gzip.compress(json.dumps(chat()).encode())
    return httpx.Response(200, headers={"content-encoding": "gzip"}, content=content)


async def answered(answer: Any, provider: str = "openai", registry: CollectorRegistry | None = None):
    """What is made of *answer*, which the server of *provider* gives to every request."""
    settings = LlmSettings(url="http://odd.test/v1", model="m-1", provider=provider, retries_max=0)
    transport = httpx.MockTransport(lambda _: reply(answer))
    deadline = asyncio.get_running_loop().time() + 10
    async with build_model(settings, LlmMetrics(registry or CollectorRegistry()), transport=transport) as model:
        return await ask(model, BLUEPRINT, PROMPT, purpose="draft", tenant="t", deadline=deadline)


def streamed(*events: Any, ends: str = "\n\n") -> bytes:
    return "".join(f"data: {json.dumps(event)}{ends}" for event in events).encode()


def pieces(*texts: str) -> list[dict[str, Any]]:
    chunks = [{"model": "m-2", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    return [*chunks, {"model": "m-2", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}]


CALL = {"id": "1", "type": "function", "function": {"name": "fruit_v1", "arguments": QUINCE}}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "A pear? No."}]}

GOOD_TEXTS = {
    "as it should be": QUINCE,
    "with blanks around": f"\n\n {QUINCE} \n",
    "with a byte order mark": f"\ufeff{QUINCE}",
    "behind thoughts": f"<think>\nA {{pear}}?\n</think>\n\n{QUINCE}",
    "behind no thoughts": f"<think></think>{QUINCE}",
    "behind thoughts whose beginning was cut off": f"A pear? No.\n</think>\n{QUINCE}",
    "behind thoughts, in a fence": f"<think>x</think>\n```json\n{QUINCE}\n```",
    "before the template's end": f"{QUINCE}<|im_end|>",
    "before several ends": f"{QUINCE}</s>\n<|eot_id|>",
    "in a fence": f"```json\n{QUINCE}\n```",
    "in a fence of capitals": f"```JSON\n{QUINCE}\n```",
    "in a fence on one line": f"```json {QUINCE} ```",
    "in a fence without a language": f"```\n{QUINCE}\n```",
    "twice": QUINCE + QUINCE,
    "twice, on two lines": f"{QUINCE}\n{QUINCE}",
}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("text", GOOD_TEXTS.values(), ids=GOOD_TEXTS)
async def test_what_servers_leave_around_a_document_is_taken_off(text, provider):
    answer = await answered(chat(text) if provider == "openai" else message(text), provider)
    assert (answer.answer.fruit, answer.attempts) == ("quince", 1)


GOOD_CHATS = {
    "content in parts": chat([{"type": "text", "text": QUINCE[:5]}, {"type": "text", "text": QUINCE[5:]}]),
    "content in parts that are texts": chat([QUINCE[:5], QUINCE[5:]]),
    "thoughts as a part": chat([THOUGHT, {"type": "text", "text": QUINCE}]),
    "content as an object": chat({"fruit": "quince"}),
    "parsed already": chat(message={"content": None, "parsed": {"fruit": "quince"}}),
    "among the thoughts": chat(message={"content": None, "reasoning_content": QUINCE}),
    "among the thoughts, by another name": chat(message={"content": "", "reasoning": QUINCE}),
    "thoughts beside it": chat(message={"content": QUINCE, "reasoning_content": "A pear?"}),
    "as a tool call": chat(None, "tool_calls", message={"content": None, "tool_calls": [CALL]}),
    "no finish": chat(QUINCE, None),
    "an unknown finish": chat(QUINCE, "eos_token"),
    "whole, at the limit": chat(QUINCE, "length"),
    "an empty refusal": chat(message={"content": QUINCE, "refusal": ""}),
    "as a piece of a stream": {"choices": [{"delta": {"content": QUINCE}, "finish_reason": "stop"}]},
    "as a bare text": {"choices": [{"text": QUINCE, "finish_reason": "stop"}]},
    "in a list of one": [chat()],
    "no error": chat(error=None),
    "not a number beside it": json.dumps(chat(created=float("nan"))).encode(),
    "half a surrogate pair beside it": json.dumps(chat(id="\ud83d")).encode(),
    "no UTF-8 beside it": json.dumps(chat(id="X")).encode().replace(b"X", b"\xff"),
    "a byte order mark before the body": b"\xef\xbb\xbf" + json.dumps(chat()).encode(),
    "white space that keeps alive": b"\n\n  \n" + json.dumps(chat()).encode(),
    "comments that keep alive": b": waiting\n\n: waiting\n\n" + json.dumps(chat()).encode(),
    "packed": packed,
    "a stream of one": streamed(chat()) + b"data: [DONE]\n\n",
    "a stream of pieces": streamed(*pieces(QUINCE[:7], QUINCE[7:])) + b"data: [DONE]\n\n",
    "a stream with carriage returns": b": hi\r\n\r\n" + streamed(*pieces(QUINCE), ends="\r\n\r\n"),
    "a stream that ends early": streamed(*pieces(QUINCE)).rstrip(),
}


@pytest.mark.parametrize("body", GOOD_CHATS.values(), ids=GOOD_CHATS)
async def test_a_chat_completion_is_read_however_it_comes(body):
    answer = await answered(body)
    assert (answer.answer.fruit, answer.attempts) == ("quince", 1)


EVENTS = (
    {"type": "message_start", "message": message([], None)},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "A pear?"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": QUINCE[:7]}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": QUINCE[7:]}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
)
GOOD_MESSAGES = {
    "thoughts before it": message([{"type": "thinking", "thinking": "A pear?"}, {"type": "text", "text": QUINCE}]),
    "content as a text": message() | {"content": QUINCE},
    "as a tool call": message([{"type": "tool_use", "name": "fruit_v1", "input": {"fruit": "quince"}}], "tool_use"),
    "an unknown end": message(QUINCE, "pause_turn"),
    "whole, at the limit": message(QUINCE, "max_tokens"),
    "a stream": streamed(*EVENTS),
}


@pytest.mark.parametrize("body", GOOD_MESSAGES.values(), ids=GOOD_MESSAGES)
async def test_a_message_is_read_however_it_comes(body):
    answer = await answered(body, "anthropic")
    assert (answer.answer.fruit, answer.attempts, answer.usage) == ("quince", 1, Usage(7, 3, 1))


DISCARDED = {
    "prose around it": ("not_json", chat(f"Here it is:\n```json\n{QUINCE}\n```\nAnything else?")),
    "another document after it": ("not_json", chat(QUINCE + '{"fruit": "half a pear"}')),
    "thoughts alone": ("not_json", chat("<think>A pear?")),
    "an end alone": ("empty", chat("<|im_end|>")),
    "cut off among the thoughts": ("truncated", chat("<think>A pear?", "length")),
    "2,000 levels deep": ("not_json", chat("[" * 2_000 + "]" * 2_000)),
    "half a surrogate pair in the document": ("not_json", chat('{"fruit": "\\ud83d"}')),
    "half a surrogate pair in the text": ("schema", chat('{"fruit": "\ud83d"}')),
    "an array of it": ("schema", chat(f"[{QUINCE}]")),
    "a text of it": ("schema", chat(json.dumps(QUINCE))),
    "a key too many": ("schema", chat('{"fruit": "quince", "why": "x"}')),
    "two tool calls": ("empty", chat(message={"content": None, "tool_calls": [CALL, CALL]})),
    "parts that are none": ("empty", chat([1, None, {"type": "image"}, {"type": "text"}, {"text": 3}])),
}


@pytest.mark.parametrize(("kind", "body"), DISCARDED.values(), ids=DISCARDED)
async def test_what_the_model_itself_got_wrong_is_discarded(kind, body):
    with pytest.raises(InvalidAnswer) as caught:
        await answered(body)
    assert caught.value.kind == kind


UNAVAILABLE = {
    "an error instead of choices": ("rate_limited", {"error": {"message": "slow", "code": 429}}),
    "an error by its word": ("overloaded", {"type": "error", "error": {"type": "overloaded_error"}}),
    "an error as a text": ("server_error", {"error": "upstream"}),
    "an error in the choice": ("overloaded", chat(choices=[{"error": {"code": 503}, "message": {"content": ""}}])),
    "an error in the choice, by name": ("server_error", chat("", "error")),
    "an error after a part of the answer": ("server_error", chat(QUINCE[:5], "error")),
    "an error in a stream": ("rate_limited", streamed(*pieces(QUINCE[:5])[:1], {"error": {"code": 429}})),
    "an error code that is none": ("server_error", {"error": {"code": 10**30}}),
    "no choice": ("server_error", chat(choices=[])),
    "choices that are none": ("server_error", chat(choices=None)),
    "a page": ("server_error", b"<html>log in</html>"),
    "nothing": ("server_error", b""),
    "no content": ("server_error", partial(httpx.Response, 204)),
    "a list of two": ("server_error", [chat(), chat()]),
    "a body 200,000 levels deep": ("server_error", b"[" * 200_000),
    "a stream of nothing": ("server_error", b"data: [DONE]\n\n"),
}


@pytest.mark.parametrize(("kind", "body"), UNAVAILABLE.values(), ids=UNAVAILABLE)
async def test_a_failure_told_in_a_success_may_pass(kind, body):
    with pytest.raises(ModelUnavailable) as caught:
        await answered(body)
    assert caught.value.kind == kind


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("too_long", {"code": 400, "message": "maximum context length is 10"}),
        ("auth", {"code": 401}),
        ("auth", {"type": "authentication_error"}),
        ("quota", {"code": "insufficient_quota"}),
        ("bad_request", {"type": "invalid_request_error"}),
    ],
)
async def test_a_refusal_told_in_a_success_will_not_pass(provider, kind, error):
    with pytest.raises(ModelRefused) as caught:
        await answered({"error": error}, provider)
    assert caught.value.kind == kind


COUNTS = [-1, 10**30, 1e300, 2.5, True, "7", None, [], {}]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("count", COUNTS, ids=repr)
async def test_a_cost_that_cannot_be_is_estimated_and_spoils_no_sum(registry, provider, place, count):
    names = {"openai": ("prompt_tokens", "completion_tokens"), "anthropic": ("input_tokens", "output_tokens")}[provider]
    usage = dict(zip(names, (7, 3), strict=True)) | {names[place]: count}
    answer = await answered((chat if provider == "openai" else message)(usage=usage), provider, registry)

    assert 0 < answer.usage.input_tokens < 1_000
    assert 0 < answer.usage.output_tokens < 1_000
    sums = [s.value for m in registry.collect() for s in m.samples if s.name == "gen_ai_client_token_usage_sum"]
    assert sorted(sums) == sorted([answer.usage.input_tokens, answer.usage.output_tokens])


async def test_whole_numbers_count_however_they_are_written():
    answer = await answered(chat(usage={"prompt_tokens": 7.0, "completion_tokens": 3}))
    assert answer.usage == Usage(7, 3, 1)


@pytest.mark.parametrize(
    ("named", "known"),
    [
        ("m" * 200_000, "m" * 128),
        ("a\x00b\n\x1b[31m\u202ec", "ab[31mc"),
        ("\ud83d", "?"),
        ("", "m-1"),
        (7, "m-1"),
        ("Modell für Äpfel", "Modell für Äpfel"),
    ],
    ids=["long", "control characters", "half a surrogate pair", "empty", "a number", "letters"],
)
async def test_a_model_s_name_is_fit_for_records_and_metrics(registry, named, known):
    answer = await answered(chat(model=named), registry=registry)
    assert answer.model == known
