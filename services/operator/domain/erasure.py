"""
What proves that a conversation was erased, and until when its records lie on topics.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.operator.domain.marker import StateHead
from shared.events.envelope import Address
from shared.events.topics import DAY_MS
from shared.stage.base import Record


@dataclass(frozen=True, slots=True)
class Remains:
    """
    What a topic still holds under the conversation's key: how many records, the newest's time, and when the last of
    them is gone at the latest (None: the topic keeps them for ever).

    A segment of a log is deleted as a whole, retention after its newest record, so a broker may keep it longer by what
    a segment takes to fill (`segment.ms`).
    """

    topic: str
    records: int
    newest: datetime
    gone_by: datetime | None


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a topic keeps records, milliseconds: `retention_ms` (None is for ever), and at most a segment more."""

    retention_ms: int | None
    segment_ms: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """A customer's message sent after the erasure, and how its turn ended."""

    event_id: str
    turn_id: str
    outcome: str
    reason: str

    @property
    def refused(self) -> bool:
        """Whether it was refused because of the erasure."""
        return (self.outcome, self.reason) == ("rejected", "erased")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The proof of an erasure, as of `made_at`."""

    address: Address
    event_id: str
    made_at: datetime
    state: StateHead | None
    state_place: str
    probe: Probe | None
    remains: tuple[Remains, ...]
    letters_barred: bool

    @property
    def proven(self) -> bool:
        """Whether nothing is known of the conversation any more, and what comes for it is refused."""
        empty = self.state is None or self.state.is_empty_marker
        return empty and (self.probe is None or self.probe.refused)

    def document(self) -> dict[str, Any]:
        """As JSON; times in RFC 3339."""
        return {
            "tenant": self.address.tenant,
            "conversation": self.address.conversation,
            "proven": self.proven,
            "made_at": self.made_at.isoformat(),
            "event_id": self.event_id,
            "erased_at": _time(self.state.erased_at_ms).isoformat() if self.state else None,
            "state": {
                "record": self.state_place,
                "holds": list(self.state.names) if self.state else [],
                "messages": self.state.messages if self.state else 0,
            },
            "probe": asdict(self.probe) | {"refused": self.probe.refused} if self.probe else None,
            "dead_letters_barred": self.letters_barred,
            "remains": [
                {
                    "topic": one.topic,
                    "records": one.records,
                    "newest": one.newest.isoformat(),
                    "gone_by": one.gone_by.isoformat() if one.gone_by else None,
                }
                for one in self.remains
            ],
        }


def keeping_of(config: Mapping[str, str], *, compacted_within_ms: int = DAY_MS) -> Keeping:
    """
    How long a topic of *config* keeps what was written over (compacted) or has aged (deleted).

    A compacted topic drops older states of a key once `max.compaction.lag.ms` has passed, if the broker keeps to it.
    """
    if "compact" in config.get("cleanup.policy", ""):
        return Keeping(int(config.get("max.compaction.lag.ms", compacted_within_ms)), _ms(config))
    retention_ms = int(config.get("retention.ms", -1))
    return Keeping(None if retention_ms < 0 else retention_ms, _ms(config))


def remains_of(topic: str, found: Iterable[Record], keeping: Keeping) -> Remains | None:
    """What *found*, the conversation's records on *topic*, come to; None where there are none."""
    records = list(found)
    if not records:
        return None
    newest = _time(max(record.timestamp_ms for record in records))
    if keeping.retention_ms is None:
        return Remains(topic, len(records), newest, None)
    return Remains(
        topic, len(records), newest, newest + timedelta(milliseconds=keeping.retention_ms + keeping.segment_ms)
    )


def _ms(config: Mapping[str, str]) -> int:
    return max(0, int(config.get("segment.ms", 0)))


def _time(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
