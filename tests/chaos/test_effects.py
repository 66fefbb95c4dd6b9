"""
Effects under kills, in a size for every run: `holdfast chaos effects` is the same at full size.
"""

import pytest

from services.operator.adapters import effects
from services.operator.adapters.stack import Broker, running
from services.operator.commands.effects import stack_plan, told
from shared.broker.clients import KafkaSettings
from shared.broker.local import free_port_base

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("keys", [True, False], ids=["by-key", "without-keys"])
async def test_killed_reasoners_double_no_effect_and_claim_none_that_did_not_happen(tmp_path, keys):
    details = effects.EffectsPlan(
        port=free_port_base(), turns=30, rate=5.0, honours_keys=keys, lost_answer_rate=0.1 if keys else 0.0
    )
    plan = stack_plan(details, tmp_path / "stack", Broker.EMBEDDED, replicas=2)
    async with running(plan, KafkaSettings()) as stack:
        result = await effects.run(details, stack, lambda _: None)

    assert result.audit.findings == (), told(result)
    assert (result.doubled, result.claimed, result.unanswered) == (0, 0, 0), told(result)
    assert result.kills >= 2
    assert len(result.effects) == 30 if keys else result.unknown < 30
    assert result.passed, told(result)
