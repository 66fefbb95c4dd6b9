"""
Any OpenAI-compatible endpoint: chat completions with `response_format: json_schema`, strict.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.llm.base import Completion, Finish, Request, Usage
from shared.llm.errors import ModelUnavailable
from shared.llm.http_errors import from_answer
from shared.llm.settings import LlmSettings
from shared.llm.usage import tokens_in
from shared.llm.wire import Reading, Wire, estimated_usage, named_model, text_of

CACHE_KEY_LENGTH = 32
FINISHES: Final[Mapping[str, Finish]] = {"stop": "stop", "length": "length", "content_filter": "refusal"}
FAILED: Final = "error"
"""How a gateway says that the endpoint behind it failed while it answered."""


def headers(key: str) -> dict[str, str]:
    """The key as a bearer token; none for a server that asks for none."""
    return {"authorization": f"Bearer {key}"} if key else {}


def payload(request: Request, settings: LlmSettings) -> dict[str, Any]:
    """The body of a chat completion for *request*."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        settings.output_limit_parameter: min(request.output_tokens_max, settings.output_tokens_max),
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": request.schema_name, "strict": True, "schema": request.schema},
        },
    }
    if settings.send_temperature:
        body["temperature"] = request.temperature
    if settings.prompt_cache_key:
        body["prompt_cache_key"] = _cache_key(request)
    return body


def read(answer: Mapping[str, Any], request: Request, model: str) -> Reading:
    """The completion in a chat completion document; see `Wire.read`."""
    choice = _choice(answer)
    message = _message(choice)
    if message is None:
        raise ModelUnavailable("server_error", "the answer is no chat completion; is HOLDFAST_LLM_URL right?")
    ended = str(choice.get("finish_reason"))
    if ended == FAILED:
        raise from_answer(ended)
    text = _text(message)
    finish: Finish = "refusal" if message.get("refusal") else FINISHES.get(ended, "other")
    reported = _usage(answer.get("usage"))
    usage = reported or estimated_usage(request, text)
    return Reading(Completion(text, finish, usage, named_model(answer, model)), estimated=reported is None)


def assemble(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The chat completion that was streamed in *events*."""
    texts: list[str] = []
    whole: dict[str, Any] = {}
    finish = None
    for event in events:
        choice = _choice(event, failing=False)
        whole |= {name: value for name, value in event.items() if name != "choices" and value is not None}
        message = _message(choice) or {}
        texts.append(text_of(message.get("content")))
        finish = choice.get("finish_reason") or finish
    return {**whole, "choices": [{"message": {"content": "".join(texts)}, "finish_reason": finish}]}


def _choice(answer: Mapping[str, Any], *, failing: bool = True) -> Mapping[str, Any]:
    """
    The first choice of *answer*, empty where it has none.

    Raises:
        ModelUnavailable, ModelRefused: where *failing*, and it holds an error instead.

    """
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    choice = first if isinstance(first, dict) else {}
    if failing and (error := answer.get("error") or choice.get("error")):
        raise from_answer(error)
    return choice


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The message of *choice*; some servers answer with the pieces of a stream, or with a bare text."""
    for name in ("message", "delta"):
        if isinstance(choice.get(name), dict):
            message: Mapping[str, Any] = choice[name]
            return message
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else None


def _text(message: Mapping[str, Any]) -> str:
    """
    What *message* says. Where the content is empty, the answer went elsewhere: parsed already, into the arguments of
    the one tool call that a gateway made of the schema, or among thoughts that a server cuts off at the wrong place.
    """
    held = (message.get(name) for name in ("content", "parsed"))
    thoughts = (message.get(name) for name in ("reasoning_content", "reasoning"))
    found = (text_of(value) for value in (*held, _arguments(message.get("tool_calls")), *thoughts))
    return next((text for text in found if text.strip()), "")


def _arguments(calls: object) -> object:
    if not isinstance(calls, list) or len(calls) != 1 or not isinstance(calls[0], dict):
        return None
    function = calls[0].get("function")
    return function.get("arguments") if isinstance(function, dict) else None


def _usage(reported: object) -> Usage | None:
    if not isinstance(reported, dict):
        return None
    spent, made = tokens_in(reported.get("prompt_tokens")), tokens_in(reported.get("completion_tokens"))
    return None if spent is None or made is None else Usage(spent, made, calls=1)


def _cache_key(request: Request) -> str:
    static = "\n".join(message.content for message in request.messages if message.role == "system")
    return hashlib.sha256(static.encode("utf-8", "replace")).hexdigest()[:CACHE_KEY_LENGTH]


WIRE: Final = Wire("/chat/completions", headers, payload, read, assemble)
