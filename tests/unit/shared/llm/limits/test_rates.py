"""
Rates in virtual time: what waits, what is told at once, what is given back.
"""

import asyncio

import pytest

from shared.arq.prompt import Message
from shared.llm.base import Completion, Usage
from shared.llm.errors import CircuitOpen, ModelUnavailable
from shared.llm.limits.rates import RateLimited, is_limited
from shared.llm.scripted import ScriptedModel
from shared.llm.settings import LlmSettings

ROUND = {"requests_per_minute": 60, "burst_seconds": 2}


def said(tokens=0):
    return Completion("{}", "stop", Usage(tokens, 0, 1), "m")


def waited(registry):
    return registry.get_sample_value("holdfast_rate_limit_wait_seconds_sum", {"limit": "rate"})


async def seconds(model, *requests):
    """When each of *requests*, begun together, was answered."""
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def one(request):
        await model.complete(request)
        return pytest.approx(loop.time() - started)

    return await asyncio.gather(*(one(request) for request in requests))


@pytest.mark.parametrize(
    "name", ["requests_per_minute", "tokens_per_minute", "tenant_requests_per_minute", "tenant_tokens_per_minute"]
)
def test_any_one_rate_makes_it_limited(name):
    assert not is_limited(LlmSettings())
    assert is_limited(LlmSettings(**{name: 1}))


def test_requests_beyond_the_burst_leave_at_the_rate(virtual, registry, metrics, make_request):
    async def main():
        model = RateLimited(ScriptedModel(lambda _: said()), LlmSettings(**ROUND), metrics)
        assert await seconds(model, *(make_request() for _ in range(5))) == [0, 0, 1, 2, 3]
        assert waited(registry) == pytest.approx(6)

    virtual(main())


def test_a_wait_beyond_the_deadline_is_told_at_once_and_takes_nothing(virtual, metrics, make_request):
    async def main():
        inner = ScriptedModel(lambda _: said())
        model = RateLimited(inner, LlmSettings(requests_per_minute=1, burst_seconds=1), metrics)
        await model.complete(make_request())
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            with pytest.raises(ModelUnavailable) as caught:
                await model.complete(make_request(seconds_left=30))
            assert caught.value.kind == "rate_limited"
            assert caught.value.retry_after_seconds == pytest.approx(60)
        assert asyncio.get_running_loop().time() == began
        assert len(inner.requests) == 1

    virtual(main())


def test_tenants_have_rates_of_their_own(virtual, metrics, make_request):
    async def main():
        settings = LlmSettings(tenant_requests_per_minute=60, burst_seconds=1)
        model = RateLimited(ScriptedModel(lambda _: said()), settings, metrics)
        requests = [make_request(tenant=tenant) for tenant in ("a", "a", "b", "b")]
        assert await seconds(model, *requests) == [0, 1, 0, 1]

    virtual(main())


def test_all_tenants_share_the_rate_of_the_endpoint(virtual, metrics, make_request):
    async def main():
        model = RateLimited(ScriptedModel(lambda _: said()), LlmSettings(**ROUND), metrics)
        requests = [make_request(tenant=tenant) for tenant in ("a", "b", "c", "d")]
        assert await seconds(model, *requests) == [0, 0, 1, 2]

    virtual(main())


def test_tokens_are_reserved_by_estimate_and_settled_by_usage(virtual, metrics, make_request):
    async def main():
        settings = LlmSettings(tokens_per_minute=6_000, burst_seconds=10)
        gate = asyncio.Event()

        class Gated(ScriptedModel):
            async def complete(self, request):
                await gate.wait()
                return await super().complete(request)

        model = RateLimited(Gated([said(100), said(100), said(1_100)]), settings, metrics)
        messages = (Message("user", "x" * 400),)
        # The bucket holds 1,000 tokens; 100 + 900 are reserved, so that the second waits 10 s for its own.
        first = asyncio.create_task(seconds(model, make_request(messages=messages, output_tokens_max=900)))
        await asyncio.sleep(0)
        gate.set()
        assert await first == [0]
        # 900 came back: 900 are left.
        assert await seconds(model, make_request(messages=messages, output_tokens_max=800)) == [0]
        # 100 + 100 of 1,000 are spent.
        assert await seconds(model, make_request(messages=messages, output_tokens_max=800)) == [1]

    virtual(main())


def test_a_reservation_larger_than_the_bucket_goes_when_the_bucket_is_full(virtual, metrics, make_request):
    async def main():
        settings = LlmSettings(tokens_per_minute=6_000, burst_seconds=10)
        model = RateLimited(ScriptedModel(lambda _: said(500)), settings, metrics)
        request = make_request(output_tokens_max=4_096)
        assert await seconds(model, request) == [0]
        assert await seconds(model, request) == [5]

    virtual(main())


def test_usage_beyond_the_reservation_is_charged(virtual, metrics, make_request):
    async def main():
        settings = LlmSettings(tokens_per_minute=6_000, burst_seconds=10)
        model = RateLimited(ScriptedModel([said(2_000), said(0)]), settings, metrics)
        request = make_request(messages=(), output_tokens_max=500)
        assert await seconds(model, request) == [0]
        assert await seconds(model, request) == [15]

    virtual(main())


def test_a_call_that_the_circuit_held_back_gets_everything_back(virtual, metrics, make_request):
    async def main():
        script = [*[CircuitOpen("x", retry_after_seconds=1)] * 5, *[said()] * 2]
        model = RateLimited(ScriptedModel(script), LlmSettings(**ROUND), metrics)
        for _ in range(5):
            with pytest.raises(CircuitOpen):
                await model.complete(make_request())
        assert await seconds(model, make_request(), make_request()) == [0, 0]

    virtual(main())


def test_a_call_that_failed_is_charged_its_request(virtual, metrics, make_request):
    async def main():
        script = [*[ModelUnavailable("server_error", "x")] * 2, said()]
        model = RateLimited(ScriptedModel(script), LlmSettings(**ROUND), metrics)
        for _ in range(2):
            with pytest.raises(ModelUnavailable):
                await model.complete(make_request())
        assert await seconds(model, make_request()) == [1]

    virtual(main())


def test_a_cancelled_wait_gives_its_place_in_the_rate_back(virtual, metrics, make_request):
    async def main():
        model = RateLimited(
            ScriptedModel(lambda _: said()), LlmSettings(requests_per_minute=60, burst_seconds=1), metrics
        )
        await model.complete(make_request())
        waiting = asyncio.create_task(model.complete(make_request()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await seconds(model, make_request()) == [1]

    virtual(main())


def test_only_so_many_tenants_are_remembered(virtual, metrics, make_request):
    async def main():
        settings = LlmSettings(tenant_requests_per_minute=1, tenants_max=10)
        model = RateLimited(ScriptedModel(lambda _: said()), settings, metrics)
        for number in range(50):
            await model.complete(make_request(tenant=str(number)))
        assert list(model._tenants) == [str(number) for number in range(40, 50)]

    virtual(main())
