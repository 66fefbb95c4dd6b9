"""
When an endpoint says to come back: `retry-after-ms`, and `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime, longest_seconds: float) -> float | None:
    """
    The wait that *headers* (lower-case names, or a case-insensitive mapping) ask for, or None where they ask for none.

    *now* is the wall clock, aware. What cannot be read counts as absent; a date in the past is no wait; a wait longer
    than
    *longest_seconds* is cut to that, so that a wrong header cannot park a conversation.
    """
    wait = _number(headers.get("retry-after-ms"), scale=0.001)
    if wait is None:
        wait = _number(headers.get("retry-after"), scale=1.0)
    if wait is None:
        wait = _until(headers.get("retry-after"), now)
    return None if wait is None else min(wait, longest_seconds)


def _number(value: str | None, *, scale: float) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number * scale if math.isfinite(number) and number >= 0 else None


def _until(value: str | None, now: datetime) -> float | None:
    if value is None:
        return None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    try:
        return max(0.0, (aware - now).total_seconds())
    except OverflowError:
        return None
