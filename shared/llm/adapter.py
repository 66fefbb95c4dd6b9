"""
A `LanguageModel` behind HTTP: one attempt a call, no limits but those of time and size.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import httpx
import structlog

from shared.llm import anthropic, openai
from shared.llm.base import Completion, Request
from shared.llm.endpoint import Endpoint
from shared.llm.errors import ModelRefused
from shared.llm.remedies import Remedy
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
        self._endpoint = Endpoint(settings, self._wire.path, headers, assemble=self._wire.assemble, transport=transport)
        self._told_estimate = False
        self._mending = asyncio.Lock()
        self._vain: list[Remedy] = []

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
        """
        One attempt; see `LanguageModel.complete`. Also raises InvalidAnswer (oversized).

        A parameter that the endpoint refuses, and that a setting leaves out, is left out and the request sent again, at
        once; if that helps, this process goes on so, and says which setting makes it last.
        """
        settings = self._settings
        try:
            return await self._send(request, settings)
        except ModelRefused as error:
            if error.remedy is None or not error.remedy.changes:
                raise
            async with self._mending:
                if self._settings is not settings:
                    # Another request has found out meanwhile what helps.
                    return await self._send(request, self._settings)
                if error.remedy in self._vain:
                    raise
                return await self._mend(request, error.remedy)

    async def _send(self, request: Request, settings: LlmSettings) -> Completion:
        answer = await self._endpoint.post(
            self._wire.payload(request, settings), deadline=request.deadline, request_id=request.request_id
        )
        reading = self._wire.read(answer, request, settings.model)
        if reading.estimated and not self._told_estimate:
            self._told_estimate = True
            log.warning(
                "the endpoint reports no usage that can be; tokens are estimated as characters / 4", url=settings.place
            )
        return reading.completion

    async def _mend(self, request: Request, remedy: Remedy) -> Completion:
        """Send *request* with *remedy*, and with those of what is refused then."""
        settings, remedies = self._settings, [remedy]
        while True:
            settings = settings.model_copy(update=remedies[-1].changes)
            try:
                completion = await self._send(request, settings)
            except ModelRefused as error:
                if error.remedy is None or not error.remedy.changes or error.remedy in remedies:
                    self._vain += remedies
                    raise
                remedies.append(error.remedy)
            else:
                self._settings = settings
                log.warning(
                    "the endpoint refuses a parameter; this process leaves it out: set this, so that the next one does",
                    url=settings.place,
                    settings=[mended.setting for mended in remedies],
                )
                return completion
