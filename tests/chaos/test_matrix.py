"""
The fault matrix in small, on the embedded broker, so that the rows and what judges them cannot rot unseen: `holdfast
chaos matrix` is the same at full size on three Apache Kafka nodes.
"""

import pytest

from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker
from services.operator.faults import upgrade_rows
from services.operator.faults.matrix import ROWS
from services.operator.faults.post import LoadPlan
from services.operator.faults.running import MatrixPlan, run_row
from shared.broker.clients import KafkaSettings

pytestmark = pytest.mark.timeout(180)

EVENTS = 120
ORDERS = 60


async def run(folder, name, events):
    plan = MatrixPlan(
        folder=folder / "matrix",
        playbook=bank_playbook(),
        load=LoadPlan(sample_texts(), events, 50, seed=5),
        rate=40.0,
        broker=Broker.EMBEDDED,
        replicas=1,
        latency_seconds=0.02,
    )
    return await run_row(ROWS[name], plan, KafkaSettings(), lambda _: None)


@pytest.mark.parametrize("name", ["poison", "duplicates", "model-garbage"])
async def test_a_quick_row_holds(tmp_path, name):
    result = await run(tmp_path, name, EVENTS)

    assert result.broken == ()
    assert result.messages == EVENTS
    assert sum(result.outcomes.values()) == result.turns > 0


@pytest.mark.parametrize("name", ["hostile-publisher", "hostile-tools-apart", "hostile-playbook"])
async def test_a_hostile_tenant_costs_the_good_one_nothing(tmp_path, name):
    result = await run(tmp_path, name, EVENTS)

    # How long the good tenant waits is measured at the full size, on a machine that does nothing else.
    assert [finding for finding in result.broken if "p99" not in finding] == []
    assert result.messages == EVENTS
    assert result.outcomes == {"answered": result.turns}
    assert int(result.figures["hostile acts"].replace(",", "")) > 0


@pytest.mark.skipif(not upgrade_rows.is_known(upgrade_rows.FORMER), reason="a distribution has no history")
async def test_a_former_release_is_replaced_under_load_and_comes_back(tmp_path):
    result = await run(tmp_path, upgrade_rows.NAME, ORDERS)

    assert result.broken == ()
    assert result.figures["orders registered"] == str(ORDERS)
    assert result.figures["approvals"] == str(ORDERS // 2)
