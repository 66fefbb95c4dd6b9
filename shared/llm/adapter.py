"""
A `LanguageModel` behind HTTP: one attempt a call, no limits but those of time and size.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import httpx
import structlog

from shared.llm import anthropic, openai
from shared.llm.base import Completion, Request
from shared.llm.endpoint import Endpoint
from shared.llm.settings import LlmSettings, Provider
from shared.llm.wire import Wire

WIRES: Final[Mapping[Provider, Wire]] = {"openai": openai.WIRE, "anthropic": anthropic.WIRE}

log = structlog.get_logger(__name__)


class HttpModel:
    """
    The model that *settings* name; an async context manager that closes its connections. *wire* is its API where the
    provider does not say.
    """

    def __init__(
        self, settings: LlmSettings, *, wire: Wire | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._wire = wire or WIRES[settings.provider]
        headers = self._wire.headers(settings.key.get_secret_value())
        self._endpoint = Endpoint(settings, self._wire.path, headers, transport=transport)
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
        answer = await self._endpoint.post(
            self._wire.payload(request, self._settings),
            deadline=request.deadline,
            request_id=request.request_id,
        )
        reading = self._wire.read(answer, request, self._settings.model)
        if reading.estimated and not self._told_estimate:
            self._told_estimate = True
            log.warning("the endpoint reports no usage; tokens are estimated as characters / 4", url=self._settings.url)
        return reading.completion
