"""A conversation is forgotten by a running Holdfast, and the certificate says what an independent look confirms."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import TopicPartition

from services.operator.adapters.publisher import event
from services.operator.adapters.scan import scan
from shared.broker.clients import admin, producer
from shared.events import topics
from shared.events.codec import encode
from shared.events.envelope import Address
from shared.events.turns import FinishResult, TurnFinished

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SAID = "my mother's maiden name is Lovelace"


async def held(running, topic, address):
    return [record async for record in scan(running.kafka, topic, key=address.key)]


async def passed(kafka, place, offset):
    """Return when the ledger has committed that it is done with the record at *offset*."""
    client = admin(kafka)
    await client.start()
    try:
        # Nobody tells of a commit: only asking again shows it.
        while (await client.list_consumer_group_offsets(f"{kafka.namespace}conversations"))[place].offset <= offset:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    finally:
        await client.close()


async def test_an_erased_conversation_is_gone_refuses_what_comes_late_and_the_certificate_proves_it(holdfast_running):
    address = Address("acme", "to-erase")
    closed = await holdfast_running.ask("to-erase", SAID)
    assert SAID.encode() in (await held(holdfast_running, topics.CONVERSATIONS_STATE, address))[-1].value

    done = await holdfast_running.holdfast("erase", "acme", "to-erase", "--yes", "--json")

    assert done.exit_code == 0, done.output
    certificate = json.loads(done.stdout)
    assert certificate["proven"] is True
    assert [one["probe"]["refused"] for one in certificate["partitions"]] == [True]
    assert {one["topic"] for one in certificate["remains"]} >= {topics.CONVERSATION_EVENTS, topics.TURNS_CLOSED}
    assert all(datetime.fromisoformat(one["gone_by"]) > datetime.now(UTC) for one in certificate["remains"])
    assert SAID.encode() not in (await held(holdfast_running, topics.CONVERSATIONS_STATE, address))[-1].value

    outcomes = await held(holdfast_running, topics.TURNS_CLOSED, address)
    late = TurnFinished(
        turn=closed.turn.model_copy(update={"deadline": datetime.now(UTC) + timedelta(minutes=1)}),
        stage="verifier",
        result=FinishResult.FAILED,
        reason="late",
    )
    headers, value = encode(event(address, "turn.verified", late))
    name = holdfast_running.kafka.namespace + topics.TURNS_VERIFIED
    async with producer(holdfast_running.kafka) as client:
        sent = await client.send_and_wait(name, value, key=address.key, headers=list(headers))
    await passed(holdfast_running.kafka, TopicPartition(name, sent.partition), sent.offset)
    refused = await holdfast_running.ask("to-erase", "and now?")
    assert (refused.outcome, refused.reason) == ("rejected", "erased")
    after = await held(holdfast_running, topics.TURNS_CLOSED, address)
    assert len(after) == len(outcomes) + 1
    said = await held(holdfast_running, topics.CONVERSATION_RESPONSES, address)
    assert sum(dict(record.headers)["ce_type"] == b"response.sent" for record in said) == 1


async def test_it_is_not_done_without_consent(holdfast_running):
    done = await holdfast_running.holdfast("erase", "acme", "kept")

    assert done.exit_code != 0
    assert await held(holdfast_running, topics.CONVERSATION_EVENTS, Address("acme", "kept")) == []
