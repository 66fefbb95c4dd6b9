"""
Kills for real, in a size for every run: `holdfast chaos` is the same at full size.
"""

import pytest

from services.operator.adapters import chaos
from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker, StackPlan, running
from shared.broker.clients import KafkaSettings

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("broker", [Broker.EMBEDDED, pytest.param(Broker.KAFKA, marks=pytest.mark.kafka)])
async def test_killed_processes_lose_double_and_reorder_nothing(tmp_path, broker):
    plan = StackPlan(
        folder=tmp_path / "stack",
        tenant=chaos.TENANT,
        playbook=bank_playbook(),
        broker=broker,
        replicas=2,
        rehearsal={"base_latency_seconds": 0.1},
        environ={"HOLDFAST_KAFKA_SESSION_TIMEOUT_SECONDS": "6", "HOLDFAST_KAFKA_HEARTBEAT_INTERVAL_SECONDS": "0.5"},
        ready_seconds_max=90.0,
    )
    details = chaos.ChaosPlan(
        seed=7,
        texts=sample_texts(),
        events=900,
        rate=30.0,
        conversations=300,
        warm_up_seconds=2.0,
        quiet_seconds=4.0,
        storm_seconds=4.0,
        drain_seconds_max=90.0,
    )
    async with running(plan, KafkaSettings()) as stack:
        result = await chaos.run(details, stack, lambda _: None)

    assert result.audit.findings == ()
    assert result.unanswered == 0
    assert result.audit.messages == details.events
    assert result.kills >= 2
