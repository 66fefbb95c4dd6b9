"""
Retries in virtual time: when, how often, and never past the deadline.
"""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from shared.llm.base import Request
from shared.llm.errors import CircuitOpen, DeadlineExceeded, InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.limits.retry import BUDGET_CALLS, BUDGET_SECONDS, Retried, RetryBudget
from shared.llm.metrics import LlmMetrics
from shared.llm.scripted import ScriptedModel
from shared.llm.settings import LlmSettings

DOWN = ModelUnavailable("server_error", "x")


class Timed(ScriptedModel):
    """Notes when it was asked."""

    def __init__(self, script):
        super().__init__(script)
        self.times = []

    async def complete(self, request):
        self.times.append(asyncio.get_running_loop().time())
        return await super().complete(request)


def retried(inner, metrics, **changes):
    return Retried(inner, LlmSettings(**changes), metrics, random=Random(1))


def count(registry, name, **labels):
    return registry.get_sample_value(name, labels)


def test_a_passing_failure_is_tried_again_and_counted(virtual, registry, metrics, make_request):
    async def main():
        model = retried(ScriptedModel([DOWN, ModelUnavailable("timeout", "x"), "{}"]), metrics)
        assert (await model.complete(make_request())).text == "{}"
        assert count(registry, "holdfast_llm_retries_total", reason="server_error") == 1
        assert count(registry, "holdfast_llm_retries_total", reason="timeout") == 1

    virtual(main())


def test_after_the_last_attempt_its_error_is_raised(virtual, registry, metrics, make_request):
    async def main():
        inner = ScriptedModel([DOWN, DOWN, DOWN, ModelUnavailable("timeout", "the last")])
        with pytest.raises(ModelUnavailable, match="the last"):
            await retried(inner, metrics).complete(make_request())
        assert len(inner.requests) == 4
        assert count(registry, "holdfast_llm_retries_denied_total", cause="attempts") == 1

    virtual(main())


def test_no_retries_means_none(virtual, metrics, make_request):
    async def main():
        inner = ScriptedModel([DOWN])
        with pytest.raises(ModelUnavailable):
            await retried(inner, metrics, retries_max=0).complete(make_request())

    virtual(main())


@pytest.mark.parametrize(
    "error",
    [
        CircuitOpen("x", retry_after_seconds=1),
        DeadlineExceeded("x"),
        ModelRefused("auth", "x"),
        InvalidAnswer("oversized", "x", usage=None),
        KeyError("a defect"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_another_attempt_cannot_mend_is_raised_at_once(virtual, metrics, make_request, error):
    async def main():
        inner = ScriptedModel([error])
        with pytest.raises(type(error)):
            await retried(inner, metrics).complete(make_request())
        assert len(inner.requests) == 1

    virtual(main())


def test_waits_are_jittered_below_a_doubling_ceiling(virtual, metrics, make_request):
    async def main():
        pauses = []
        model = retried(None, metrics, retry_share_max=1.0)
        for _ in range(20):
            inner = Timed([DOWN, DOWN, DOWN, "{}"])
            model._inner = inner
            await model.complete(make_request())
            pauses.append([later - earlier for earlier, later in zip(inner.times, inner.times[1:], strict=False)])
        for ceiling, column in zip((0.5, 1.0, 2.0), zip(*pauses, strict=True), strict=True):
            assert 0 <= min(column) < ceiling / 4
            assert ceiling * 3 / 4 < max(column) <= ceiling

    virtual(main())


@given(st.floats(min_value=0, max_value=40))
def test_no_attempt_comes_before_the_wait_that_was_asked_for_nor_after_the_deadline(virtual, asked):
    async def main():
        start = asyncio.get_running_loop().time()
        inner = Timed(lambda _: ModelUnavailable("rate_limited", "x", retry_after_seconds=asked))
        request = Request("p", "t", (), "s", {}, start + 60)
        with pytest.raises(ModelUnavailable):
            await retried(inner, LlmMetrics(CollectorRegistry())).complete(request)
        assert all(
            later - earlier >= asked - 1e-9 for earlier, later in zip(inner.times, inner.times[1:], strict=False)
        )
        assert inner.times[-1] < start + 60

    virtual(main())


def test_a_wait_past_the_deadline_is_not_begun(virtual, registry, metrics, make_request):
    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        model = retried(ScriptedModel([ModelUnavailable("rate_limited", "x", retry_after_seconds=20)]), metrics)
        with pytest.raises(ModelUnavailable):
            await model.complete(make_request(seconds_left=10))
        assert loop.time() == began
        assert count(registry, "holdfast_llm_retries_denied_total", cause="deadline") == 1

    virtual(main())


def test_when_everything_fails_retries_stay_within_their_share(virtual, registry, metrics, make_request):
    async def main():
        inner = ScriptedModel(lambda _: DOWN)
        model = retried(inner, metrics, retry_floor_per_second=0)
        for _ in range(1_000):
            with pytest.raises(ModelUnavailable):
                await model.complete(make_request())
        assert len(inner.requests) <= 1_000 * 1.1 + BUDGET_CALLS * 0.1
        assert count(registry, "holdfast_llm_retries_denied_total", cause="budget") > 0

    virtual(main())


@given(
    st.floats(min_value=0, max_value=1),
    st.floats(min_value=0, max_value=10),
    st.lists(st.tuples(st.floats(min_value=0, max_value=5), st.booleans()), max_size=300),
)
def test_the_budget_grants_no_more_than_share_floor_and_capacity(share, floor, steps):
    budget, now, calls, granted = RetryBudget(share=share, floor_per_second=floor, now=0.0), 0.0, 0, 0
    assert budget.capacity == share * BUDGET_CALLS + floor * BUDGET_SECONDS
    for pause, is_call in steps:
        now += pause
        if is_call:
            budget.call(now)
            calls += 1
        else:
            granted += budget.spend(now)
        assert granted <= share * calls + floor * now + budget.capacity + 1e-6


def test_a_cancelled_wait_ends_at_once(virtual, metrics, make_request):
    async def main():
        model = retried(ScriptedModel([ModelUnavailable("rate_limited", "x", retry_after_seconds=20)]), metrics)
        call = asyncio.create_task(model.complete(make_request()))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    virtual(main())
