"""
Any OpenAI-compatible endpoint: chat completions with `response_format: json_schema`, strict.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from shared.llm.base import Completion, Finish, Request, Usage
from shared.llm.errors import ModelUnavailable
from shared.llm.settings import LlmSettings
from shared.llm.wire import Reading, Wire, estimated_usage, named_model

CACHE_KEY_LENGTH = 32
FINISHES: Final[Mapping[str, Finish]] = {"stop": "stop", "length": "length", "content_filter": "refusal"}


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
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, refusal, ended = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        raise ModelUnavailable("server_error", "the answer is no chat completion; is HOLDFAST_LLM_URL right?") from None
    text = content if isinstance(content, str) else ""
    finish: Finish = "refusal" if refusal else FINISHES.get(str(ended), "other")
    reported = _usage(answer.get("usage"))
    usage = reported or estimated_usage(request, text)
    return Reading(Completion(text, finish, usage, named_model(answer, model)), estimated=reported is None)


def _usage(reported: object) -> Usage | None:
    if not isinstance(reported, dict):
        return None
    spent = reported.get("prompt_tokens"), reported.get("completion_tokens")
    if not isinstance(spent[0], int) or not isinstance(spent[1], int):
        return None
    return Usage(spent[0], spent[1], calls=1)


def _cache_key(request: Request) -> str:
    static = "\n".join(message.content for message in request.messages if message.role == "system")
    return hashlib.sha256(static.encode("utf-8", "replace")).hexdigest()[:CACHE_KEY_LENGTH]


WIRE: Final = Wire("/chat/completions", headers, payload, read)
