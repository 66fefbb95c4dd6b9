"""
The memory of events that a conversation has taken in, by which a repeated one is told from a new one.

CloudEvents 1.0: `source` and `id` together identify an event. Kept as one string of fixed-width fingerprints, oldest
first, because a whole state is written per event and a string costs the encoder nothing; the memory is bounded, so a
repetition is recognised as long as no more than `seen_events_max` other events of the conversation lie between.
"""

from hashlib import blake2b
from typing import NamedTuple

from shared.events.base import Body
from shared.events.envelope import Envelope

_ID_CHARS = 16
_BODY_CHARS = 12
_WIDTH = _ID_CHARS + _BODY_CHARS


class Fingerprint(NamedTuple):
    """Hexadecimal digests of an event's identity (64 bits) and of its type and body (48 bits)."""

    id: str
    body: str


def fingerprint(event: Envelope[Body]) -> Fingerprint:
    """
    The fingerprint of *event*; the body counts as it was read, so that another order of its JSON keys is no difference.
    """
    identity = f"{event.source}\0{event.id}".encode()
    body = f"{event.type}\0{event.data.model_dump_json()}".encode()
    return Fingerprint(
        blake2b(identity, digest_size=_ID_CHARS // 2).hexdigest(),
        blake2b(body, digest_size=_BODY_CHARS // 2).hexdigest(),
    )


def body_seen(seen: str, event: Fingerprint) -> str | None:
    """The digest of the body with which *event*'s id was seen before; None where it was not."""
    at = seen.find(event.id)
    while at >= 0 and at % _WIDTH:
        at = seen.find(event.id, at + 1)
    return None if at < 0 else seen[at + _ID_CHARS : at + _WIDTH]


def remember(seen: str, event: Fingerprint, events_max: int) -> str:
    """*seen* with *event*, without the oldest where there are more than *events_max*."""
    return (seen + event.id + event.body)[-events_max * _WIDTH :]
