"""The heartbeat's own playbook and where its questions live."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from services.operator.heartbeat import HeartbeatSection, addresses, playbook
from shared.playbook.checking import check


@given(st.integers(1, 64))
def test_there_is_one_conversation_in_each_partition_as_clients_place_keys(partitions):
    place = DefaultPartitioner()
    numbers = list(range(partitions))

    found = addresses("watch", partitions)

    assert [place(address.key, numbers, numbers) for address in found] == numbers


def test_its_playbook_passes_every_check():
    assert check(playbook(HeartbeatSection())) == ()


def test_a_beat_expires_in_the_ledger_when_its_patience_ends():
    assert playbook(HeartbeatSection(patience_seconds=7)).limits.deadline_seconds == 7
