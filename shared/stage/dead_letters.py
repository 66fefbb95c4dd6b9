"""
What becomes of a record that cannot be handled: it goes to `dead.letters` byte for byte, with headers that say why.

The headers are Kafka Connect's (`DeadLetterQueueReporter`), which its tools read, and ours (`x-holdfast-*`). None of
them quotes the record: an `Invalid`'s message names fields and limits, and it is shortened.
"""

from datetime import UTC, datetime

from shared.errors import HoldfastError, Invalid
from shared.events.topics import DEAD_LETTERS
from shared.stage.base import Output, Record

RETRIES_EXHAUSTED = "retries_exhausted"
UNREADABLE = "unreadable"
MESSAGE_CHARS_MAX = 500
_CONNECT = "__connect.errors."
_OURS = "x-holdfast-"


def dead_letter(stage: str, record: Record, error: HoldfastError, *, attempts: int, first_failed_at: float) -> Output:
    """
    The record for `dead.letters`: key, value and headers of *record*, and why *stage* gave it up after *attempts*.

    *first_failed_at* is in unix seconds. Headers that the record carries already (it was driven again) are kept as
    they are, and ours follow them: the last one counts.
    """
    at = datetime.fromtimestamp(first_failed_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    kind = type(error)
    headers = {
        f"{_CONNECT}topic": record.topic,
        f"{_CONNECT}partition": record.partition,
        f"{_CONNECT}offset": record.offset,
        f"{_CONNECT}connector.name": stage,
        f"{_CONNECT}task.id": record.partition,
        f"{_CONNECT}stage": "TASK_PUT",
        f"{_CONNECT}class.name": f"{kind.__module__}.{kind.__qualname__}",
        f"{_CONNECT}exception.class.name": f"{kind.__module__}.{kind.__qualname__}",
        f"{_CONNECT}exception.message": str(error)[:MESSAGE_CHARS_MAX],
        f"{_OURS}reason": reason_of(error),
        f"{_OURS}stage": stage,
        f"{_OURS}attempts": attempts,
        f"{_OURS}first-failed-at": at,
    }
    why = tuple((name, str(value).encode()) for name, value in headers.items())
    # Kafka's client refuses a record without either; the key is what a null value can do with.
    key = b"" if record.key is None and record.value is None else record.key
    return Output(DEAD_LETTERS, key, record.value, record.headers + why)


def without_value(letter: Output) -> Output:
    """
    *letter* without its value, for a broker that refuses it as too large: the original stays where the headers say.
    """
    size = len(letter.value or b"")
    return Output(letter.topic, letter.key or b"", None, (*letter.headers, (f"{_OURS}value-bytes", str(size).encode())))


def unreadable(record: Record) -> Invalid:
    """Why a *record* is rejected that the client could not decode."""
    return Invalid(UNREADABLE, f"the record or its batch cannot be decoded: {record.unreadable}")


def reason_of(error: HoldfastError) -> str:
    """The bounded word for *error*."""
    return error.reason if isinstance(error, Invalid) else RETRIES_EXHAUSTED
