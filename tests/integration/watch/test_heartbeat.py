"""
The heartbeat walks the whole way through every partition of a real stack, and notices a stage that stands still.
"""

import asyncio
import signal
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.operator.adapters.fleet import Member
from services.operator.adapters.samples import bank_playbook
from services.operator.adapters.stack import StackPlan, running
from shared.broker.clients import KafkaSettings

PARTITIONS = 3
SECONDS_MAX = 45.0


async def beats(member: Member) -> dict[str, float]:
    """What the process says of its questions so far, by result; nothing while it does not listen yet."""
    try:
        async with httpx.AsyncClient(timeout=5.0) as client:
            text = (await client.get(f"http://127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}/metrics")).text
    except httpx.HTTPError:
        return {}
    return {
        sample.labels["result"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "holdfast_heartbeats_total"
    }


async def until(member: Member, result: str, count: float) -> None:
    limit = time.monotonic() + SECONDS_MAX
    while (found := await beats(member)).get(result, 0) < count:
        assert time.monotonic() < limit, f"{found}; its log: {member.log_tail()}"
        await asyncio.sleep(0.2)


@pytest.mark.timeout(180)
async def test_the_heartbeat_goes_through_every_partition_and_notices_a_stage_that_stands_still(tmp_path):
    plan = StackPlan(folder=tmp_path / "stack", tenant="harbour", playbook=bank_playbook(), partitions=PARTITIONS)
    async with running(plan, KafkaSettings()) as stack:
        heart = await stack.services.start(
            "heartbeat",
            "services.operator",
            "heartbeat",
            HOLDFAST_HEARTBEAT_INTERVAL_SECONDS="0.2",
            HOLDFAST_HEARTBEAT_PATIENCE_SECONDS="2",
        )

        await until(heart, "answered", 2 * PARTITIONS)
        assert (await beats(heart)).keys() == {"answered"}

        verifier = stack.services.members["verifier-1"]
        verifier.send(signal.SIGSTOP)
        try:
            await until(heart, "late", 1)
        finally:
            verifier.send(signal.SIGCONT)
        answered = (await beats(heart))["answered"]
        await until(heart, "answered", answered + PARTITIONS)
