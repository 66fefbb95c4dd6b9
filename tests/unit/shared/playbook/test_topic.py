"""Publishing: what is written, where and in which order."""

from typing import Any

import pytest

from shared.broker.clients import KafkaSettings
from shared.errors import Invalid
from shared.playbook.finding import PlaybookError
from shared.playbook.model import Fact, Guideline, Playbook, Profile
from shared.playbook.shelf import Shelf
from shared.playbook.topic import publish, withdraw
from shared.playbook.version import version_of

SETTINGS = KafkaSettings(namespace="test.")


class Log:
    """A producer that keeps what it was given."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes, bytes | None, int]] = []

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(12 if topic else 0))

    async def send_and_wait(self, topic: str, value: Any, key: Any, partition: int) -> None:
        self.records.append((topic, key, value, partition))

    def shelf(self) -> Shelf:
        shelf = Shelf()
        for _, key, value, _ in self.records:
            shelf.apply(key, value)
        return shelf


def playbook(action: str) -> Playbook:
    return Playbook(
        agent="desk", profile=Profile(name="A"), guidelines=(Guideline(id="a", condition="b", action=action),)
    )


async def test_content_goes_before_head_to_one_partition_of_the_named_world() -> None:
    log = Log()
    published = await publish(log, SETTINGS, "acme", playbook("one"))
    assert published.changed
    assert [key for _, key, _, _ in log.records] == [f"acme:desk:{published.version}".encode(), b"acme:desk"]
    assert {topic for topic, *_ in log.records} == {"test.playbooks"}
    assert len({partition for *_, partition in log.records}) == 1


async def test_versions_beyond_those_kept_are_retired() -> None:
    log = Log()
    kept: tuple[str, ...] = ()
    for number in range(4):
        result = await publish(log, SETTINGS, "acme", playbook(str(number)), kept=kept, keep=2)
        kept = log.shelf().kept("acme", "desk")
    assert kept == (version_of(playbook("3")), version_of(playbook("2")))
    assert result.retired == (version_of(playbook("1")),)
    assert len(log.shelf()) == 2
    assert not (await publish(log, SETTINGS, "acme", playbook("3"), kept=kept)).changed


async def test_withdrawing_leaves_nothing() -> None:
    log = Log()
    result = await publish(log, SETTINGS, "acme", playbook("one"))
    await withdraw(log, SETTINGS, "acme", "desk", kept=(result.version,))
    assert log.shelf().agents() == ()
    assert len(log.shelf()) == 0


async def test_what_cannot_be_used_is_not_published() -> None:
    log = Log()
    twice = playbook("one").model_copy(update={"guidelines": playbook("one").guidelines * 2})
    with pytest.raises(PlaybookError, match="already the id"):
        await publish(log, SETTINGS, "acme", twice)
    with pytest.raises(Invalid, match="key"):
        await publish(log, SETTINGS, "Bad Tenant", playbook("one"))
    assert log.records == []


async def test_a_playbook_that_exceeds_a_record_is_refused_before_the_broker_sees_it() -> None:
    log = Log()
    facts = tuple(
        Fact(id=f"f{n}", text="".join(chr(0x4E00 + (n * 977 + i * i * 31) % 20_000) for i in range(4_000)))
        for n in range(150)
    )
    with pytest.raises(Invalid, match="divide") as caught:
        await publish(log, SETTINGS, "acme", playbook("one").model_copy(update={"facts": facts}))
    assert caught.value.reason == "too_large"
    assert log.records == []
