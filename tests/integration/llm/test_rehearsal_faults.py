"""
The whole client against the rehearsal model at its worst: every question ends well or in a named error.
"""

import asyncio
from collections import Counter

from prometheus_client import CollectorRegistry

from shared.arq.prompt import Prompt, Section
from shared.llm.client import build_model
from shared.llm.errors import InvalidAnswer, ModelUnavailable
from shared.llm.metrics import LlmMetrics
from shared.llm.probe import BLUEPRINT
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.settings import LlmSettings
from shared.llm.structured import ask

QUESTIONS = 300


async def test_with_a_fifth_malformed_and_a_tenth_in_error_nearly_all_questions_are_answered():
    registry = CollectorRegistry()
    rehearsal = RehearsalSettings(malformed_rate=0.2, error_rate=0.1, retry_after_seconds=0.01, seed=3)
    settings = {"in_flight_max": 50, "retry_wait_first_seconds": 0.01, "retry_share_max": 0.5}

    async def one(model, number: int) -> str:
        prompt = Prompt(static=(Section("rules"),), dynamic=(Section("turn", data={"number": number}),))
        deadline = asyncio.get_running_loop().time() + 60
        try:
            answered = await ask(model, BLUEPRINT, prompt, purpose="match", tenant="acme", deadline=deadline)
        except (InvalidAnswer, ModelUnavailable) as error:
            return error.kind
        return f"answered in {answered.attempts}"

    async with (
        RehearsalServer(rehearsal, rules={}) as server,
        build_model(LlmSettings(url=server.url, **settings), LlmMetrics(registry)) as model,
    ):
        outcomes = Counter(await asyncio.gather(*(one(model, number) for number in range(QUESTIONS))))

    answered = outcomes["answered in 1"] + outcomes["answered in 2"]
    assert outcomes["answered in 2"] > 0
    # Two malformed answers in a row: 4 % of the questions are expected to fail.
    assert answered > 0.9 * QUESTIONS
    assert sum(outcomes.values()) == QUESTIONS
    kinds = {"truncated", "refused", "empty", "oversized", "not_json", "schema"}
    assert set(outcomes) <= {"answered in 1", "answered in 2", *kinds}
    for kind in kinds:
        labels = {"provider": "openai", "purpose": "match", "kind": kind}
        assert registry.get_sample_value("holdfast_structured_output_invalid_total", labels), kind
    for reason in ("rate_limited", "server_error"):
        assert registry.get_sample_value("holdfast_llm_retries_total", {"reason": reason}), reason
