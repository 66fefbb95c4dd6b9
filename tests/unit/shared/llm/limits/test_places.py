"""
Places in virtual time: the adaptive limit, fairness among tenants, and no place lost whatever happens.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from shared.arq.prompt import Message
from shared.llm.base import Request
from shared.llm.errors import CircuitOpen, DeadlineExceeded, ModelRefused, ModelUnavailable
from shared.llm.limits.places import AdaptiveLimit, PlaceLimited
from shared.llm.metrics import LlmMetrics
from shared.llm.scripted import ScriptedModel
from shared.llm.settings import LlmSettings


class Slow(ScriptedModel):
    """Takes a second for each answer, and tells how many were out at once."""

    def __init__(self, script=lambda _: "{}"):
        super().__init__(script)
        self.out = self.most = 0

    async def complete(self, request):
        self.out += 1
        self.most = max(self.most, self.out)
        try:
            await asyncio.sleep(1)
            return await super().complete(request)
        finally:
            self.out -= 1


@given(
    st.integers(1, 20),
    st.integers(0, 500),
    st.lists(
        st.tuples(st.booleans(), st.floats(min_value=0, max_value=10), st.floats(min_value=0, max_value=30)),
        max_size=100,
    ),
)
def test_the_limit_stays_within_its_bounds(least, extra, steps):
    limit, now = AdaptiveLimit(least=least, most=least + extra), 0.0
    for good, pause, took in steps:
        now += pause
        if good:
            limit.succeeded(limit.limit)
        else:
            limit.congested(now - took, now)
        assert least <= limit.limit <= least + extra


def test_congestion_cuts_once_for_all_calls_that_were_out_together():
    limit = AdaptiveLimit(least=1, most=100)
    for _ in range(50):
        limit.congested(sent_at=0.0, now=5.0)
    assert limit.limit == 70
    limit.congested(sent_at=5.1, now=6.0)
    assert limit.limit == 49


def test_a_round_of_successes_at_the_limit_adds_a_64th():
    limit = AdaptiveLimit(least=1, most=640)
    limit.congested(0.0, 1.0)
    before = limit.limit
    for _ in range(before):
        limit.succeeded(limit.limit)
    assert limit.limit in range(before + 9, before + 11)


def test_successes_below_the_limit_add_nothing():
    limit = AdaptiveLimit(least=1, most=100)
    limit.congested(0.0, 1.0)
    for _ in range(1_000):
        limit.succeeded(5)
    assert limit.limit == 70


def test_no_more_calls_are_out_than_there_are_places(virtual, metrics, make_request):
    async def main():
        inner = Slow()
        model = PlaceLimited(inner, LlmSettings(in_flight_max=3), metrics)
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(model.complete(make_request()) for _ in range(10)))
        assert inner.most == 3
        assert asyncio.get_running_loop().time() == started + 4

    virtual(main())


def test_tenants_take_turns(virtual, metrics, make_request):
    async def main():
        inner = Slow()
        model = PlaceLimited(inner, LlmSettings(in_flight_max=2), metrics)
        tenants = [*"aaaaaaaa", "b", "c", "b"]
        await asyncio.gather(*(model.complete(make_request(tenant=tenant)) for tenant in tenants))
        assert "".join(request.tenant for request in inner.requests) == "aaabcabaaaa"

    virtual(main())


def test_a_call_without_a_place_ends_at_its_deadline(virtual, metrics, make_request):
    async def main():
        model = PlaceLimited(Slow(), LlmSettings(in_flight_max=1, in_flight_min=1), metrics)
        first = asyncio.create_task(model.complete(make_request()))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded, match="no place"):
            await model.complete(make_request(seconds_left=0.5))
        await first
        assert not model._waiting
        assert not model._queues
        await model.complete(make_request())

    virtual(main())


def test_more_waiters_than_allowed_are_turned_away(virtual, metrics, make_request):
    async def main():
        model = PlaceLimited(Slow(), LlmSettings(in_flight_max=1, in_flight_min=1, waiting_max=2), metrics)
        calls = [asyncio.create_task(model.complete(make_request())) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ModelUnavailable) as caught:
            await model.complete(make_request())
        assert caught.value.kind == "overloaded"
        await asyncio.gather(*calls)

    virtual(main())


def test_a_waiter_that_left_makes_room_for_another(virtual, metrics, make_request):
    async def main():
        model = PlaceLimited(Slow(), LlmSettings(in_flight_max=1, in_flight_min=1, waiting_max=1), metrics)
        first = asyncio.create_task(model.complete(make_request()))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await model.complete(make_request(seconds_left=0.5))
        await model.complete(make_request())
        await first

    virtual(main())


def test_a_place_granted_to_a_call_that_is_cancelled_in_the_same_moment_is_passed_on(virtual, metrics, make_request):
    async def main():
        model = PlaceLimited(Slow(), LlmSettings(in_flight_max=1, in_flight_min=1), metrics)

        async def first():
            await model.complete(make_request())
            # The second one has its place by now, and has not yet run.
            second.cancel()

        held = asyncio.create_task(first())
        await asyncio.sleep(0)
        second = asyncio.create_task(model.complete(make_request()))
        third = asyncio.create_task(model.complete(make_request()))
        await asyncio.wait([held, second, third])
        assert second.cancelled()
        assert third.result().text == "{}"
        assert model._out == 0

    virtual(main())


def test_a_call_cancelled_just_before_its_turn_is_passed_over(virtual, metrics, make_request):
    async def main():
        class Cancelling(ScriptedModel):
            async def complete(self, request):
                await asyncio.sleep(1)
                second.cancel()
                return await super().complete(request)

        model = PlaceLimited(Cancelling(lambda _: "{}"), LlmSettings(in_flight_max=1, in_flight_min=1), metrics)
        first = asyncio.create_task(model.complete(make_request()))
        await asyncio.sleep(0)
        second = asyncio.create_task(model.complete(make_request()))
        third = asyncio.create_task(model.complete(make_request()))
        await asyncio.wait([first, second, third])
        assert second.cancelled()
        assert [first.result().text, third.result().text] == ["{}", "{}"]
        assert (model._out, model._waiting) == (0, 0)

    virtual(main())


@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "timeout"])
def test_congestion_lowers_the_limit_and_shows_it(virtual, registry, metrics, make_request, kind):
    async def main():
        model = PlaceLimited(ScriptedModel([ModelUnavailable(kind, "x")]), LlmSettings(in_flight_max=10), metrics)
        with pytest.raises(ModelUnavailable):
            await model.complete(make_request())
        assert registry.get_sample_value("holdfast_llm_in_flight_limit", {"provider": "openai"}) == 7

    virtual(main())


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailable("server_error", "x"),
        ModelUnavailable("connection", "x"),
        CircuitOpen("x", retry_after_seconds=1),
        ModelRefused("bad_request", "x"),
        DeadlineExceeded("sent too late"),
    ],
    ids=lambda error: error.kind,
)
def test_what_is_no_congestion_leaves_the_limit(virtual, metrics, make_request, error):
    async def main():
        model = PlaceLimited(ScriptedModel([error]), LlmSettings(in_flight_max=10), metrics)
        with pytest.raises(type(error)):
            await model.complete(make_request())
        assert model._limit.limit == 10

    virtual(main())


def test_an_answer_slower_than_it_should_be_is_congestion(virtual, metrics, make_request):
    async def main():
        model = PlaceLimited(Slow(), LlmSettings(in_flight_max=10, slow_seconds=0.9), metrics)
        await model.complete(make_request())
        assert model._limit.limit == 7

    virtual(main())


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.sampled_from(["finish", "cancel", "deadline"])),
        max_size=30,
    ),
)
def test_no_place_is_lost_to_cancelled_or_late_calls(virtual, plans):
    """Times are multiples of a tenth, so that deadlines, cancellations and answers meet in one moment."""

    async def main():
        loop = asyncio.get_running_loop()
        inner = Slow()
        model = PlaceLimited(inner, LlmSettings(in_flight_max=2), LlmMetrics(CollectorRegistry()))

        async def one(tenant, tenths, ending):
            deadline = loop.time() + (tenths / 10 if ending == "deadline" else 1_000)
            request = Request("p", tenant, (Message("user", ""),), "s", {}, deadline)
            call = asyncio.ensure_future(model.complete(request))
            if ending == "cancel":
                loop.call_later(tenths / 10, call.cancel)
            await asyncio.wait([call])
            return call.cancelled() or call.exception()

        await asyncio.gather(*(one(*plan) for plan in plans))
        assert inner.most <= 2
        assert (model._out, model._waiting, len(model._queues)) == (0, 0, 0)

    virtual(main())
