"""
Rates: requests and tokens a minute, of the endpoint as a whole and of each tenant.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from shared.llm.base import Completion, LanguageModel, Request
from shared.llm.errors import CircuitOpen, ModelUnavailable
from shared.llm.limits.bucket import TokenBucket
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings
from shared.llm.tokens import estimate_input_tokens

SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class _Amount:
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Limited:
    """One bucket, and what of an amount it counts: requests or tokens."""

    bucket: TokenBucket
    capacity: float
    counts: str

    def of(self, amount: _Amount) -> float:
        return amount.requests if self.counts == "requests" else amount.tokens

    def reservation(self, amount: _Amount) -> float:
        """What is taken beforehand: more than a full bucket would make a large prompt wait with nobody before it."""
        return min(self.of(amount), self.capacity)


NOTHING = _Amount(0, 0)


def is_limited(settings: LlmSettings) -> bool:
    """Whether *settings* name any rate."""
    return any(
        (
            settings.requests_per_minute,
            settings.tokens_per_minute,
            settings.tenant_requests_per_minute,
            settings.tenant_tokens_per_minute,
        ),
    )


class RateLimited:
    """
    Sends a request when its tenant and the endpoint have a request and enough tokens left; in order of arrival.

    Tokens are reserved as the prompt's estimate plus the whole output limit, as providers do, and settled by the
    reported usage once the answer is there. A call that the circuit breaker held back gets everything back; one that
    failed keeps the reservation of its request and input.
    """

    def __init__(self, inner: LanguageModel, settings: LlmSettings, metrics: LlmMetrics) -> None:
        self._inner = inner
        self._settings = settings
        self._waited = metrics.wait.labels(limit="rate")
        self._shared: list[_Limited] | None = None
        self._tenants: OrderedDict[str, list[_Limited]] = OrderedDict()

    async def complete(self, request: Request) -> Completion:
        """
        The completion of *request*, once the rates allow it.

        Raises:
            ModelUnavailable: (rate_limited) that would be after the deadline; told at once, with the wait.

        """
        loop = asyncio.get_running_loop()
        limits = self._limits(request.tenant, loop.time())
        sent = _Amount(1, estimate_input_tokens(request.messages))
        reserved = _Amount(1, sent.tokens + request.output_tokens_max)
        wait = self._reserve(limits, reserved, request, loop.time())
        spent = NOTHING
        try:
            await asyncio.sleep(wait)
            self._waited.observe(wait)
            spent = sent
            completion = await self._inner.complete(request)
            spent = _Amount(1, completion.usage.input_tokens + completion.usage.output_tokens)
        except CircuitOpen:
            spent = NOTHING
            raise
        finally:
            for limited in limits:
                limited.bucket.refund(limited.reservation(reserved) - limited.of(spent), loop.time())
        return completion

    def _reserve(self, limits: list[_Limited], amount: _Amount, request: Request, now: float) -> float:
        wait = max(limited.bucket.wait(limited.reservation(amount), now) for limited in limits)
        if now + wait >= request.deadline:
            raise ModelUnavailable(
                "rate_limited",
                f"{request.purpose}: the rates set by HOLDFAST_LLM_*_PER_MINUTE allow this call in {wait:.1f} s, "
                f"after its deadline",
                retry_after_seconds=wait,
            )
        for limited in limits:
            limited.bucket.take(limited.reservation(amount), now)
        return wait

    def _limits(self, tenant: str, now: float) -> list[_Limited]:
        settings = self._settings
        if self._shared is None:
            self._shared = self._build(settings.requests_per_minute, settings.tokens_per_minute, now)
        own = self._tenants.pop(tenant, None)
        if own is None:
            own = self._build(settings.tenant_requests_per_minute, settings.tenant_tokens_per_minute, now)
        self._tenants[tenant] = own
        if len(self._tenants) > settings.tenants_max:
            self._tenants.popitem(last=False)
        return [*self._shared, *own]

    def _build(self, requests_per_minute: float, tokens_per_minute: float, now: float) -> list[_Limited]:
        return [
            _limited(per_minute, counts, self._settings.burst_seconds, now)
            for per_minute, counts in ((requests_per_minute, "requests"), (tokens_per_minute, "tokens"))
            if per_minute
        ]


def _limited(per_minute: float, counts: str, burst_seconds: float, now: float) -> _Limited:
    rate = per_minute / SECONDS_PER_MINUTE
    # At a few requests a minute a burst would be less than one request, which could then never go at once.
    capacity = max(1.0, rate * burst_seconds)
    return _Limited(TokenBucket(rate=rate, capacity=capacity, now=now), capacity, counts)
