"""Waiting until the replicas that a broker took with it are in sync again."""

from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError

from services.operator.faults import replicas

BEHIND = [{"partitions": [{"replicas": [1, 2, 3], "isr": [1, 2, 3]}, {"replicas": [1, 2, 3], "isr": [1, 3]}]}]
WHOLE = [{"partitions": [{"replicas": [1, 2, 3], "isr": [3, 1, 2]}]}]


class Admin:
    """Answers what is next in *answers*; the last of them for ever."""

    def __init__(self, answers):
        self.asked = self.closed = 0
        self._answers = list(answers)

    async def start(self):
        self.asked += 1

    async def describe_topics(self):
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self):
        self.closed += 1


@pytest.fixture
def catch_up(monkeypatch):
    monkeypatch.setattr(replicas, "POLL_SECONDS", 0.001)

    async def run(*answers, seconds_max=60.0):
        client = Admin(answers)
        world = SimpleNamespace(stack=SimpleNamespace(kafka=None), broken=[])
        monkeypatch.setattr(replicas, "admin", lambda _: client)
        monkeypatch.setattr(replicas, "IN_SYNC_SECONDS_MAX", seconds_max)
        await replicas.catch_up(world)
        assert client.closed == client.asked
        return client.asked, world.broken

    return run


async def test_it_asks_until_every_replica_is_in_sync(catch_up):
    assert await catch_up(BEHIND, BEHIND, WHOLE) == (3, [])


async def test_no_answer_is_not_taken_for_replicas_in_sync(catch_up):
    assert await catch_up(KafkaConnectionError("away"), BEHIND, WHOLE) == (3, [])


async def test_replicas_that_stay_behind_break_the_row(catch_up):
    _, broken = await catch_up(BEHIND, seconds_max=0.05)

    assert broken == ["replicas were not in sync 0.05 s after a broker had come back"]
