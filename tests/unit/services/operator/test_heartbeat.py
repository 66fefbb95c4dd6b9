"""The heartbeat's own playbook and where its questions live."""

import asyncio

import pytest
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.operator import heartbeat
from services.operator.heartbeat import Heartbeat, HeartbeatSection, HeartbeatSettings, addresses, playbook
from services.operator.metrics import HeartbeatMetrics
from shared.playbook.checking import check
from shared.telemetry.health import Health


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


@pytest.mark.parametrize(
    "error", [KafkaError("away"), RecursionError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "")]
)
async def test_whatever_a_beat_meets_it_is_told_and_beaten_again(monkeypatch, error):
    stop, begun = asyncio.Event(), []

    async def beating(_self, stop):
        begun.append(1)
        if len(begun) < 3:
            raise error
        stop.set()

    monkeypatch.setattr(Heartbeat, "_beating", beating)
    monkeypatch.setattr(heartbeat, "RESTART_SECONDS", 0.0)
    registry = CollectorRegistry()

    await Heartbeat(HeartbeatSettings(), HeartbeatMetrics(registry), Health()).run(stop)

    assert registry.get_sample_value("holdfast_heartbeats_total", {"result": "failed"}) == 2
