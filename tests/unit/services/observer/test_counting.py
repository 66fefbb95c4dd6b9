"""A record that cannot be counted costs its own count."""

import json
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from services.observer.adapters.counting import COUNTED, FAILED, UNREADABLE, Counting
from services.observer.metrics import ObserverMetrics
from services.observer.settings import ObserverSettings
from shared.events.codec import encode
from shared.events.envelope import Envelope
from shared.events.topics import TURNS_CLOSED
from shared.stage.metrics import UnexpectedMetrics
from shared.stage.unexpected import Unexpected


class Message(NamedTuple):
    """As much of Faust's message as is read of it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    headers: tuple
    value: bytes
    tp: tuple


class App:
    """As much of Faust's app as an agent needs to be declared."""

    def topic(self, *_, **__):
        return "sources"

    def agent(self, *_, **__):
        return lambda handle: handle


class Consumer:
    """Lets every record through; notes what was counted."""

    def __init__(self):
        self.passed = []

    def follows(self, *_):
        return True

    def counted(self, _, offset):
        self.passed.append(offset)


class Table(dict):
    """Refuses what its changelog could not hold."""

    def __setitem__(self, name, value):
        if any(isinstance(held, int) and held >= 2**63 for held in value.values()):
            raise TypeError("Integer exceeds 64-bit range")
        super().__setitem__(name, value)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def counting(registry, now):
    app, consumer = App(), Consumer()
    observing = SimpleNamespace(
        app=app, consumer=consumer, buckets=Table(), conversations=Table(), partitions=frozenset({0})
    )
    unexpected = Unexpected("observer", UnexpectedMetrics(registry, "observer"))
    found = Counting(ObserverSettings(), observing, ObserverMetrics(registry), unexpected, clock=now.timestamp)
    found.observing = observing
    return found


def record(offset, closed, now, **changes):
    headers, value = encode(
        Envelope(
            id=f"e{offset}",
            source="/tenants/acme/conversations",
            type="turn.closed",
            time=now,
            subject="c",
            data=closed,
        )
    )
    value = json.dumps(json.loads(value) | changes).encode()
    return Message(TURNS_CLOSED, 0, offset, b"acme:c", headers, value, (TURNS_CLOSED, 0))


class Stream:
    def __init__(self, messages):
        self.messages = messages

    async def events(self):
        for message in self.messages:
            yield SimpleNamespace(message=message)


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"marks": [{"stage": "x", "received_ms": 10**400, "finished_ms": 1}]}, FAILED),
        ({"turn": {"epoch": 2**70}}, FAILED),
        ({"outcome": 7}, UNREADABLE),
    ],
    ids=["a time beyond all floats", "a number beyond the changelog", "no outcome"],
)
async def test_the_others_are_counted(counting, registry, turn, now, changes, result):
    own = json.loads(turn().turn.model_dump_json())
    changes = {name: own | held if name == "turn" else held for name, held in changes.items()}
    messages = [record(1, turn(), now), record(2, turn(), now, **changes), record(3, turn(), now)]

    await counting._handle(Stream(messages))

    assert counting.observing.consumer.passed == [1, 2, 3]
    assert registry.get_sample_value("holdfast_observer_records_total", {"result": COUNTED}) == 2
    assert registry.get_sample_value("holdfast_observer_records_total", {"result": result}) == 1
    labels = {"stage": "observer", "during": "count"}
    assert (registry.get_sample_value("holdfast_unexpected_errors_total", labels) or 0) == (result == FAILED)


async def test_a_state_that_cannot_be_swept_costs_no_count(counting, registry, turn, now):
    dict.__setitem__(counting.observing.buckets, "no key of ours", {})

    await counting._handle(Stream([record(1, turn(), now)]))

    assert registry.get_sample_value("holdfast_observer_records_total", {"result": COUNTED}) == 1
    labels = {"stage": "observer", "during": "sweep"}
    assert registry.get_sample_value("holdfast_unexpected_errors_total", labels) == 1


async def test_no_more_memory_ends_the_observer(counting, turn, now, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(counting, "count", exhausted)
    with pytest.raises(MemoryError):
        await counting._handle(Stream([record(1, turn(), now)]))
