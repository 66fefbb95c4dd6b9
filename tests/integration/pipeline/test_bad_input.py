"""
Whatever is published: a defined outcome, nothing lost, other conversations unaffected.
"""

import json
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaError

from services.operator.adapters.publisher import posted
from shared.events.envelope import Address
from shared.events.turns import Outcome

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


def said(text="What does the current account cost a month?", **fields):
    return json.dumps({"agent": "bank", "author": "customer", "text": text, **fields}).encode()


def fresh():
    return f"c-{uuid4().hex[:8]}"


async def assert_unaffected(pipeline):
    exchange = await pipeline.outcome(await pipeline.put(fresh(), said()))
    assert exchange.closed.outcome is Outcome.ANSWERED
    assert exchange.response is not None


async def test_a_plain_question_is_answered_from_the_facts(pipeline):
    exchange = await pipeline.outcome(await pipeline.put(fresh(), said()))

    assert exchange.closed.outcome is Outcome.ANSWERED
    assert not exchange.closed.fallback
    assert "4.50" in exchange.response.text


async def test_a_text_over_64_kib_is_rejected_with_the_playbooks_words(pipeline):
    exchange = await pipeline.outcome(await pipeline.put(fresh(), said("x" * 70_000)))

    assert (exchange.closed.outcome, exchange.closed.reason) == (Outcome.REJECTED, "too_large")
    assert exchange.response.fallback == "too_large"
    await assert_unaffected(pipeline)


async def test_a_record_over_1_mib_is_refused_to_its_publisher(pipeline):
    with pytest.raises(KafkaError):
        await pipeline.put(fresh(), said("x" * 1_100_000), event_id="never-stored")

    del pipeline.watch._asked["never-stored"]
    await assert_unaffected(pipeline)


async def test_after_ten_thousand_messages_a_conversation_is_still_answered(pipeline):
    conversation = fresh()
    await pipeline.put(conversation, b'{"mode":"manual"}', type_="conversation.mode_changed")

    address = Address(pipeline.tenant, conversation)
    for begin in range(0, 10_000, 500):
        batch = [posted(address, "bank", f"Message {number}") for number in range(begin, begin + 500)]
        await pipeline.publisher.publish([(address, event) for event in batch])
    last = await pipeline.outcome(batch[-1].id)
    await pipeline.put(conversation, b'{"mode":"auto"}', type_="conversation.mode_changed")
    exchange = await pipeline.outcome(await pipeline.put(conversation, said()))

    assert last.closed.outcome is Outcome.HANDED_OFF
    assert exchange.closed.outcome is Outcome.ANSWERED


async def test_an_unknown_tenant_is_rejected_and_nobody_answers(pipeline):
    event_id = await pipeline.put(fresh(), said(), tenant="nobody")
    await assert_unaffected(pipeline)

    assert all(event_id not in exchange.closed.covers for exchange in pipeline.watch.exchanges.values())


async def test_an_unknown_agent_is_rejected(pipeline):
    exchange = await pipeline.outcome(await pipeline.put(fresh(), said(agent="nobody")))

    assert (exchange.closed.outcome, exchange.closed.reason) == (Outcome.REJECTED, "unknown_agent")
    assert exchange.response is None


POISON = {
    "null_value": (None, {}),
    "bad_json": (b'{"agent": "bank", ', {}),
    "bad_encoding": (b'{"agent":"bank","author":"customer","text":"\xff\xfe"}', {}),
    "bad_body": (b'{"agent":"bank","author":"customer"}', {}),
    "unknown_type": (said(), {"ce_type": "message.sung"}),
    "missing_attribute": (said(), {"ce_time": None}),
    "key_mismatch": (said(), {"ce_subject": "another"}),
}


@pytest.mark.parametrize("reason", POISON)
async def test_what_cannot_be_read_goes_to_dead_letters_byte_for_byte(pipeline, reason):
    value, headers = POISON[reason]
    event_id = await pipeline.put(fresh(), value, **headers)
    del pipeline.watch._asked[event_id]

    key, kept, kept_headers = await pipeline.dead_letter(event_id.encode(), reason=reason)

    assert kept == value
    assert key.startswith(b"acme:c-")
    assert kept_headers["__connect.errors.topic"].endswith(b"conversation.events")
    assert int(kept_headers["__connect.errors.offset"]) >= 0
    await assert_unaffected(pipeline)


async def test_the_same_event_twice_makes_one_turn(pipeline):
    conversation, body = fresh(), said()
    event_id = await pipeline.put(conversation, body)
    exchange = await pipeline.outcome(event_id)
    await pipeline.put(conversation, body, event_id=event_id)
    second = await pipeline.outcome(await pipeline.put(conversation, said("And paying abroad, what are the fees?")))

    assert exchange.closed.turn.epoch + 1 == second.closed.turn.epoch


async def test_the_same_id_with_another_body_is_a_conflict(pipeline):
    conversation = fresh()
    event_id = await pipeline.put(conversation, said())
    first = await pipeline.outcome(event_id)
    other = said("Something else entirely")
    await pipeline.put(conversation, other, event_id=event_id)

    _, kept, _ = await pipeline.dead_letter(event_id.encode(), reason="id_conflict")

    assert kept == other
    assert first.closed.outcome is Outcome.ANSWERED


async def test_gaps_and_disorder_in_the_sequence_lose_nothing(pipeline):
    conversation = fresh()
    ids = [await pipeline.put(conversation, said(sequence=number)) for number in (5, 3, 9, 8)]

    outcomes = [(await pipeline.outcome(event_id)).closed.outcome for event_id in ids]

    assert outcomes[-1] is Outcome.ANSWERED
    assert set(outcomes) <= {Outcome.ANSWERED, Outcome.SUPERSEDED}


async def test_after_erasure_messages_are_refused(pipeline):
    conversation = fresh()
    await pipeline.outcome(await pipeline.put(conversation, said()))
    await pipeline.put(conversation, b"{}", type_="conversation.erased")
    exchange = await pipeline.outcome(await pipeline.put(conversation, said()))

    assert (exchange.closed.outcome, exchange.closed.reason) == (Outcome.REJECTED, "erased")
    assert exchange.response is None
    await assert_unaffected(pipeline)


async def test_an_event_past_its_expiry_is_closed_without_a_reply(pipeline):
    exchange = await pipeline.outcome(await pipeline.put(fresh(), said(), ce_expirytime="2020-01-01T00:00:00Z"))

    assert (exchange.closed.outcome, exchange.closed.reason) == (Outcome.EXPIRED, "event_expired")
    assert exchange.response is None


async def test_all_of_this_broke_no_promise(pipeline):
    report = pipeline.watch.auditor.report()

    assert [finding for finding in report.findings if finding.invariant != "message without an outcome"] == []
