"""Who waits for a message's outcome."""

import asyncio

import pytest

from services.operator.adapters import watch as watching
from services.operator.adapters.watch import Watch
from shared.broker.clients import KafkaSettings
from shared.events.envelope import Address
from shared.events.examples import example


async def test_a_message_that_is_published_twice_is_waited_for_once():
    watch = Watch(KafkaSettings())

    first = watch.expect("m-1", "Hello", posted_ms=1)

    assert watch.expect("m-1", "Hello", posted_ms=2) is first
    assert watch.waiting == 1


@pytest.mark.parametrize("comes", [True, False])
async def test_the_text_of_a_closed_turn_is_waited_for_a_while(comes, monkeypatch):
    monkeypatch.setattr(watching, "SETTLE_SECONDS_MAX", 60.0 if comes else 0.0)
    watch, address = Watch(KafkaSettings()), Address("acme", "c-1")
    watch.auditor.closing(address, example("turn.closed"))
    settling = asyncio.create_task(watch.settled())
    await asyncio.sleep(0)
    if comes:
        assert not settling.done()
        watch.auditor.response(address, example("response.sent"))

    await settling

    assert watch.auditor.unread_responses == (0 if comes else 1)
