"""
Anthropic's Messages API with `output_config.format`: the answer is held to the request's schema.
"""

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

PATH = "/messages"
API_VERSION = "2023-06-01"
TEMPERATURE_MAX = 1.0
FINISHES: Final[Mapping[str, Finish]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
INPUT_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")

log = structlog.get_logger(__name__)


class AnthropicModel:
    """A `LanguageModel` behind the Messages API; an async context manager that closes its connections."""

    def __init__(self, settings: LlmSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        headers = {"x-api-key": settings.key.get_secret_value(), "anthropic-version": API_VERSION}
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
    """
    The body of a message for *request*.

    The cache breakpoint stands after the static part: what follows changes with every turn.
    """
    system = [{"type": "text", "text": message.content} for message in request.messages if message.role == "system"]
    body: dict[str, Any] = {
        "model": settings.model,
        "max_tokens": min(request.output_tokens_max, settings.output_tokens_max),
        "system": [*system[:-1], *({**last, "cache_control": {"type": "ephemeral"}} for last in system[-1:])],
        "messages": [
            {"role": "user", "content": message.content} for message in request.messages if message.role == "user"
        ],
        "output_config": {"format": {"type": "json_schema", "schema": request.schema}},
    }
    if settings.send_temperature:
        body["temperature"] = min(request.temperature, TEMPERATURE_MAX)
    return body


def read(answer: Mapping[str, Any], request: Request, model: str) -> tuple[Completion, bool]:
    """
    The completion in *answer* (a message document), and whether its usage had to be estimated.

    Raises:
        ModelUnavailable: (server_error) the document is no message.

    """
    blocks = answer.get("content")
    if not isinstance(blocks, list):
        raise ModelUnavailable("server_error", "the answer is no message; is HOLDFAST_LLM_URL right?")
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    text = "".join(part for part in texts if isinstance(part, str))
    finish = FINISHES.get(str(answer.get("stop_reason")), "other")
    usage, estimated = _usage(answer.get("usage"), request, text)
    named = answer.get("model")
    return Completion(text, finish, usage, named if isinstance(named, str) and named else model), estimated


def _usage(reported: object, request: Request, text: str) -> tuple[Usage, bool]:
    """All that is billed as input counts as input: what was read from the cache and what was written to it, too."""
    if isinstance(reported, dict):
        spent = [reported.get(name) or 0 for name in INPUT_COUNTS]
        output = reported.get("output_tokens")
        if "input_tokens" in reported and isinstance(output, int) and all(isinstance(count, int) for count in spent):
            return Usage(sum(spent), output, calls=1), False
    return Usage(estimate_input_tokens(request.messages), estimate_tokens(len(text)), calls=1), True
