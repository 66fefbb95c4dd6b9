"""
The fault matrix in small, on the embedded broker, so that the rows and what judges them cannot rot unseen: `holdfast
chaos matrix` is the same at full size on three Apache Kafka nodes.
"""

import pytest

from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker
from services.operator.faults.matrix import ROWS
from services.operator.faults.post import LoadPlan
from services.operator.faults.running import MatrixPlan, run_row
from shared.broker.clients import KafkaSettings

pytestmark = pytest.mark.timeout(180)

EVENTS = 120


@pytest.mark.parametrize("name", ["poison", "duplicates", "model-garbage"])
async def test_a_quick_row_holds(tmp_path, name):
    plan = MatrixPlan(
        folder=tmp_path / "matrix",
        playbook=bank_playbook(),
        load=LoadPlan(sample_texts(), EVENTS, 50, seed=5),
        rate=40.0,
        broker=Broker.EMBEDDED,
        replicas=1,
        latency_seconds=0.02,
    )

    result = await run_row(ROWS[name], plan, KafkaSettings(), lambda _: None)

    assert result.broken == ()
    assert result.messages == EVENTS
    assert sum(result.outcomes.values()) == result.turns > 0
