"""Who waits for a message's outcome."""

from services.operator.adapters.watch import Watch
from shared.broker.clients import KafkaSettings


async def test_a_message_that_is_published_twice_is_waited_for_once():
    watch = Watch(KafkaSettings())

    first = watch.expect("m-1", "Hello", posted_ms=1)

    assert watch.expect("m-1", "Hello", posted_ms=2) is first
    assert watch.waiting == 1
