"""Windows summed from buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.observer.domain.buckets import LATENCY_SECONDS, BucketKey
from services.observer.domain.windows import (
    LONGEST_MINUTES,
    MARGIN_MINUTES,
    OTHER,
    WINDOWS,
    Risk,
    counts_now,
    expired,
    quantile,
    summed,
)

NOW_MINUTE = 10_000


def claims(at_risk=1, failed=0):
    return {
        "offset": 0,
        "positions": {"2": [at_risk, failed, 0]},
        "kind": {"fact": at_risk},
        "draft_verdict": {"supported": at_risk},
    }


@given(st.lists(st.tuples(st.integers(NOW_MINUTE - 1_600, NOW_MINUTE + 3), st.sampled_from(["", "a"])), max_size=40))
def test_a_window_is_the_sum_of_its_minutes(cells):
    buckets = [(BucketKey("claims", n, minute, arm), claims(n + 1, n)) for n, (minute, arm) in enumerate(cells)]
    totals = summed(buckets, NOW_MINUTE, arms_max=8)

    for window, minutes in WINDOWS.items():
        for arm in ("", "a"):
            inside = [n for n, (minute, of) in enumerate(cells) if of == arm and 0 <= NOW_MINUTE - minute <= minutes]
            if not inside:
                assert arm not in totals[window]
                continue
            assert totals[window][arm].positions["2"] == Risk(sum(n + 1 for n in inside), sum(inside), 0)


def test_only_the_largest_arms_keep_their_names():
    sizes = {"small": 1, "large": 9, "middle": 5, "tiny": 1}
    buckets = [(BucketKey("claims", 0, NOW_MINUTE, arm), claims(size)) for arm, size in sizes.items()]

    for arms in summed(buckets, NOW_MINUTE, arms_max=2).values():
        assert {arm: total.positions["2"].at_risk for arm, total in arms.items()} == {"large": 9, "middle": 5, OTHER: 2}


@given(st.integers(0, 20_000))
def test_a_bucket_is_deleted_only_when_nothing_can_be_counted_into_it(minute):
    key = BucketKey("claims", 0, minute, "")
    assert not (expired(key, NOW_MINUTE) and counts_now(minute, NOW_MINUTE - MARGIN_MINUTES))
    assert expired(key, NOW_MINUTE) == (minute < NOW_MINUTE - LONGEST_MINUTES - MARGIN_MINUTES)


def test_the_hazard_is_the_share_that_failed():
    assert Risk(4, 1, 0).hazard == pytest.approx(0.25)
    assert Risk(0, 0, 0).hazard is None


@pytest.mark.parametrize(
    ("waits", "share", "seconds"),
    [
        ({}, 0.5, None),
        ({0: 2}, 0.5, 0.125),
        ({0: 1, 2: 1}, 0.99, 0.5 + 0.5 * 0.98),
        ({len(LATENCY_SECONDS): 3}, 0.5, LATENCY_SECONDS[-1]),
    ],
)
def test_quantiles_are_interpolated_within_their_bucket(waits, share, seconds):
    counts = [waits.get(index, 0) for index in range(len(LATENCY_SECONDS) + 1)]
    found = quantile(counts, share)
    assert found == (seconds if seconds is None else pytest.approx(seconds))
