"""What a transactional producer does where the broker keeps it waiting."""

import pytest
from aiokafka.admin import NewTopic

from shared.broker.clients import admin
from shared.broker.embedded import Api, Code, Refuse, Rule
from shared.stage.base import Output
from shared.stage.errors import OwnershipLost
from shared.stage.kafka import KafkaBroker

LIMIT_SECONDS = 1.0


@pytest.fixture
async def broker(embedded_settings):
    client = admin(embedded_settings)
    await client.start()
    await client.create_topics([NewTopic(f"{embedded_settings.namespace}out", 1, 1)])
    await client.close()
    return KafkaBroker(embedded_settings.model_copy(update={"transaction_timeout_seconds": LIMIT_SECONDS}))


@pytest.mark.parametrize(
    ("api", "code"),
    [(Api.PRODUCE, Code.NOT_ENOUGH_REPLICAS), (Api.END_TXN, Code.COORDINATOR_LOAD_IN_PROGRESS)],
    ids=["replicas behind", "coordinator loading"],
)
async def test_a_transaction_that_is_put_off_again_and_again_is_given_up_and_its_task_opened_anew(
    broker, embedded_broker, api, code
):
    embedded_broker.faults.add(Rule(Refuse(code), api=api))
    stuck = broker.transactional_producer("t.0", group="t")
    await stuck.start()
    with pytest.raises(OwnershipLost, match=f"t.0, within {LIMIT_SECONDS:g} s: TimeoutError"):
        await stuck.transact([Output("out", b"k", b"lost")], 0, {})
    embedded_broker.faults.clear()

    anew = broker.transactional_producer("t.0", group="t")
    await anew.start()
    await anew.transact([Output("out", b"k", b"kept")], 0, {})
    await anew.stop()
    assert [value async for _, value, _ in broker.changelog().read("out", 0)] == [b"kept"]
