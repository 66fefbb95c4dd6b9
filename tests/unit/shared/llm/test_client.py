"""
The composed client: that its parts stand in the right order, seen from outside.
"""

import asyncio
import json

import httpx
import pytest

from shared.llm.client import build_model
from shared.llm.errors import CircuitOpen, DeadlineExceeded, ModelRefused, ModelUnavailable
from shared.llm.settings import LlmSettings
from shared.llm.structured import CountsAnswers


class Endpoint:
    """Answers by a script of (status, headers); the last one stays."""

    def __init__(self, *script):
        self.script = list(script)
        self.times = []

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.times.append(asyncio.get_running_loop().time())
        status, headers = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        choice = {"message": {"content": "{}"}, "finish_reason": "stop"}
        body = {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "model": "m"}
        return httpx.Response(status, headers=headers, content=json.dumps(body if status == 200 else {}))


def client(endpoint, metrics, **changes):
    return build_model(LlmSettings(**changes), metrics, transport=httpx.MockTransport(endpoint))


OK = (200, {})


def test_a_rate_limited_call_comes_back_after_the_wait_that_was_asked_for(virtual, metrics, make_request):
    async def main():
        endpoint = Endpoint((429, {"retry-after": "7"}), OK)
        async with client(endpoint, metrics) as model:
            assert (await model.complete(make_request())).text == "{}"
        first, second = endpoint.times
        assert 7 <= second - first <= 7.5

    virtual(main())


def test_each_attempt_passes_the_rates_anew(virtual, metrics, make_request):
    async def main():
        endpoint = Endpoint((500, {}), (500, {}), OK)
        async with client(endpoint, metrics, requests_per_minute=6, burst_seconds=10) as model:
            await model.complete(make_request())
        pauses = [later - earlier for earlier, later in zip(endpoint.times, endpoint.times[1:], strict=False)]
        assert pauses == [pytest.approx(10), pytest.approx(10)]

    virtual(main())


def test_a_failing_endpoint_is_left_alone_within_its_window(virtual, metrics, make_request):
    async def main():
        endpoint = Endpoint((503, {}))
        async with client(endpoint, metrics) as model:
            calls = [model.complete(make_request()) for _ in range(200)]
            errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} <= {ModelUnavailable, CircuitOpen}
        assert sum(isinstance(error, CircuitOpen) for error in errors) > 100
        assert len(endpoint.times) < 30

    virtual(main())


def test_a_used_up_quota_is_asked_once(virtual, metrics, make_request):
    async def main():
        endpoint = Endpoint((402, {}))
        async with client(endpoint, metrics) as model:
            with pytest.raises(ModelRefused):
                await model.complete(make_request())
            with pytest.raises(CircuitOpen):
                await model.complete(make_request())
        assert len(endpoint.times) == 1

    virtual(main())


def test_our_own_waits_do_not_open_the_circuit(virtual, registry, metrics, make_request):
    async def main():
        gate = asyncio.Event()

        async def handle(request):
            await gate.wait()
            return Endpoint(OK)(request)

        async with client(handle, metrics, in_flight_max=2) as model:
            held = [asyncio.create_task(model.complete(make_request())) for _ in range(2)]
            await asyncio.sleep(0)
            calls = (model.complete(make_request(seconds_left=10)) for _ in range(50))
            late = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(error) for error in late} == {DeadlineExceeded}
            gate.set()
            await asyncio.gather(*held)
        assert registry.get_sample_value("holdfast_circuit_state", {"provider": "openai"}) == 0

    virtual(main())


async def test_it_counts_answers_under_its_provider(registry, metrics):
    async with client(Endpoint(OK), metrics) as model:
        assert isinstance(model, CountsAnswers)
        model.count_answer("match", "schema")
    labels = {"provider": "openai", "purpose": "match", "kind": "schema"}
    assert registry.get_sample_value("holdfast_structured_output_invalid_total", labels) == 1
