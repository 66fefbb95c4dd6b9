"""
What differs between the vendors' HTTP APIs, as values: an address, headers, and two pure functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.llm.base import Completion, Request, Usage
from shared.llm.settings import LlmSettings
from shared.llm.tokens import estimate_input_tokens, estimate_tokens


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
    asked for, and raises ModelUnavailable (server_error) when the document is not of this API.
    """

    path: str
    headers: Callable[[str], Mapping[str, str]]
    payload: Callable[[Request, LlmSettings], dict[str, Any]]
    read: Callable[[Mapping[str, Any], Request, str], Reading]


def estimated_usage(request: Request, text: str) -> Usage:
    """What a call cost when the endpoint does not say: characters / 4."""
    return Usage(estimate_input_tokens(request.messages), estimate_tokens(len(text)), calls=1)


def named_model(answer: Mapping[str, Any], asked: str) -> str:
    """What the model calls itself, or the name it was asked by."""
    name = answer.get("model")
    return name if isinstance(name, str) and name else asked
