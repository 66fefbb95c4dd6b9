"""
What counts as written moments before it was read, by what aiokafka's consumer tells of a partition.
"""

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from shared.stage.kafka_fresh import FRESH_SECONDS, Freshness

PARTITION = TopicPartition("in", 3)


class Client:
    """One partition of a consumer: where it stands, where the log ends, and when the broker answered last."""

    def __init__(self):
        self.at, self.end, self.stable, self.polled_ms = 0, None, None, None
        self.assigned = {PARTITION}
        self.rebalancing = False

    def assignment(self):
        return self.assigned

    def last_poll_timestamp(self, _):
        return self.polled_ms

    def highwater(self, _):
        return self.end

    def last_stable_offset(self, _):
        return self.stable

    async def position(self, _):
        if self.rebalancing:
            raise IllegalStateError
        return self.at

    def answers(self, *, at, end, stable=None, polled_ms=1):
        self.at, self.end, self.stable, self.polled_ms = at, end, stable, polled_ms


@pytest.fixture
def client():
    return Client()


async def _fresh(client, *, looked=100.0, read=100.2, freshness=None):
    freshness = freshness or Freshness()
    await freshness.look(client, {PARTITION}, looked)
    return freshness.fresh(PARTITION, read)


async def test_nothing_is_known_before_the_broker_has_answered(client):
    assert not await _fresh(client)


async def test_what_comes_next_after_the_end_was_read_is_fresh(client):
    client.answers(at=7, end=7)
    assert await _fresh(client)


async def test_a_backlog_is_not_fresh(client):
    client.answers(at=5, end=7)
    assert not await _fresh(client)


async def test_the_end_for_a_reader_of_committed_records_is_the_last_stable_offset(client):
    client.answers(at=5, end=9, stable=5)
    assert await _fresh(client)


async def test_a_broker_without_transactions_tells_the_high_watermark_alone(client):
    client.answers(at=9, end=9, stable=-1)
    assert await _fresh(client)


async def test_after_a_while_without_an_answer_nothing_is_known_any_more(client):
    freshness = Freshness()
    client.answers(at=7, end=7)
    assert await _fresh(client, looked=100.0, read=100.0 + FRESH_SECONDS, freshness=freshness)
    later = 102.0
    assert not await _fresh(client, looked=later, read=later, freshness=freshness)
    client.answers(at=7, end=7, polled_ms=2)
    assert await _fresh(client, looked=later, read=later, freshness=freshness)


async def test_a_rebalance_meanwhile_is_no_error(client):
    client.answers(at=7, end=7)
    client.rebalancing = True
    assert not await _fresh(client)
    client.assigned = set()
    assert not await _fresh(client)


async def test_what_was_known_is_forgotten_with_the_assignment(client):
    freshness = Freshness()
    client.answers(at=7, end=7)
    assert await _fresh(client, freshness=freshness)
    freshness.forget()
    assert not freshness.fresh(PARTITION, 100.2)
