"""
Any OpenAI-compatible endpoint: chat completions with `response_format: json_schema`, strict.
"""

import hashlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx
import structlog

from shared.llm.base import Completion, Finish, Request, Usage
from shared.llm.endpoint import Endpoint
from shared.llm.errors import ModelUnavailable
from shared.llm.settings import LlmSettings
from shared.llm.tokens import estimate_input_tokens, estimate_tokens

PATH = "/chat/completions"
CACHE_KEY_LENGTH = 32
FINISHES: Final[Mapping[str, Finish]] = {"stop": "stop", "length": "length", "content_filter": "refusal"}

log = structlog.get_logger(__name__)


class OpenAiModel:
    """A `LanguageModel` behind an OpenAI-compatible endpoint; an async context manager that closes its connections."""

    def __init__(self, settings: LlmSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        key = settings.key.get_secret_value()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._endpoint = Endpoint(settings, PATH, headers, transport=transport)
        self._told_estimate = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._endpoint.close()

    async def complete(self, request: Request) -> Completion:
        """One attempt; see `LanguageModel.complete`. Also raises InvalidAnswer (oversized)."""
        answer = await self._endpoint.post(payload(request, self._settings), deadline=request.deadline)
        completion, estimated = read(answer, request, self._settings.model)
        if estimated and not self._told_estimate:
            self._told_estimate = True
            log.warning("the endpoint reports no usage; tokens are estimated as characters / 4", url=self._settings.url)
        return completion


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


def read(answer: Mapping[str, Any], request: Request, model: str) -> tuple[Completion, bool]:
    """
    The completion in *answer* (a chat completion document), and whether its usage had to be estimated.

    Raises:
        ModelUnavailable: (server_error) the document has no choice in it.

    """
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, refusal, ended = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        raise ModelUnavailable("server_error", "the answer is no chat completion; is HOLDFAST_LLM_URL right?") from None
    text = content if isinstance(content, str) else ""
    finish: Finish = "refusal" if refusal else FINISHES.get(str(ended), "other")
    usage, estimated = _usage(answer.get("usage"), request, text)
    named = answer.get("model")
    return Completion(text, finish, usage, named if isinstance(named, str) and named else model), estimated


def _usage(reported: object, request: Request, text: str) -> tuple[Usage, bool]:
    if isinstance(reported, dict):
        spent = reported.get("prompt_tokens"), reported.get("completion_tokens")
        if isinstance(spent[0], int) and isinstance(spent[1], int):
            return Usage(spent[0], spent[1], calls=1), False
    return Usage(estimate_input_tokens(request.messages), estimate_tokens(len(text)), calls=1), True


def _cache_key(request: Request) -> str:
    static = "\n".join(message.content for message in request.messages if message.role == "system")
    return hashlib.sha256(static.encode("utf-8", "replace")).hexdigest()[:CACHE_KEY_LENGTH]
