"""What is worked out from playbooks on a thread, and kept up to a size."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from shared.errors import Retryable
from shared.events.turns import Turn
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Guideline, Playbook, Profile
from shared.playbook.ready import INLINE_GUIDELINES_MAX, Ready

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LARGE = INLINE_GUIDELINES_MAX + 1


def playbook(count: int) -> Playbook:
    guidelines = tuple(Guideline(id=f"g{n}", condition=f"subject{n}", action="x") for n in range(count))
    return Playbook(agent="desk", profile=Profile(name="A"), guidelines=guidelines)


def turn(tenant: str, version: str) -> Turn:
    return Turn(
        id="t",
        tenant=tenant,
        conversation="c",
        epoch=1,
        agent="desk",
        playbook_version=version,
        opened_at=AT,
        deadline=AT,
    )


class World:
    """A directory, and what was derived from it on which thread."""

    def __init__(self, bytes_max: int = 1_000_000) -> None:
        self.directory = StaticDirectory()
        self.derived: list[tuple[int, bool]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.ready = Ready(self.directory, self.derive, size_of=lambda found: found, bytes_max=bytes_max)

    def derive(self, found: Playbook) -> int:
        self.gate.wait(10)
        count = len(found.guidelines)
        self.derived.append((count, threading.current_thread() is threading.main_thread()))
        return count


async def test_small_ones_are_worked_out_at_once_and_large_ones_on_a_thread() -> None:
    world = World()
    small, large = (world.directory.put(name, playbook(n)) for name, n in (("a", 3), ("b", LARGE)))
    assert await world.ready.of(turn("a", small)) == 3
    assert await world.ready.of(turn("b", large)) == LARGE
    assert await world.ready.of(turn("b", large)) == LARGE
    assert world.derived == [(3, True), (LARGE, False)]


async def test_all_who_ask_meanwhile_wait_for_one_result_and_one_who_gives_up_does_not_take_it_away() -> None:
    world = World()
    version = world.directory.put("a", playbook(LARGE))
    world.gate.clear()
    asked = [asyncio.create_task(world.ready.of(turn("a", version))) for _ in range(3)]
    await asyncio.sleep(0)
    asked[0].cancel()
    world.gate.set()
    assert (await asyncio.gather(*asked, return_exceptions=True))[1:] == [LARGE, LARGE]
    assert asked[0].cancelled()
    assert len(world.derived) == 1


async def test_the_least_recently_used_tenant_makes_room_by_bytes() -> None:
    world = World(bytes_max=10)
    versions = {name: world.directory.put(name, playbook(4)) for name in "abc"}
    for name in "abac":
        await world.ready.of(turn(name, versions[name]))
    assert world.ready.bytes_held == 8
    assert len(world.derived) == 3
    await world.ready.of(turn("a", versions["a"]))
    assert len(world.derived) == 3
    await world.ready.of(turn("b", versions["b"]))
    assert len(world.derived) == 4


async def test_one_that_is_larger_than_all_room_is_kept_alone() -> None:
    world = World(bytes_max=10)
    small, large = (world.directory.put(name, playbook(n)) for name, n in (("a", 4), ("b", 50)))
    await world.ready.of(turn("a", small))
    await world.ready.of(turn("b", large))
    assert world.ready.bytes_held == 50


async def test_a_version_that_is_not_here_yet_is_asked_for_again() -> None:
    with pytest.raises(Retryable, match="follower of the topic"):
        await World().ready.of(turn("a", "v"))
