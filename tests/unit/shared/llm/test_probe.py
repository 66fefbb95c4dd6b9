"""
The enforcement probe: what it concludes, what it reports, and when it stops the process.
"""

import pytest
from structlog.testing import capture_logs

from shared.errors import Fatal
from shared.llm.base import Completion, Usage
from shared.llm.errors import CircuitOpen, DeadlineExceeded, InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.probe import probe
from shared.llm.scripted import ScriptedModel
from shared.llm.settings import LlmSettings

ENFORCED = '{"colour": "ultramarine"}'


def said(text, finish="stop"):
    return Completion(text, finish, Usage(1, 1, 1), "m")


def gauge(registry):
    return registry.get_sample_value("holdfast_llm_schema_enforced", {"provider": "openai"})


@pytest.mark.parametrize(
    ("line", "found", "shown"),
    [
        (said(ENFORCED), "enforced", 1.0),
        (said('{"colour": "green"}'), "not_enforced", 0.0),
        (said("green"), "not_enforced", 0.0),
        (said(f"```json\n{ENFORCED}\n```"), "not_enforced", 0.0),
        (said(f"<think>Green?</think>{ENFORCED}<|im_end|>"), "enforced", 1.0),
        (said('{"colour"', "length"), "unclear", None),
        (said("", "refusal"), "unclear", None),
        (said("  "), "unclear", None),
        (InvalidAnswer("oversized", "x", usage=Usage()), "unclear", None),
        (ModelUnavailable("connection", "x"), "unreachable", None),
        (DeadlineExceeded("x"), "unreachable", None),
        (CircuitOpen("x", retry_after_seconds=1), "unreachable", None),
        (ModelRefused("bad_request", "x"), "refused", None),
        (ModelRefused("quota", "x"), "refused", None),
    ],
)
async def test_what_an_answer_shows_is_told_in_log_and_metric(registry, metrics, line, found, shown):
    with capture_logs() as logs:
        assert await probe(ScriptedModel([line]), LlmSettings(), metrics) == found
    assert gauge(registry) == shown
    assert [entry["log_level"] for entry in logs] == ["info" if found == "enforced" else "warning"]


@pytest.mark.parametrize("kind", ["auth", "not_found"])
async def test_a_rejected_key_or_model_stops_the_process(metrics, kind):
    with pytest.raises(Fatal, match="cannot be used as configured"):
        await probe(ScriptedModel([ModelRefused(kind, "no")]), LlmSettings(), metrics)


async def test_the_prompt_asks_for_what_the_schema_forbids(metrics):
    model = ScriptedModel([ENFORCED])
    await probe(model, LlmSettings(), metrics)
    (request,) = model.requests
    assert request.schema["properties"]["colour"]["enum"] == ["ultramarine"]
    assert "ultramarine" not in str(request.messages)
    assert "green" in request.messages[-1].content
