"""A share of the search that `make fuzz` makes: the first walks of a seed, at every door."""

import asyncio

import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.entry import dump, load
from tests.fuzz.jumping_loop import JumpingLoop
from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.search import Search
from tests.fuzz.watchman import Passed, walk

pytestmark = pytest.mark.timeout(180)

ENTRIES = {"records": 1_500, "results": 1_200, "answers": 400, "models": 700, "playbooks": 500}


def run(coroutine):
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(coroutine)


async def valid(door):
    return [await walk(door, [sample], Passed()) for sample in door.samples()]


async def searched(door, entries):
    await valid(door)
    search, found = Search(door, seed=1), []
    while search.passed.entries < entries:
        if one := await search.walk():
            found.append((one.number, one.finding.kind, one.finding.told))
    return search.passed, found


async def first_found(door, entries):
    """The kind of the first finding, not made smaller."""
    search, passed = Search(door, seed=1), Passed()
    number = 0
    while passed.entries < entries:
        if broken := await walk(door, list(search.entries(number)), passed):
            return broken[1].kind
        number += 1
    return None


@pytest.mark.parametrize("name", DOORS)
def test_valid_entries_pass_every_door(name):
    assert set(run(valid(DOORS[name]))) == {None}


@pytest.mark.parametrize("name", DOORS)
def test_hostile_entries_break_nothing_and_reach_beyond_the_first_decoder(name):
    passed, found = run(searched(DOORS[name], ENTRIES[name]))
    assert found == []
    assert passed.decoded >= 0.3 * passed.entries


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_planted_fault_is_found_within_the_share(mutation, monkeypatch):
    run(valid(DOORS[mutation.door]))
    for owner, name, replacement in mutation.patches():
        monkeypatch.setattr(owner, name, replacement)
    assert run(first_found(DOORS[mutation.door], ENTRIES[mutation.door])) is not None


@pytest.mark.parametrize("name", DOORS)
def test_a_seed_and_a_number_give_the_same_entries_each_time_and_a_file_keeps_them(name):
    first, again = (list(Search(DOORS[name], seed=7).entries(3)) for _ in range(2))
    assert first == again == load(dump(first))
