"""The waits between attempts double, are jittered, bounded, and honour what the other side asked for."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Retryable
from shared.stage.retry import Backoff


@given(st.integers(1, 10_000), st.integers())
def test_a_wait_lies_between_half_the_ceiling_and_the_ceiling(attempt, seed):
    backoff = Backoff(0.25, 10.0, Random(seed))
    ceiling = min(10.0, 0.25 * 2 ** min(attempt - 1, 60))
    assert ceiling / 2 <= backoff.wait_seconds(attempt) <= ceiling


def test_the_other_side_may_ask_for_more_but_not_for_less():
    backoff = Backoff(1.0, 10.0, Random(0))
    assert backoff.wait_seconds(1, Retryable("busy", retry_after_seconds=33.0)) == 33.0
    assert backoff.wait_seconds(1, Retryable("busy", retry_after_seconds=0.0)) >= 0.5
