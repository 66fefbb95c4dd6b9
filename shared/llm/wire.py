"""
What differs between the vendors' HTTP APIs, as values: an address, headers, and two pure functions.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.llm.base import Completion, Request, Usage
from shared.llm.settings import LlmSettings
from shared.llm.tokens import estimate_input_tokens, estimate_tokens

MODEL_NAME_CHARS_MAX = 128
TEXT_PARTS = frozenset({"text", "output_text"})


@dataclass(frozen=True, slots=True)
class Reading:
    """A completion read from an answer; `estimated` if the endpoint reported no usage."""

    completion: Completion
    estimated: bool


@dataclass(frozen=True, slots=True)
class Wire:
    """
    One API.

    `headers` takes the key; `payload` gives the body for a request; `read` takes an answer, its request and the model
    asked for, and raises ModelUnavailable (server_error) when the document is not of this API, or what an error in it
    amounts to. `assemble` puts an answer together from the events of a stream that nobody asked for, or gives None.
    """

    path: str
    headers: Callable[[str], Mapping[str, str]]
    payload: Callable[[Request, LlmSettings], dict[str, Any]]
    read: Callable[[Mapping[str, Any], Request, str], Reading]
    assemble: Callable[[Sequence[dict[str, Any]]], dict[str, Any] | None]


def estimated_usage(request: Request, text: str) -> Usage:
    """What a call cost when the endpoint does not say: characters / 4."""
    return Usage(estimate_input_tokens(request.messages), estimate_tokens(len(text)), calls=1)


def named_model(answer: Mapping[str, Any], asked: str) -> str:
    """What the model calls itself, without what no terminal should get; or the name it was asked by."""
    name = answer.get("model")
    if not isinstance(name, str):
        return asked
    return "".join(filter(str.isprintable, name[:MODEL_NAME_CHARS_MAX])).strip() or asked


def text_of(value: object) -> str:
    """
    The text in *value*: itself, the text parts of a list, or an object as JSON; empty for anything else.

    Of a list's parts only those called text count: a model's thoughts come as parts, too.
    """
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return "".join(text_of(_text_part(part)) for part in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else ""


def encodable(text: str) -> str:
    """*text* with half surrogate pairs replaced: what a prompt or a record takes in must have a UTF-8 form."""
    return text.encode("utf-8", "replace").decode()


def _text_part(part: object) -> object:
    if isinstance(part, dict):
        kind, text = part.get("type", "text"), part.get("text")
        return text if isinstance(kind, str) and kind in TEXT_PARTS and isinstance(text, str) else ""
    return part if isinstance(part, str) else ""
