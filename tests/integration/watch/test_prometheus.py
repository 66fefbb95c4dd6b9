"""
A real Prometheus, with the shipped rules, scrapes a real stack: targets, series, recorded indicators, and an alert that
a fault awakes.
"""

import asyncio
import signal
import time
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import pytest

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.stack import STAGES, Stack, StackPlan, running
from services.operator.adapters.watch import Watch
from shared.broker.clients import KafkaSettings
from shared.events.envelope import Address
from shared.playbook.loading import load

SAMPLES = Path(str(files("services.operator"))) / "samples"
TENANT = "harbour"
SECONDS_MAX = 45.0


async def answered(stack: Stack, agent: str) -> None:
    """A customer asks, and is answered."""
    async with Publisher(stack.kafka) as publisher, Watch(stack.kafka, tenant=TENANT) as watch:
        address, message = Address(TENANT, "watched"), str(uuid4())
        outcome = watch.expect(message, "", time.time_ns() // 1_000_000)
        asked = posted(address, agent, "I lost my card, what should I do?", event_id=message)
        await publisher.publish([(address, asked)])
        await asyncio.wait_for(outcome, SECONDS_MAX)


@pytest.mark.timeout(180)
async def test_prometheus_sees_a_running_stack_and_a_process_that_dies(tmp_path, watched):
    playbook = load(SAMPLES / "bank.yaml").playbook
    plan = StackPlan(folder=tmp_path / "stack", tenant=TENANT, playbook=playbook, partitions=2)
    async with running(plan, KafkaSettings()) as stack, watched(stack, tmp_path / "watch") as server:
        up = await server.until("up", lambda found: len(found) == len(STAGES) and all(found.values()))
        assert up.keys() == set(STAGES)

        await answered(stack, playbook.agent)

        everywhere = set(STAGES)
        thinking = everywhere - {"conversations"}
        for query, jobs in {
            "sum by (job) (messaging_client_consumed_messages_total) > 0": everywhere,
            "sum by (job) (holdfast_stage_queue_seconds_count) > 0": everywhere,
            "sum by (job) (holdfast_last_progress_timestamp_seconds) > 0": everywhere,
            "sum by (job) (holdfast_event_age_seconds_count) > 0": thinking,
            "sum by (job) (gen_ai_client_token_usage_sum) > 0": {"matcher", "reasoner"},
            "sum by (job) (holdfast_circuit_state == 0)": thinking,
            'sum by (job) (holdfast_event_outcomes_total{outcome="answered"}) >= 1': {"conversations"},
            "sum by (job) (holdfast_verifications_total) >= 1": {"verifier"},
        }.items():
            await server.until(query, lambda found, jobs=jobs: found.keys() >= jobs)
        await server.until("holdfast:sli_budget:ratio", bool)

        groups = (await server.ask("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) > 40
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, [r for r in rules if r["health"] == "err"]
        # Nothing died yet, so nobody is about to be called for it.
        down = 'ALERTS{alertname=~"HoldfastProcessDown|HoldfastStageDown"}'
        await server.until(down, lambda found: not found)

        stack.services.members["verifier-1"].send(signal.SIGKILL)

        await server.until(down, lambda found: found == {"verifier": 1.0})
