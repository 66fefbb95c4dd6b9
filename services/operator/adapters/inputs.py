"""
Reading which tenants' topics the ledger has paused, and releasing one.
"""

import json
from contextlib import suppress
from dataclasses import dataclass

from services.operator.adapters.letters import TRANSACTIONAL_ID
from shared.broker.clients import KafkaSettings, admin
from shared.errors import Fatal, Retryable
from shared.events.topics import CONVERSATION_RELEASES, tenant_named_by
from shared.stage.base import Output
from shared.stage.errors import OwnershipLost
from shared.stage.input_pause import INPUT_HEADER, paused_since
from shared.stage.kafka_producers import KafkaTransactionalProducer

LEDGER_GROUP = "conversations"


@dataclass(frozen=True, slots=True, order=True)
class PausedInput:
    """A tenant's own topic (without the namespace) that the ledger does not read beyond `offset` in a partition."""

    topic: str
    partition: int
    offset: int
    since_ms: int


async def read_paused(settings: KafkaSettings) -> list[PausedInput]:
    """
    What is paused, by topic and partition, as the ledger's group has committed it.

    Raises:
        Retryable: the group's coordinator does not tell.

    """
    client = admin(settings)
    await client.start()
    try:
        found = await client.list_consumer_group_offsets(settings.namespace + LEDGER_GROUP)
    finally:
        await client.close()
    if not found:
        # aiokafka drops the error of a coordinator that is loading, and answers with nothing.
        raise Retryable(f"the group {LEDGER_GROUP} has committed nothing yet, or its coordinator is loading; try again")
    paused = []
    for place, told in found.items():
        topic = place.topic.removeprefix(settings.namespace)
        since_ms = paused_since(told.metadata or "")
        if since_ms is not None and tenant_named_by(topic):
            paused.append(PausedInput(topic, place.partition, told.offset, since_ms))
    return sorted(paused)


async def release_input(settings: KafkaSettings, paused: list[PausedInput], *, by: str, reason: str) -> None:
    """
    Let the ledger read on in each partition of *paused*; *by* and *reason* are for the record.

    Raises:
        Fatal: another operator's command took the broker's transaction over; run it again.
        Retryable: the broker does not answer.

    """
    writing = KafkaTransactionalProducer(settings, TRANSACTIONAL_ID, "operator")
    await writing.start()
    value = json.dumps({"by": by, "reason": reason}).encode()
    try:
        for one in paused:
            headers = ((INPUT_HEADER, one.topic.encode()),)
            output = Output(CONVERSATION_RELEASES, one.topic.encode(), value, headers)
            await writing.transact([output], one.partition, {})
    except OwnershipLost as error:
        raise Fatal(f"the release did not end: {error}. Run it again: what is released stays so") from error
    finally:
        with suppress(OwnershipLost):
            await writing.stop()
