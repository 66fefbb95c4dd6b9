"""
The circuit breaker: its state machine with a clock that the test moves, and what it counts as failure.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.llm.errors import CircuitOpen, DeadlineExceeded, InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.limits.circuit import Circuit, CircuitBroken
from shared.llm.scripted import ScriptedModel
from shared.llm.settings import LlmSettings

WINDOW, CALLS_MIN, SHARE, PROBE = 30.0, 20, 0.5, 10.0


def new() -> Circuit:
    return Circuit(window_seconds=WINDOW, calls_min=CALLS_MIN, failure_share=SHARE, probe_seconds=PROBE)


def call(circuit: Circuit, now: float, *, good: bool) -> bool:
    """One call with its outcome, if it is admitted."""
    ticket = circuit.admit(now)
    if ticket is None:
        return False
    (circuit.succeeded if good else circuit.failed)(ticket, now)
    return True


def opened(now: float = 0.0) -> Circuit:
    circuit = new()
    for _ in range(CALLS_MIN):
        call(circuit, now, good=False)
    assert circuit.state == "open"
    return circuit


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=5), st.booleans()), max_size=200))
def test_it_opens_just_when_the_window_holds_enough_failures(steps):
    circuit, now, history = new(), 0.0, []
    for pause, good in steps:
        now += pause
        assert call(circuit, now, good=good)
        history.append((now, good))
        # A slot may leave the window up to one slot's length early or late; a share at its edge is left undecided.
        near = [ok for when, ok in history if when > now - WINDOW + WINDOW / 30]
        far = [ok for when, ok in history if when > now - WINDOW - WINDOW / 30]
        if circuit.state == "open":
            assert not good
            assert len(far) >= CALLS_MIN
            return
        if len(near) == len(far) and len(near) >= CALLS_MIN and not good:
            assert near.count(False) < SHARE * len(near)


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=15), st.booleans()), max_size=60))
def test_open_admits_at_most_one_call_each_probe_time_and_closes_on_a_success(steps):
    circuit, now, last = opened(), 0.0, 0.0
    for pause, good in steps:
        now += pause
        admitted = call(circuit, now, good=good)
        assert admitted == (now >= last + PROBE)
        if admitted and good:
            assert circuit.state == "closed"
            return
        last = now if admitted else last
        assert circuit.wait(now) == pytest.approx(last + PROBE - now)


def test_19_failures_leave_it_closed():
    circuit = new()
    for _ in range(CALLS_MIN - 1):
        call(circuit, 0.0, good=False)
    assert circuit.state == "closed"


def test_failures_that_left_the_window_count_no_more():
    circuit = new()
    for _ in range(CALLS_MIN - 1):
        call(circuit, 0.0, good=False)
    call(circuit, WINDOW + 1.1, good=False)
    assert circuit.state == "closed"


def test_a_probe_under_way_shows_as_half_open():
    circuit = opened()
    ticket = circuit.admit(PROBE)
    assert circuit.state == "half_open"
    circuit.failed(ticket, PROBE + 1)
    assert circuit.state == "open"


def test_a_probe_slower_than_the_probe_time_still_closes_it():
    circuit = opened()
    slow = circuit.admit(PROBE)
    circuit.admit(2 * PROBE)
    circuit.succeeded(slow, 2 * PROBE + 1)
    assert circuit.state == "closed"


def test_a_call_from_before_it_opened_changes_nothing():
    circuit = new()
    early = circuit.admit(0.0)
    for _ in range(CALLS_MIN):
        call(circuit, 0.0, good=False)
    circuit.succeeded(early, 1.0)
    assert circuit.state == "open"


def test_a_call_from_before_it_closed_changes_nothing():
    circuit = opened()
    early = circuit.admit(PROBE)
    call(circuit, 2 * PROBE, good=True)
    circuit.failed(early, 2 * PROBE, at_once=True)
    assert circuit.state == "closed"


def test_an_abandoned_probe_lets_the_next_one_go_at_once():
    circuit = opened()
    circuit.abandoned(circuit.admit(PROBE))
    assert circuit.admit(PROBE) is not None


def test_what_cannot_succeed_opens_it_at_once():
    circuit = new()
    circuit.failed(circuit.admit(0.0), 0.0, at_once=True)
    assert circuit.state == "open"


def test_after_it_closed_the_old_failures_are_forgotten():
    circuit = opened()
    call(circuit, PROBE, good=True)
    call(circuit, PROBE, good=False)
    assert circuit.state == "closed"


def state(registry) -> float:
    return registry.get_sample_value("holdfast_circuit_state", {"provider": "openai"})


async def meet(model, request, times):
    for _ in range(times):
        with pytest.raises((ModelUnavailable, ModelRefused, InvalidAnswer)):
            await model.complete(request)


FAILING = [
    ModelUnavailable(kind, "x") for kind in ("timeout", "rate_limited", "server_error", "connection", "overloaded")
]


@pytest.mark.parametrize("error", [*FAILING, ModelRefused("auth", "x")], ids=lambda error: error.kind)
def test_an_endpoint_that_keeps_failing_is_left_alone(virtual, registry, metrics, make_request, error):
    async def main():
        inner = ScriptedModel(lambda _: error)
        model = CircuitBroken(inner, LlmSettings(), metrics)
        await meet(model, make_request(), CALLS_MIN)
        assert state(registry) == 2
        with pytest.raises(CircuitOpen) as caught:
            await model.complete(make_request())
        assert caught.value.retry_after_seconds == pytest.approx(PROBE)
        assert len(inner.requests) == CALLS_MIN

    virtual(main())


def test_a_used_up_quota_opens_it_at_once(virtual, registry, metrics, make_request):
    async def main():
        model = CircuitBroken(ScriptedModel(lambda _: ModelRefused("quota", "x")), LlmSettings(), metrics)
        await meet(model, make_request(), 1)
        assert state(registry) == 2

    virtual(main())


HARMLESS = [
    *(ModelRefused(kind, "x") for kind in ("not_found", "too_long", "bad_request")),
    InvalidAnswer("oversized", "x", usage=None),
]


@pytest.mark.parametrize("error", [*HARMLESS, DeadlineExceeded("late")], ids=lambda error: f"{error.kind}")
def test_what_is_not_the_endpoints_fault_leaves_it_closed(virtual, registry, metrics, make_request, error):
    async def main():
        model = CircuitBroken(ScriptedModel(lambda _: error), LlmSettings(), metrics)
        await meet(model, make_request(), 3 * CALLS_MIN)
        assert state(registry) == 0

    virtual(main())


class Hanging:
    """A model that answers to nobody before the deadline."""

    async def complete(self, request):
        await asyncio.sleep(request.deadline - asyncio.get_running_loop().time())
        raise DeadlineExceeded("hung")


def test_deadlines_that_pass_on_a_hanging_endpoint_open_it(virtual, registry, metrics, make_request):
    async def main():
        model = CircuitBroken(Hanging(), LlmSettings(circuit_window_seconds=1_000), metrics)
        for _ in range(CALLS_MIN):
            await meet(model, make_request(seconds_left=6.0), 1)
        assert state(registry) == 2

    virtual(main())


def test_it_closes_again_through_a_probe(virtual, registry, metrics, make_request):
    async def main():
        script = [ModelUnavailable("server_error", "x")] * CALLS_MIN
        model = CircuitBroken(
            ScriptedModel([*script, ModelUnavailable("server_error", "x"), "{}", "{}"]), LlmSettings(), metrics
        )
        await meet(model, make_request(), CALLS_MIN)
        await asyncio.sleep(PROBE)
        await meet(model, make_request(), 1)
        await meet(model, make_request(), 1)
        assert state(registry) == 2
        await asyncio.sleep(PROBE)
        await model.complete(make_request())
        assert state(registry) == 0
        await model.complete(make_request())

    virtual(main())


def test_a_cancelled_probe_makes_room_for_the_next(virtual, registry, metrics, make_request):
    async def main():
        gate = asyncio.Event()

        class Gated(ScriptedModel):
            async def complete(self, request):
                await gate.wait()
                return await super().complete(request)

        inner = Gated(["{}"])
        model = CircuitBroken(inner, LlmSettings(), metrics)
        model._circuit.failed(model._circuit.admit(0.0), asyncio.get_running_loop().time(), at_once=True)
        await asyncio.sleep(PROBE)
        probe = asyncio.create_task(model.complete(make_request()))
        await asyncio.sleep(0)
        assert state(registry) == 1
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        gate.set()
        await model.complete(make_request())
        assert state(registry) == 0

    virtual(main())
