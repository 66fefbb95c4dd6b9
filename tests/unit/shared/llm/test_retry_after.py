"""
`Retry-After` in all its forms, and what is none.
"""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.llm.retry_after import retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def read(longest_seconds: float = 120.0, **headers: str) -> float | None:
    named = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return retry_after_seconds(named, now=NOW, longest_seconds=longest_seconds)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        (" 2.5 ", 2.5),
        ("120", 120.0),
        ("121", 120.0),
        ("1e9", 120.0),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), 120.0),
        ("Sun, 01 Mar 2026 13:00:10 +0100", 10.0),
        ("Sun, 01 Mar 2026 12:00:10 -0000", 10.0),
    ],
)
def test_seconds_and_dates_are_read_and_capped(value, seconds):
    assert read(retry_after=value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", "nan", "inf", "-inf", "Sun, 99 Foo", "1;2", "0x10", "Mon, 1 Jan 99999"]
)
def test_garbage_counts_as_absent(value):
    assert read(retry_after=value) is None


def test_no_header_is_no_wait():
    assert read() is None


def test_milliseconds_come_before_seconds():
    assert read(retry_after_ms="250", retry_after="9") == pytest.approx(0.25)


def test_garbage_in_milliseconds_leaves_the_seconds_to_be_read():
    assert read(retry_after_ms="soon", retry_after="9") == 9.0


@given(st.text(max_size=60), st.floats(min_value=0, max_value=1_000))
def test_whatever_the_header_says_the_wait_is_none_or_within_its_bounds(value, longest):
    wait = retry_after_seconds({"retry-after": value}, now=NOW, longest_seconds=longest)
    assert wait is None or (0 <= wait <= longest and math.isfinite(wait))


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_http_date_is_read_as_the_time_until_then(when):
    seconds = retry_after_seconds({"retry-after": format_datetime(when, usegmt=True)}, now=NOW, longest_seconds=1e12)
    assert seconds == max(0.0, (when.replace(microsecond=0) - NOW).total_seconds())
