"""
Places: how many calls are out at once, adapted to what the endpoint bears, and shared fairly among tenants.
"""

import asyncio
from collections import OrderedDict, deque

from shared.llm.base import Completion, LanguageModel, Request
from shared.llm.errors import DeadlineExceeded, ModelUnavailable
from shared.llm.limits.fairness import had_no_chance
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings

DECREASE = 0.7
ROUNDS_TO_FULL = 64
CONGESTION = frozenset({"rate_limited", "overloaded", "timeout"})


class AdaptiveLimit:
    """
    Additive increase, multiplicative decrease (Chiu and Jain 1989): the number of calls that may be out at once.

    It starts at *most*: an endpoint that bears it is never held back, one that does not cuts it within a few answers. A
    round of successes at the limit adds a 64th of *most*. Signs of congestion from calls that were sent before the last
    cut are about the limit before it, and cut nothing.
    """

    __slots__ = ("_cut_at", "_least", "_limit", "_most")

    def __init__(self, *, least: int, most: int) -> None:
        self._least = float(least)
        self._most = float(most)
        self._limit = float(most)
        self._cut_at = float("-inf")

    @property
    def limit(self) -> int:
        """Calls that may be out now."""
        return int(self._limit)

    def succeeded(self, in_flight: int) -> None:
        """A call was answered in time, while *in_flight* were out; the limit grows only when it is being used."""
        if in_flight >= self.limit:
            step = max(1.0, self._most / ROUNDS_TO_FULL)
            self._limit = min(self._most, self._limit + step / self._limit)

    def congested(self, sent_at: float, now: float) -> None:
        """A call that was sent at *sent_at* met congestion."""
        if sent_at > self._cut_at:
            self._limit = max(self._least, self._limit * DECREASE)
            self._cut_at = now


class PlaceLimited:
    """Sends a request when a place is free; tenants that wait take turns, each in its own order of arrival."""

    def __init__(self, inner: LanguageModel, settings: LlmSettings, metrics: LlmMetrics) -> None:
        self._inner = inner
        self._limit = AdaptiveLimit(least=settings.in_flight_min, most=settings.in_flight_max)
        self._slow_seconds = settings.slow_seconds
        self._fair_seconds = settings.fair_chance_seconds
        self._waiting_max = settings.waiting_max
        self._waited = metrics.wait.labels(limit="place")
        self._gauge = metrics.in_flight_limit.labels(provider=settings.provider)
        self._gauge.set(self._limit.limit)
        self._out = 0
        self._waiting = 0
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def complete(self, request: Request) -> Completion:
        """
        The completion of *request*, once a place is free.

        Raises:
            DeadlineExceeded: none was free before the deadline. ModelUnavailable: (overloaded) too many wait already.

        """
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await self._enter(request)
        sent_at = loop.time()
        self._waited.observe(sent_at - asked_at)
        try:
            completion = await self._inner.complete(request)
            self._learn(sent_at, loop.time(), slow=0 < self._slow_seconds < loop.time() - sent_at)
        except ModelUnavailable as error:
            elapsed = loop.time() - sent_at
            if error.kind in CONGESTION and not had_no_chance(error, elapsed, self._fair_seconds):
                self._learn(sent_at, loop.time(), slow=True)
            raise
        finally:
            self._out -= 1
            self._admit()
        return completion

    def _learn(self, sent_at: float, now: float, *, slow: bool) -> None:
        before = self._limit.limit
        if slow:
            self._limit.congested(sent_at, now)
        else:
            self._limit.succeeded(self._out)
        if self._limit.limit != before:
            self._gauge.set(self._limit.limit)

    async def _enter(self, request: Request) -> None:
        if self._out < self._limit.limit and not self._waiting:
            self._out += 1
            return
        if self._waiting >= self._waiting_max:
            raise ModelUnavailable(
                "overloaded",
                f"{request.purpose}: {self._waiting} calls wait for a place (HOLDFAST_LLM_WAITING_MAX); scale out",
            )
        place = asyncio.get_running_loop().create_future()
        self._queues.setdefault(request.tenant, deque()).append(place)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(request.deadline):
                await place
        except BaseException as error:
            self._leave(request.tenant, place)
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded(f"{request.purpose}: no place among {self._out} calls in time") from error
            raise

    def _leave(self, tenant: str, place: asyncio.Future[None]) -> None:
        """Give up waiting; the place may have been granted in the same moment."""
        if place.done() and not place.cancelled():
            self._out -= 1
            self._admit()
            return
        queue = self._queues.get(tenant)
        if queue and place in queue:
            queue.remove(place)
            self._waiting -= 1
            if not queue:
                del self._queues[tenant]

    def _admit(self) -> None:
        while self._waiting and self._out < self._limit.limit:
            tenant, queue = self._queues.popitem(last=False)
            place = queue.popleft()
            if queue:
                self._queues[tenant] = queue
            self._waiting -= 1
            # A waiter that was cancelled in this very moment leaves by itself.
            if not place.done():
                place.set_result(None)
                self._out += 1
