"""The consumer lets nothing be counted out of turn, and commits only what was counted."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
from faust.types import TP

from services.observer.adapters.transport import Chain, CommittedConsumer

HERE = TP("claims.judged", 0)


@pytest.fixture
def consumer():
    consumer = CommittedConsumer.__new__(CommittedConsumer)
    consumer.broken = False
    consumer._thread = SimpleNamespace(chains={HERE: Chain(19)})
    consumer._counted = {HERE: 19}
    consumer._acked = defaultdict(list)
    consumer._acked_index = defaultdict(set)
    return consumer


def fetch(consumer, *offsets):
    chain = consumer._thread.chains[HERE]
    for offset in offsets:
        chain.before[offset] = chain.last
        chain.last = offset


def deliver(consumer, *offsets):
    """The offsets that were let through and counted."""
    taken = []
    for offset in offsets:
        if consumer.follows(HERE, offset):
            consumer.counted(HERE, offset)
            taken.append(offset)
    return taken


def test_gaps_that_the_log_has_are_no_holes(consumer):
    fetch(consumer, 20, 24, 25)

    assert deliver(consumer, 20, 24, 25) == [20, 24, 25]
    assert not consumer.broken
    assert consumer._new_offset(HERE) == 26


def test_a_record_fetched_before_the_seek_is_not_counted(consumer):
    """It comes from a position that the seek has left; those between would be lost."""
    assert deliver(consumer, 31) == []
    assert consumer.broken
    assert consumer._new_offset(HERE) == 20


def test_what_was_dropped_is_noticed_at_the_next_record(consumer):
    fetch(consumer, 20, 21, 22)

    assert deliver(consumer, 20, 22) == [20]
    assert consumer.broken
    assert consumer._new_offset(HERE) == 21


def test_a_repeated_record_is_no_hole(consumer):
    fetch(consumer, 20)

    assert deliver(consumer, 20, 20, 19) == [20]
    assert not consumer.broken


def test_what_faust_acknowledged_without_counting_is_not_committed(consumer):
    consumer._acked[HERE] = [20, 21, 22]

    assert consumer._new_offset(HERE) == 20
    assert consumer._acked[HERE] == []


def test_nothing_is_committed_of_a_partition_that_was_never_sought(consumer):
    assert consumer._new_offset(TP("claims.judged", 1)) is None


async def test_a_seek_begins_anew_at_what_is_committed(consumer):
    async def sought():
        consumer._thread.chains = {HERE: Chain(19)}
        return {HERE: 20}

    fetch(consumer, 20, 21, 22)
    deliver(consumer, 20, 22)
    consumer._thread.seek_to_committed = sought
    await consumer.seek_to_committed()
    fetch(consumer, 20, 21, 22)

    assert deliver(consumer, 20, 21, 22) == [20, 21, 22]
