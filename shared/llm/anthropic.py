"""
Anthropic's Messages API with `output_config.format`: the answer is held to the request's schema.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.llm.base import Completion, Finish, Request, Usage
from shared.llm.errors import ModelUnavailable
from shared.llm.settings import LlmSettings
from shared.llm.wire import Reading, Wire, estimated_usage, named_model

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


def headers(key: str) -> dict[str, str]:
    """The API's version, and the key if there is one (a gateway may add its own)."""
    return {"anthropic-version": API_VERSION, **({"x-api-key": key} if key else {})}


def payload(request: Request, settings: LlmSettings) -> dict[str, Any]:
    """
    The body of a message for *request*.

    The cache breakpoint stands after the static part: what follows changes with every turn.
    """
    body: dict[str, Any] = {
        "model": settings.model,
        "max_tokens": min(request.output_tokens_max, settings.output_tokens_max),
        "messages": [
            {"role": "user", "content": message.content} for message in request.messages if message.role == "user"
        ],
        "output_config": {"format": {"type": "json_schema", "schema": request.schema}},
    }
    static = [message.content for message in request.messages if message.role == "system"]
    if static:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in static]
        blocks[-1]["cache_control"] = {"type": "ephemeral"}
        body["system"] = blocks
    if settings.send_temperature:
        body["temperature"] = min(request.temperature, TEMPERATURE_MAX)
    return body


def read(answer: Mapping[str, Any], request: Request, model: str) -> Reading:
    """The completion in a message document; see `Wire.read`."""
    blocks = answer.get("content")
    if not isinstance(blocks, list):
        raise ModelUnavailable("server_error", "the answer is no message; is HOLDFAST_LLM_URL right?")
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    text = "".join(part for part in texts if isinstance(part, str))
    finish = FINISHES.get(str(answer.get("stop_reason")), "other")
    reported = _usage(answer.get("usage"))
    usage = reported or estimated_usage(request, text)
    return Reading(Completion(text, finish, usage, named_model(answer, model)), estimated=reported is None)


def _usage(reported: object) -> Usage | None:
    """All that is billed as input counts as input: what was read from the cache and what was written to it, too."""
    if not isinstance(reported, dict) or "input_tokens" not in reported:
        return None
    spent = [reported.get(name) or 0 for name in INPUT_COUNTS]
    output = reported.get("output_tokens")
    if not isinstance(output, int) or not all(isinstance(count, int) for count in spent):
        return None
    return Usage(sum(spent), output, calls=1)


WIRE: Final = Wire("/messages", headers, payload, read)
