"""
The port to a language model, and the values that cross it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from shared.arq.prompt import Message

Finish = Literal["stop", "length", "refusal", "other"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Billable tokens of one or several calls."""

    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.calls + other.calls,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """
    One model call.

    `purpose` is a bounded label (`match`, `draft`, `verify` …). `deadline` is in the event loop's clock
    (`asyncio.get_running_loop().time()`), seconds. `tenant` chooses the budget that pays; it never reaches the
    model. `request_id` names the work that the call is for (a turn) in the endpoint's logs.
    """

    purpose: str
    tenant: str
    messages: tuple[Message, ...]
    schema_name: str
    schema: Mapping[str, Any]
    deadline: float
    temperature: float = 0.1
    output_tokens_max: int = 4_096
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered: raw text, why it ended, what it cost, and which model it says it was."""

    text: str
    finish: Finish
    usage: Usage
    model: str


class LanguageModel(Protocol):
    """A model that answers one request with text that should satisfy the request's schema."""

    async def complete(self, request: Request) -> Completion:
        """
        Answer *request* before its deadline.

        Raises:
            shared.llm.errors.ModelUnavailable: (Retryable) time-out, overload, rate limit, open circuit, broken
            connection. shared.llm.errors.ModelRefused: the endpoint rejects the key, the model name or the request
            itself.

        """
        ...
