"""
Anthropic's Messages API with `output_config.format`: the answer is held to the request's schema.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.llm.base import Completion, Finish, Request, Usage
from shared.llm.errors import ModelUnavailable
from shared.llm.http_errors import from_answer
from shared.llm.settings import LlmSettings
from shared.llm.usage import tokens_in
from shared.llm.wire import Reading, Wire, estimated_usage, named_model, text_of

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
    if error := answer.get("error"):
        raise from_answer(error)
    blocks = answer.get("content")
    if not isinstance(blocks, list | str):
        raise ModelUnavailable("server_error", "the answer is no message; is HOLDFAST_LLM_URL right?")
    text = text_of(blocks) or text_of(_input(blocks))
    finish = FINISHES.get(str(answer.get("stop_reason")), "other")
    reported = _usage(answer.get("usage"))
    usage = reported or estimated_usage(request, text)
    return Reading(Completion(text, finish, usage, named_model(answer, model)), estimated=reported is None)


def assemble(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The message that was streamed in *events*."""
    whole: dict[str, Any] = {}
    texts: list[str] = []
    usage: dict[str, Any] = {}
    for event in events:
        if event.get("error"):
            return event
        message, delta = _object(event, "message"), _object(event, "delta")
        whole |= {**message, **{name: value for name, value in delta.items() if name == "stop_reason"}}
        texts.append(text_of(delta.get("text")))
        usage |= _object(message, "usage") | _object(event, "usage")
    return {**whole, "content": text_of(whole.get("content")) + "".join(texts), "usage": usage} if whole else None


def _object(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    held = holder.get(name)
    return held if isinstance(held, dict) else {}


def _input(blocks: object) -> object:
    """What the one tool call got that a gateway made of the schema."""
    uses = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    uses = [block for block in uses if block.get("type") == "tool_use"]
    return uses[0].get("input") if len(uses) == 1 else None


def _usage(reported: object) -> Usage | None:
    """All that is billed as input counts as input: what was read from the cache and what was written to it, too."""
    if not isinstance(reported, dict) or "input_tokens" not in reported:
        return None
    # What was not read from a cache, or not written to one, may be left out or null.
    counts = [reported[name] for name in INPUT_COUNTS if name in reported]
    spent = [tokens_in(count) for count in counts if count is not None]
    made = tokens_in(reported.get("output_tokens"))
    known = [count for count in spent if count is not None]
    if made is None or reported["input_tokens"] is None or len(known) < len(spent):
        return None
    return Usage(sum(known), made, calls=1)


WIRE: Final = Wire("/messages", headers, payload, read, assemble)
