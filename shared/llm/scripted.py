"""
A model that answers by a script: the fake for tests of whatever asks a model.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.llm.base import Completion, Request, Usage
from shared.llm.tokens import estimate_input_tokens, estimate_tokens

Line = Mapping[str, Any] | str | Completion | Exception
"""A structured answer, raw text, a whole completion, or an exception to raise."""

NAME = "scripted"


class ScriptExhausted(AssertionError):
    """More calls came than the script has lines."""


class ScriptedModel:
    """
    A `LanguageModel` that takes its answers from *script*, one a call, or from a function of the request.

    `requests` holds what was asked, in order.
    """

    def __init__(self, script: Iterable[Line] | Callable[[Request], Line]) -> None:
        self._script = script if callable(script) else iter(tuple(script))
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Completion:
        """The next line of the script. Raises ScriptExhausted when there is none, and what the script says to raise."""
        self.requests.append(request)
        line = self._next(request)
        if isinstance(line, Exception):
            raise line
        if isinstance(line, Completion):
            return line
        text = line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)
        usage = Usage(estimate_input_tokens(request.messages), estimate_tokens(len(text)), calls=1)
        return Completion(text, "stop", usage, NAME)

    def _next(self, request: Request) -> Line:
        if callable(self._script):
            return self._script(request)
        try:
            return next(self._script)
        except StopIteration:
            raise ScriptExhausted(
                f"call {len(self.requests)} (purpose {request.purpose!r}, schema {request.schema_name!r}) has no "
                f"line in the script; add one, or give a function of the request",
            ) from None
