"""
The hunt of `holdfast chaos canaries`, small: whole processes, two tenants, words that only one of them may see.
"""

from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker
from services.operator.faults.matrix import ROWS
from services.operator.faults.post import LoadPlan
from services.operator.faults.running import MatrixPlan, run_row
from shared.broker.clients import KafkaSettings

EVENTS = 300


async def test_no_tenant_s_words_are_seen_with_the_other_s(tmp_path):
    plan = MatrixPlan(
        folder=tmp_path / "stack",
        playbook=bank_playbook(),
        load=LoadPlan(sample_texts(), EVENTS, 80, seed=1),
        rate=500.0,
        broker=Broker.EMBEDDED,
        replicas=1,
        latency_seconds=0.0,
        waiting_max=100,
    )
    result = await run_row(ROWS["canaries"], plan, KafkaSettings(), lambda _: None)
    assert result.messages == EVENTS
    assert [finding for finding in result.broken if finding.startswith("I4") or "blind" in finding] == []
    assert result.outcomes["answered"] > 0
    assert "both 0" in result.figures["prompts"]
