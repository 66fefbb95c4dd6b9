"""The newest turn cancels work on older ones, and nothing else does."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.turns import Turn
from shared.stage.supersede import NewestTurns, Recent, Superseded

START = datetime(2026, 1, 1, tzinfo=UTC)


def turn(epoch, leg=1, *, seconds=0, name=None):
    at = START + timedelta(seconds=seconds)
    return Turn(
        id=name or f"t{epoch}",
        tenant="acme",
        conversation="c",
        epoch=epoch,
        leg=leg,
        agent="a",
        playbook_version="v",
        opened_at=at,
        deadline=at + timedelta(minutes=1),
    )


def test_an_older_turn_is_superseded_and_the_newest_is_not():
    newest = NewestTurns(10)
    newest.observe(b"k", turn(2))
    assert newest.superseded(b"k", turn(1))
    assert not newest.superseded(b"k", turn(2))
    assert not newest.superseded(b"k", turn(3))
    assert not newest.superseded(b"other", turn(1))


def test_a_later_leg_supersedes_an_earlier_one():
    newest = NewestTurns(10)
    newest.observe(b"k", turn(2, leg=2))
    assert newest.superseded(b"k", turn(2, leg=1))


def test_a_repeated_older_turn_does_not_become_the_newest():
    newest = NewestTurns(10)
    newest.observe(b"k", turn(2, seconds=2))
    newest.observe(b"k", turn(1, seconds=1))
    assert newest.superseded(b"k", turn(1))
    assert not newest.superseded(b"k", turn(2))


def test_a_conversation_that_begins_anew_after_its_erasure_is_not_superseded_by_its_past():
    newest = NewestTurns(10)
    newest.observe(b"k", turn(9, seconds=0))
    newest.observe(b"k", turn(1, seconds=3_600, name="anew"))
    assert not newest.superseded(b"k", turn(1, seconds=3_600, name="anew"))
    assert newest.superseded(b"k", turn(9, seconds=0))


turns = st.builds(
    turn,
    st.integers(1, 4),
    st.integers(1, 2),
    seconds=st.integers(0, 30),
    name=st.sampled_from("abc"),
)


@given(turns, turns)
def test_two_turns_never_supersede_each_other(one, other):
    first, second = NewestTurns(1), NewestTurns(1)
    first.observe(b"k", one)
    second.observe(b"k", other)
    assert not (first.superseded(b"k", other) and second.superseded(b"k", one))


def test_work_is_cancelled_when_a_newer_turn_opens(virtual):
    async def scenario():
        newest = NewestTurns(10)
        newest.observe(b"k", turn(1))
        asyncio.get_running_loop().call_later(1, newest.observe, b"k", turn(2))
        with pytest.raises(Superseded):
            async with newest.work(b"k", turn(1)):
                await asyncio.sleep(10)
        # The cancellation is spent: the task goes on.
        await asyncio.sleep(1)

    virtual(scenario())


def test_work_on_a_superseded_turn_does_not_begin(virtual):
    async def scenario():
        newest = NewestTurns(10)
        newest.observe(b"k", turn(2))
        with pytest.raises(Superseded):
            async with newest.work(b"k", turn(1)):
                pytest.fail("the work began")

    virtual(scenario())


def test_another_conversation_or_a_repetition_cancels_nothing(virtual):
    async def scenario():
        newest = NewestTurns(10)
        newest.observe(b"k", turn(1))
        loop = asyncio.get_running_loop()
        loop.call_later(1, newest.observe, b"other", turn(7))
        loop.call_later(2, newest.observe, b"k", turn(1))
        async with newest.work(b"k", turn(1)):
            await asyncio.sleep(10)

    virtual(scenario())


def test_a_cancellation_from_outside_stays_one(virtual):
    async def scenario():
        newest = NewestTurns(10)

        async def work():
            async with newest.work(b"k", turn(1)):
                await asyncio.sleep(10)

        task = asyncio.create_task(work())
        await asyncio.sleep(1)
        newest.observe(b"k", turn(2))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual(scenario())


def test_a_timeout_around_the_work_stays_one(virtual):
    async def scenario():
        newest = NewestTurns(10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), newest.work(b"k", turn(1)):
                await asyncio.sleep(10)

    virtual(scenario())


def test_an_error_of_the_work_passes_through(virtual):
    async def scenario():
        newest = NewestTurns(10)
        with pytest.raises(ZeroDivisionError):
            async with newest.work(b"k", turn(1)):
                raise ZeroDivisionError

    virtual(scenario())


def test_only_the_most_recent_entries_are_remembered():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("a", 3)
    recent.put("c", 4)
    assert "b" not in recent
    assert recent.get("a") == 3
    assert recent.pop("c") == 4
    assert recent.pop("c") is None
