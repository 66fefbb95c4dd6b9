"""
The budget of turns: never more than a burst and the rate, slots in order, bounded memory.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.conversations.domain.admission import TurnBudget, Unlimited

START_MS = 1_790_000_000_000


def budget(per_minute=60.0, burst=5, wait_max_ms=10_000, tenants_max=100, share=1.0):
    return TurnBudget(
        turns_per_minute=per_minute,
        burst=burst,
        wait_max_ms=wait_max_ms,
        tenants_max=tenants_max,
        share=lambda: share,
    )


def slots_of(admission, gaps):
    """What each of the requests, *gaps* milliseconds apart, is told; in the form (asked at, slot)."""
    now_ms, told = START_MS, []
    for gap in gaps:
        now_ms += gap
        told.append((now_ms, admission.reserve("acme", now_ms)))
    return told


GAPS = st.lists(st.integers(0, 3_000), min_size=1, max_size=200)
RATES = st.floats(1.0, 100_000.0)


@given(gaps=GAPS, per_minute=RATES, burst=st.integers(1, 50), wait_max_ms=st.integers(0, 30_000))
def test_no_stretch_of_time_has_more_turns_than_the_burst_and_the_rate(gaps, per_minute, burst, wait_max_ms):
    told = slots_of(budget(per_minute, burst, wait_max_ms), gaps)
    slots = [slot for _, slot in told if slot is not None]
    for first in range(len(slots)):
        for last in range(first, len(slots)):
            # A slot is a whole millisecond, so a stretch may seem up to one shorter than it is.
            stretch_ms = slots[last] - slots[first] + 1
            assert last - first + 1 <= burst + per_minute * stretch_ms / 60_000 + 1e-3


@given(gaps=GAPS, per_minute=RATES, burst=st.integers(1, 50), wait_max_ms=st.integers(0, 30_000))
def test_slots_come_in_the_order_of_asking_and_within_the_wait(gaps, per_minute, burst, wait_max_ms):
    told = slots_of(budget(per_minute, burst, wait_max_ms), gaps)
    slots = [slot for _, slot in told if slot is not None]
    assert slots == sorted(slots)
    assert all(now <= slot <= now + wait_max_ms for now, slot in told if slot is not None)


@given(gaps=GAPS, per_minute=RATES, burst=st.integers(1, 50))
def test_a_refusal_means_that_the_wait_would_have_been_too_long_and_costs_nothing(gaps, per_minute, burst):
    """One that waits for ever is given, at each refusal, a slot beyond the wait."""
    strict, patient = budget(per_minute, burst, 1_000), budget(per_minute, burst, 10**12)
    now_ms = START_MS
    for gap in gaps:
        now_ms += gap
        slot = strict.reserve("acme", now_ms)
        if slot is None:
            # The same turns admitted so far, so the same schedule.
            assert patient.reserve("acme", now_ms) > now_ms + 1_000
            return
        assert patient.reserve("acme", now_ms) == slot


def test_a_tenant_that_waited_has_its_whole_burst_again():
    admission = budget(per_minute=60, burst=3, wait_max_ms=0)
    assert [admission.reserve("acme", START_MS) for _ in range(4)] == [START_MS] * 3 + [None]
    later = START_MS + 3_000
    assert [admission.reserve("acme", later) for _ in range(4)] == [later] * 3 + [None]


def test_tenants_have_budgets_of_their_own():
    admission = budget(burst=1, wait_max_ms=0)
    assert admission.reserve("acme", START_MS) == START_MS
    assert admission.reserve("acme", START_MS) is None
    assert admission.reserve("globex", START_MS) == START_MS


@pytest.mark.parametrize(("share", "at_once"), [(1.0, 8), (0.5, 4), (0.25, 2), (0.01, 1)])
def test_a_process_takes_its_share_of_rate_and_burst(share, at_once):
    admission = budget(per_minute=60, burst=8, wait_max_ms=10**9, share=share)
    slots = [admission.reserve("acme", START_MS) - START_MS for _ in range(at_once + 2)]
    assert slots[:at_once] == [0] * at_once
    assert slots[at_once:] == [pytest.approx(1_000 / share, abs=1), pytest.approx(2_000 / share, abs=1)]


def test_only_so_many_tenants_are_kept_track_of():
    admission = budget(burst=1, wait_max_ms=0, tenants_max=2)
    for tenant in ("a", "b", "c"):
        admission.reserve(tenant, START_MS)
    assert admission.reserve("c", START_MS) is None
    assert admission.reserve("a", START_MS) == START_MS


def test_without_a_rate_nobody_is_limited():
    settings = {
        "tenant_turns_per_minute": 0.0,
        "tenant_turns_burst": 1,
        "tenant_wait_max_seconds": 0.0,
        "tenants_max": 1,
    }
    admission = TurnBudget.of(settings, lambda: 1.0)
    assert isinstance(admission, Unlimited)
    assert {admission.reserve("acme", START_MS) for _ in range(1_000)} == {START_MS}
