"""A share of the search that `make fuzz` makes: the first walks of a seed, at every door."""

import asyncio
import logging

import pytest
import structlog

from tests.fuzz.doors import DOORS
from tests.fuzz.jumping_loop import JumpingLoop
from tests.fuzz.search import Search
from tests.fuzz.watchman import Passed, walk

pytestmark = pytest.mark.timeout(120)

ENTRIES = {"records": 1_500, "results": 1_200, "answers": 500, "models": 800, "playbooks": 500}


@pytest.fixture(autouse=True)
def quiet():
    """What hostile entries make services log is no news."""
    kept = structlog.get_config()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**kept)
    logging.disable(logging.NOTSET)


def run(coroutine):
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(coroutine)


async def valid(door):
    return [await walk(door, [sample], Passed()) for sample in door.samples()]


async def searched(door, entries, seed=1):
    await valid(door)
    search, found = Search(door, seed), []
    while search.passed.entries < entries:
        if one := await search.walk():
            found.append((one.number, one.finding.kind, one.finding.told))
    return search.passed, found


@pytest.mark.parametrize("name", DOORS)
def test_valid_entries_pass_every_door(name):
    assert set(run(valid(DOORS[name]))) == {None}


@pytest.mark.parametrize("name", DOORS)
def test_hostile_entries_break_nothing_and_reach_beyond_the_first_decoder(name):
    passed, found = run(searched(DOORS[name], ENTRIES[name]))
    assert found == []
    assert passed.decoded >= 0.3 * passed.entries
