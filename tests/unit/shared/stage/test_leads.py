"""
How far a worker's clock is ahead of the ledger's.
"""

import asyncio
import time

import pytest

from shared.stage.leads import TOLERANCE_SECONDS, Leads, assume, ledger_time


@pytest.fixture
def leads():
    return Leads()


def test_without_any_record_the_clock_is_taken_as_it_is(leads):
    assert leads.of(3) == 0.0


def test_a_fresh_record_tells_how_far_the_clock_is_ahead(leads):
    leads.take(3, 600.2, fresh=True)
    assert leads.of(3) == 600.2


def test_an_old_record_in_a_backlog_is_no_clock_that_is_ahead(leads):
    leads.take(3, 600.0, fresh=False)
    assert leads.of(3) == 0.0


def test_a_record_from_the_future_tells_that_the_clock_is_behind_even_in_a_backlog(leads):
    leads.take(3, -600.0, fresh=False)
    assert leads.of(3) == -600.0


def test_a_backlog_behind_a_clock_that_is_ahead_changes_nothing(leads):
    leads.take(3, 600.0, fresh=True)
    leads.take(3, 640.0, fresh=False)
    assert leads.of(3) == 600.0


def test_a_clock_that_is_set_right_is_believed_with_the_next_fresh_record_or_any_smaller_lead(leads):
    leads.take(3, -600.0, fresh=True)
    leads.take(3, 0.1, fresh=True)
    assert leads.of(3) == 0.0

    leads.take(3, 600.0, fresh=True)
    leads.take(3, 12.0, fresh=False)
    assert leads.of(3) == 12.0


def test_within_the_tolerance_nothing_is_taken_off(leads):
    leads.take(3, TOLERANCE_SECONDS, fresh=True)
    assert leads.of(3) == 0.0


def test_tasks_may_be_with_ledgers_of_different_clocks_and_an_unknown_one_is_taken_for_like_the_last(leads):
    leads.take(1, 600.0, fresh=True)
    leads.take(2, -600.0, fresh=True)
    assert (leads.of(1), leads.of(2), leads.of(3)) == (600.0, -600.0, -600.0)


async def test_the_ledger_s_time_is_of_the_task_in_hand_and_its_children():
    async def told():
        return time.time() - ledger_time()

    async def ahead():
        assume(600.0)
        return await asyncio.gather(told(), asyncio.create_task(told()))

    assert await asyncio.create_task(ahead()) == pytest.approx([600.0, 600.0], abs=1.0)
    assert await told() == pytest.approx(0.0, abs=1.0)
