"""
What is measured of a call, under OpenTelemetry's names.
"""

import asyncio

import pytest

from shared.llm.base import Completion, Usage
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.limits.measured import Measured
from shared.llm.metrics import DURATION_BUCKETS, MODEL_NAMES_MAX, TOKEN_BUCKETS
from shared.llm.scripted import ScriptedModel
from shared.llm.settings import LlmSettings

SETTINGS = LlmSettings(url="https://api.example/v1", model="m-1", provider="anthropic")
LABELS = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "anthropic",
    "gen_ai_request_model": "m-1",
    "server_address": "api.example",
    "server_port": "443",
}


def durations(registry, **labels):
    return registry.get_sample_value("gen_ai_client_operation_duration_seconds_count", {**LABELS, **labels})


def test_the_buckets_are_those_of_the_convention():
    assert tuple(pytest.approx(0.01 * 2**power) for power in range(14)) == DURATION_BUCKETS
    assert TOKEN_BUCKETS[:4] == (1, 4, 16, 64)
    assert TOKEN_BUCKETS[-1] == 67_108_864


def test_an_answer_is_measured_in_time_and_tokens(virtual, registry, metrics, make_request):
    class Slow(ScriptedModel):
        async def complete(self, request):
            await asyncio.sleep(3)
            assert registry.get_sample_value("holdfast_llm_in_flight", {"provider": "anthropic"}) == 1
            return await super().complete(request)

    async def main():
        inner = Slow([Completion("{}", "stop", Usage(300, 20, 1), "m-1-2026")])
        await Measured(inner, SETTINGS, metrics).complete(make_request())

    virtual(main())
    answered = {**LABELS, "gen_ai_response_model": "m-1-2026"}
    assert durations(registry, gen_ai_response_model="m-1-2026", error_type="") == 1
    total = registry.get_sample_value("gen_ai_client_operation_duration_seconds_sum", {**answered, "error_type": ""})
    assert total == pytest.approx(3)
    for kind, tokens in (("input", 300), ("output", 20)):
        labels = {**answered, "gen_ai_token_type": kind}
        assert registry.get_sample_value("gen_ai_client_token_usage_sum", labels) == tokens
    assert registry.get_sample_value("holdfast_llm_in_flight", {"provider": "anthropic"}) == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelUnavailable("timeout", "x"), "timeout"),
        (ModelRefused("auth", "x"), "auth"),
        (InvalidAnswer("oversized", "x", usage=Usage()), "oversized"),
        (KeyError("a defect"), "other"),
    ],
)
async def test_a_failure_is_measured_by_its_kind(registry, metrics, make_request, error, told):
    with pytest.raises(type(error)):
        await Measured(ScriptedModel([error]), SETTINGS, metrics).complete(make_request())
    assert durations(registry, gen_ai_response_model="", error_type=told) == 1
    assert registry.get_sample_value("holdfast_llm_in_flight", {"provider": "anthropic"}) == 0


async def test_a_cancelled_call_is_measured_as_such(registry, metrics, make_request):
    with pytest.raises(asyncio.CancelledError):
        await Measured(ScriptedModel(cancelled), SETTINGS, metrics).complete(make_request())
    assert durations(registry, gen_ai_response_model="", error_type="cancelled") == 1


def cancelled(_):
    raise asyncio.CancelledError


def test_names_that_an_endpoint_invents_do_not_grow_the_metrics(metrics):
    names = {metrics.bounded_name(f"m-{number}") for number in range(1_000)}
    assert len(names) == MODEL_NAMES_MAX + 1
    assert metrics.bounded_name("m-0") == "m-0"
    assert metrics.bounded_name("m-999") == "other"
