"""
A model, composed: retries around rates around places around the circuit breaker around the measured adapter.

The order matters. A retry passes every limit anew. Whoever waits for a rate holds no place. The breaker sits next to
the endpoint, so that it judges the endpoint alone, and no wait of our own counts as its failure.
"""

from random import Random
from types import TracebackType
from typing import Self

import httpx

from shared.llm.adapter import HttpModel
from shared.llm.base import Completion, LanguageModel, Request
from shared.llm.errors import ModelRefused
from shared.llm.limits.circuit import CircuitBroken
from shared.llm.limits.measured import Measured
from shared.llm.limits.places import PlaceLimited
from shared.llm.limits.rates import RateLimited, is_limited
from shared.llm.limits.retry import Retried
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings


class Client:
    """A `LanguageModel` with all its limits; an async context manager that closes its connections."""

    def __init__(
        self,
        adapter: HttpModel,
        settings: LlmSettings,
        metrics: LlmMetrics,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self._adapter = adapter
        self._model = limit(adapter, settings, metrics)
        self._answered = False
        self._refusal = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._adapter.__aexit__(kind, error, trace)

    async def complete(self, request: Request) -> Completion:
        """See `LanguageModel.complete`. Also raises InvalidAnswer (oversized)."""
        try:
            completion = await self._model.complete(request)
        except ModelRefused as error:
            self._refusal = str(error)
            raise
        self._answered = True
        return completion

    def obstacle(self) -> str:
        """
        Why every call would be refused: the last refusal, as long as the endpoint has answered none; else empty.

        One that has answered is configured well: what it refuses then is a request's own, or an alert's.
        """
        return "" if self._answered else self._refusal

    def count_answer(self, purpose: str, kind: str) -> None:
        """Count an answer that was no good, or fenced."""
        self.metrics.invalid.labels(provider=self.settings.provider, purpose=purpose, kind=kind).inc()


def build_model(
    settings: LlmSettings,
    metrics: LlmMetrics,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Client:
    """The model that *settings* name, with its limits; enter it as an async context to have its connections closed."""
    return Client(HttpModel(settings, transport=transport), settings, metrics)


def limit(
    adapter: LanguageModel, settings: LlmSettings, metrics: LlmMetrics, *, random: Random | None = None
) -> LanguageModel:
    """*adapter* with every limit that *settings* name around it; *random* draws the jitter of retries."""
    model: LanguageModel = Measured(adapter, settings, metrics)
    model = CircuitBroken(model, settings, metrics)
    model = PlaceLimited(model, settings, metrics)
    if is_limited(settings):
        model = RateLimited(model, settings, metrics)
    return Retried(model, settings, metrics, random=random)
