"""
The circuit breaker: an endpoint that keeps failing is left alone, and tried with one call at a time.

A class of its own: the breakers kept on the package index count failures in a row, or block, or keep no rolling window
of shares.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Literal

import structlog

from shared.llm.base import Completion, LanguageModel, Request
from shared.llm.errors import CircuitOpen, InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.limits.fairness import had_no_chance
from shared.llm.metrics import CIRCUIT_STATES, LlmMetrics
from shared.llm.settings import LlmSettings

State = Literal["closed", "half_open", "open"]
SLOTS_PER_WINDOW = 30
FAILURES_OF_THE_ACCOUNT = frozenset({"auth", "quota"})

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Slot:
    """Outcomes of one slice of the window."""

    started: float
    calls: int = 0
    failures: int = 0


class Circuit:
    """
    A state machine without a clock: every method is told the time (seconds, monotonic).

    Closed until at least *failure_share* of at least *calls_min* calls within *window_seconds* failed; then open: one
    probe is admitted each *probe_seconds*, and the first one that succeeds closes it. Outcomes of calls that were
    admitted before it opened change nothing any more.
    """

    def __init__(
        self,
        *,
        window_seconds: float,
        calls_min: int,
        failure_share: float,
        probe_seconds: float,
    ) -> None:
        self._window_seconds = window_seconds
        self._calls_min = calls_min
        self._failure_share = failure_share
        self._probe_seconds = probe_seconds
        self._slots: deque[_Slot] = deque()
        self._term = 0
        self._open = False
        self._probing = False
        self._probe_at = 0.0

    @property
    def state(self) -> State:
        """`half_open` is open with a probe under way."""
        if not self._open:
            return "closed"
        return "half_open" if self._probing else "open"

    def admit(self, now: float) -> int | None:
        """A ticket for one call, to be handed back with its outcome; None if the call must not be sent."""
        if self._open:
            if now < self._probe_at:
                return None
            # An earlier probe may still be under way: it, too, closes the circuit if it is answered.
            self._probing = True
            self._probe_at = now + self._probe_seconds
        return self._term

    def wait(self, now: float) -> float:
        """Seconds until the next call may be admitted."""
        return max(0.0, self._probe_at - now) if self._open else 0.0

    def succeeded(self, ticket: int, now: float) -> None:
        """The call was answered."""
        if ticket == self._term:
            if self._open:
                self._close()
            else:
                self._count(now, failed=False)

    def failed(self, ticket: int, now: float, *, at_once: bool = False) -> None:
        """The call failed through the endpoint's fault; *at_once* opens without counting (nothing can succeed)."""
        if ticket != self._term:
            return
        if self._open:
            self._probing = False
            return
        self._count(now, failed=True)
        calls = sum(slot.calls for slot in self._slots)
        failures = sum(slot.failures for slot in self._slots)
        if at_once or (calls >= self._calls_min and failures >= self._failure_share * calls):
            self._open = True
            self._term += 1
            self._probe_at = now + self._probe_seconds

    def abandoned(self, ticket: int) -> None:
        """The call ended without telling anything about the endpoint; another probe may go at once."""
        if self._open and ticket == self._term:
            self._probing = False
            self._probe_at = 0.0

    def _close(self) -> None:
        self._open = self._probing = False
        self._term += 1
        self._slots.clear()

    def _count(self, now: float, *, failed: bool) -> None:
        while self._slots and self._slots[0].started <= now - self._window_seconds:
            self._slots.popleft()
        if not self._slots or self._slots[-1].started <= now - self._window_seconds / SLOTS_PER_WINDOW:
            self._slots.append(_Slot(now))
        self._slots[-1].calls += 1
        self._slots[-1].failures += failed


class CircuitBroken:
    """
    Sends a request only while the circuit lets it through. Time-outs, overload and server errors count as failures.
    """

    def __init__(self, inner: LanguageModel, settings: LlmSettings, metrics: LlmMetrics) -> None:
        self._inner = inner
        self._fair_seconds = settings.fair_chance_seconds
        self._circuit = Circuit(
            window_seconds=settings.circuit_window_seconds,
            calls_min=settings.circuit_calls_min,
            failure_share=settings.circuit_failure_share,
            probe_seconds=settings.circuit_probe_seconds,
        )
        self._gauge = metrics.circuit.labels(provider=settings.provider)
        self._shown: State = "closed"
        self._gauge.set(CIRCUIT_STATES["closed"])

    async def complete(self, request: Request) -> Completion:
        """The completion of *request*. Raises CircuitOpen if the endpoint is being left alone."""
        loop = asyncio.get_running_loop()
        ticket = self._circuit.admit(loop.time())
        if ticket is None:
            wait = self._circuit.wait(loop.time())
            raise CircuitOpen(
                f"{request.purpose}: not sent, the model's endpoint has been failing; next try in {wait:.1f} s",
                retry_after_seconds=wait,
            )
        self._show()
        started = loop.time()
        try:
            completion = await self._inner.complete(request)
        except BaseException as error:
            self._learn(error, ticket, loop.time(), loop.time() - started)
            raise
        else:
            self._circuit.succeeded(ticket, loop.time())
            return completion
        finally:
            self._show()

    def _learn(self, error: BaseException, ticket: int, now: float, elapsed_seconds: float) -> None:
        if had_no_chance(error, elapsed_seconds, self._fair_seconds):
            self._circuit.abandoned(ticket)
        elif isinstance(error, ModelUnavailable) or getattr(error, "kind", "") in FAILURES_OF_THE_ACCOUNT:
            self._circuit.failed(ticket, now, at_once=getattr(error, "kind", "") == "quota")
        elif isinstance(error, ModelRefused | InvalidAnswer):
            # The endpoint is there, and judged this request or answered it.
            self._circuit.succeeded(ticket, now)
        else:
            self._circuit.abandoned(ticket)

    def _show(self) -> None:
        state = self._circuit.state
        if state == self._shown:
            return
        if state == "open" and self._shown == "closed":
            log.warning("the circuit opened: model calls fail at once until a probe succeeds")
        elif state == "closed":
            log.info("the circuit closed: the model answers again")
        self._shown = state
        self._gauge.set(CIRCUIT_STATES[state])
