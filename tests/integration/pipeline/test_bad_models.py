"""
Whatever a model answers (cut off, in prose, wrong in enum, refused, empty, a megabyte long) or fails to answer: every
message gets its outcome, and nothing leaves that nobody vouches for.
"""

import asyncio
import json
from uuid import uuid4

import pytest

from shared.events.turns import Outcome

pytestmark = pytest.mark.timeout(180)

MESSAGES = 30
BEHAVIOURS = {
    "always malformed": {"malformed_rate": 1.0},
    "sometimes malformed": {"malformed_rate": 0.3},
    "failing": {"error_rate": 0.5, "retry_after_seconds": 0.05},
    "hallucinating": {"hallucination_rate": 0.5},
    "hallucinating and agreeing with itself": {"hallucination_rate": 0.5, "verifier_miss_rate": 1.0},
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_every_message_has_its_outcome_whatever_the_model_does(start_pipeline, behaviour):
    async with start_pipeline(rehearsal=BEHAVIOURS[behaviour]) as pipeline:
        question = {"agent": "bank", "author": "customer"}
        texts = [f"How long does an international transfer take? ({number})" for number in range(MESSAGES)]
        bodies = [json.dumps({**question, "text": text}).encode() for text in texts]
        ids = await asyncio.gather(*(pipeline.put(f"c-{uuid4().hex[:8]}", body) for body in bodies))
        exchanges = [await pipeline.outcome(event_id) for event_id in ids]
        report = pipeline.watch.auditor.report()

    assert report.findings == ()
    assert {exchange.closed.outcome for exchange in exchanges} <= {Outcome.ANSWERED, Outcome.HANDED_OFF}
    if behaviour == "always malformed":
        assert all(exchange.response.fallback for exchange in exchanges)
    if behaviour == "hallucinating":
        assert all("6 to 5" not in exchange.response.text for exchange in exchanges)
