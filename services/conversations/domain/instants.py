"""
Instants as unix milliseconds, the form in which the state keeps them, and as the wire's datetimes.
"""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def at(instant_ms: int) -> datetime:
    """*instant_ms* as a datetime in UTC."""
    return datetime.fromtimestamp(instant_ms / 1000, UTC)


def ms_of(instant: datetime) -> int:
    """The aware *instant* as unix milliseconds; negative before 1970."""
    return (instant - _EPOCH) // _MILLISECOND
