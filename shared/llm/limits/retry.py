"""
The one retry layer: full jitter, `Retry-After` honoured, never past the deadline, and no more than a share of all
calls.
"""

import asyncio
from random import Random

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from shared.llm.base import Completion, LanguageModel, Request
from shared.llm.errors import CircuitOpen, DeadlineExceeded, ModelUnavailable
from shared.llm.limits.bucket import TokenBucket
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings

BUDGET_SECONDS = 10.0
"""A burst of retries may use what this long a stretch of calls and of the floor earned."""
BUDGET_CALLS = 100

log = structlog.get_logger(__name__)


class RetryBudget:
    """
    Retries allowed: *share* of the calls, plus *floor_per_second*.

    Up to t, with n calls begun, never more than `share * n + floor_per_second * t + capacity` are granted, where
    capacity is what 100 calls and 10 s of the floor earn. Times in seconds, monotonic.
    """

    def __init__(self, *, share: float, floor_per_second: float, now: float) -> None:
        self._share = share
        self.capacity = share * BUDGET_CALLS + floor_per_second * BUDGET_SECONDS
        # A rate of zero would divide by zero in the bucket's forecast, which is not used here.
        self._bucket = TokenBucket(rate=max(floor_per_second, 1e-9), capacity=self.capacity, now=now)

    def call(self, now: float) -> None:
        """A call begins: it earns its share of a retry."""
        self._bucket.refund(self._share, now)

    def spend(self, now: float) -> bool:
        """Whether one retry is allowed; if so, it counts as made."""
        if self._bucket.wait(1.0, now) > 0:
            return False
        self._bucket.take(1.0, now)
        return True


class Retried:
    """
    Sends a request again when the endpoint could not answer, as far as deadline, attempts and budget allow.

    An open circuit and a passed deadline are not tried again; what is refused or answered wrongly neither.
    """

    def __init__(
        self,
        inner: LanguageModel,
        settings: LlmSettings,
        metrics: LlmMetrics,
        *,
        random: Random | None = None,
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._metrics = metrics
        self._random = random or Random()
        self._budget: RetryBudget | None = None

    async def complete(self, request: Request) -> Completion:
        """The completion of *request*; raises what the last attempt raised."""
        self._budget_now().call(asyncio.get_running_loop().time())
        # One for each call: tenacity keeps the state of an attempt in the object.
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_worth_it),
            wait=self._wait,
            stop=lambda state: self._is_denied(state, request.deadline),
            before_sleep=self._note,
            sleep=asyncio.sleep,
            reraise=True,
        )
        return await retrying(self._inner.complete, request)

    def _wait(self, state: RetryCallState) -> float:
        settings = self._settings
        error = _error(state)
        if error.retry_after_seconds is None:
            doubled = settings.retry_wait_first_seconds * 2 ** (state.attempt_number - 1)
            return self._random.uniform(0, min(settings.retry_wait_max_seconds, doubled))
        # All that were told the same moment would come back in it.
        return error.retry_after_seconds + self._random.uniform(0, settings.retry_wait_first_seconds)

    def _is_denied(self, state: RetryCallState, deadline: float) -> bool:
        now = asyncio.get_running_loop().time()
        if state.attempt_number > self._settings.retries_max:
            cause = "attempts"
        elif now + state.upcoming_sleep >= deadline:
            cause = "deadline"
        elif not self._budget_now().spend(now):
            cause = "budget"
        else:
            return False
        self._metrics.retries_denied.labels(cause=cause).inc()
        return True

    def _note(self, state: RetryCallState) -> None:
        error = _error(state)
        self._metrics.retries.labels(reason=error.kind).inc()
        log.debug("model call is sent again", reason=error.kind, wait_seconds=round(state.upcoming_sleep, 3))

    def _budget_now(self) -> RetryBudget:
        if self._budget is None:
            self._budget = RetryBudget(
                share=self._settings.retry_share_max,
                floor_per_second=self._settings.retry_floor_per_second,
                now=asyncio.get_running_loop().time(),
            )
        return self._budget


def _is_worth_it(error: BaseException) -> bool:
    return isinstance(error, ModelUnavailable) and not isinstance(error, CircuitOpen | DeadlineExceeded)


def _error(state: RetryCallState) -> ModelUnavailable:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, ModelUnavailable):
        raise TypeError(f"only ModelUnavailable is tried again, not {error!r}")
    return error
