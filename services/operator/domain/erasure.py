"""
What proves that a conversation was erased, what keeps it from being proven, and until when its records lie on topics.

A platform may partition by a rule of its own, and a record may be published to the wrong place: a conversation then
has a state in more than one partition. So the proof is made for each partition in which its key was found.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.operator.domain.marker import StateHead, forgotten_by_observer, head_of
from shared.events.envelope import Address
from shared.events.topics import CONVERSATIONS_STATE, DEAD_LETTERS, OBSERVER_CONVERSATIONS
from shared.stage.base import Record

NEVER_MS = 2**62
"""Kafka's own default of `max.compaction.lag.ms` is beyond it: no compaction is ever due."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a topic keeps records, milliseconds: `retention_ms` (None is for ever), and at most a segment more."""

    retention_ms: int | None
    segment_ms: int = 0

    def gone_by(self, taken: datetime) -> datetime | None:
        """
        When a record that the broker took at *taken* is gone at the latest; None is never.

        A segment of a log is deleted as a whole, retention after its newest record, so a broker may keep a record
        longer by what a segment takes to fill (`segment.ms`).
        """
        if self.retention_ms is None:
            return None
        return taken + timedelta(milliseconds=self.retention_ms + self.segment_ms)


@dataclass(frozen=True, slots=True)
class Holding:
    """The records of one conversation that *topic* holds, and how long it keeps them."""

    topic: str
    keeping: Keeping
    records: tuple[Record, ...]

    @property
    def partitions(self) -> frozenset[int]:
        """Where they lie."""
        return frozenset(record.partition for record in self.records)

    def newest(self) -> dict[int, Record]:
        """The last record of each partition: of a changelog, what is in force there."""
        return {record.partition: record for record in self.records}


@dataclass(frozen=True, slots=True)
class Survey:
    """What all topics hold of one conversation."""

    holdings: tuple[Holding, ...]

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions in which the ledger may know the conversation: where anything but a copy of it lies."""
        copies = {DEAD_LETTERS, OBSERVER_CONVERSATIONS}
        return frozenset().union(*(held.partitions for held in self.holdings if held.topic not in copies))

    def newest(self, topic: str) -> dict[int, Record]:
        """By partition, the last record on *topic*."""
        return next((held.newest() for held in self.holdings if held.topic == topic), {})

    @property
    def remembering_observers(self) -> tuple[int, ...]:
        """The partitions whose row of the observer still tells something of the conversation."""
        rows = self.newest(OBSERVER_CONVERSATIONS)
        return tuple(sorted(number for number, row in rows.items() if not forgotten_by_observer(row.value)))


@dataclass(frozen=True, slots=True)
class Remaining:
    """A record that still lies on a topic, when the broker took it, and when it is gone at the latest (None: never)."""

    topic: str
    partition: int
    offset: int
    taken: datetime
    gone_by: datetime | None


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
class Erased:
    """What is known of one partition: its newest state (None: a tombstone, or none), where that lies, and the probe."""

    partition: int
    state: StateHead | None
    offset: int | None
    probe: Probe | None

    def doubts(self) -> list[str]:
        """Why nobody may say that the conversation is forgotten here; empty where it is."""
        found = []
        if self.state is not None and not self.state.readable:
            found.append("its state cannot be read")
        elif self.state is not None and not self.state.is_empty_marker:
            found.append(f"its state still holds {', '.join(self.state.names)} and {self.state.messages} messages")
        if self.probe is None:
            found.append("no message was sent to see it refused")
        elif not self.probe.refused:
            found.append(f"a message sent afterwards was {self.probe.outcome} ({self.probe.reason or 'no reason'})")
        return [f"partition {self.partition}: {doubt}" for doubt in found]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The proof of an erasure, as of `made_at`; `survey` is what topics held then."""

    address: Address
    event_id: str
    made_at: datetime
    erased: tuple[Erased, ...]
    survey: Survey

    @property
    def proven(self) -> bool:
        """Whether nothing is known of the conversation any more, what comes is refused, and what remains will go."""
        return not self.doubts

    @property
    def doubts(self) -> tuple[str, ...]:
        """Everything that keeps the erasure from being proven, each in words."""
        found = [doubt for one in self.erased for doubt in one.doubts()]
        late = sorted(self.survey.partitions - {one.partition for one in self.erased})
        found += [f"partition {number}: records came while this ran; run it again" for number in late]
        found += [
            f"partition {number}: the observer still holds a row of it; is the observer running?"
            for number in self.survey.remembering_observers
        ]
        found += [
            f"{held.topic}: {len(held.records)} records never go; set {_needed(held.topic)} on that topic"
            for held in self.survey.holdings
            if held.keeping.retention_ms is None
        ]
        return tuple(found)

    @property
    def remains(self) -> tuple[Remaining, ...]:
        """Each record that still lies on a topic, the markers in force excepted: they hold nothing that was said."""
        return tuple(
            Remaining(
                held.topic,
                record.partition,
                record.offset,
                _time(record.timestamp_ms),
                held.keeping.gone_by(_time(record.timestamp_ms)),
            )
            for held in self.survey.holdings
            for record in held.records
            if not _is_marker(held, record)
        )

    def document(self) -> dict[str, Any]:
        """As JSON; times in RFC 3339."""
        return {
            "tenant": self.address.tenant,
            "conversation": self.address.conversation,
            "proven": self.proven,
            "doubts": list(self.doubts),
            "made_at": self.made_at.isoformat(),
            "event_id": self.event_id,
            "partitions": [
                {
                    "partition": one.partition,
                    "state_offset": one.offset,
                    "erased_at": _time(one.state.erased_at_ms).isoformat() if one.state else None,
                    "holds": list(one.state.names) if one.state else [],
                    "messages": one.state.messages if one.state else 0,
                    "probe": asdict(one.probe) | {"refused": one.probe.refused} if one.probe else None,
                }
                for one in self.erased
            ],
            "remains": [
                {
                    "topic": one.topic,
                    "partition": one.partition,
                    "offset": one.offset,
                    "taken": one.taken.isoformat(),
                    "gone_by": one.gone_by.isoformat() if one.gone_by else None,
                }
                for one in self.remains
            ],
        }


def is_of(record: Record, address: Address) -> bool:
    """
    Whether *record* is of the conversation at *address*: by its key, as the services write it or as the observer's
    table does, or, where the key is another or none, by the attributes of its event.
    """
    if record.key in {address.key, json.dumps(address.key.decode()).encode()}:
        return True
    attributes = dict(record.headers)
    source = attributes.get("ce_source") or b""
    return attributes.get(
        "ce_subject"
    ) == address.conversation.encode() and f"{source.decode(errors='replace')}/".startswith(
        f"/tenants/{address.tenant}/"
    )


def keeping_of(config: Mapping[str, str]) -> Keeping:
    """
    How long a topic of *config*, as a broker tells it, keeps what was written over (compacted) or has aged (deleted).

    What is not told counts as for ever. A compacted topic drops older states of a key once `max.compaction.lag.ms` has
    passed; Kafka's own default is never.
    """
    policy = config.get("cleanup.policy", "")
    limits = [int(config.get("max.compaction.lag.ms", NEVER_MS))] if "compact" in policy else []
    limits += [int(config.get("retention.ms", -1))] if "delete" in policy else []
    bounded = [limit for limit in limits if 0 <= limit < NEVER_MS]
    return Keeping(min(bounded), max(0, int(config.get("segment.ms", 0)))) if bounded else Keeping(None)


def proofs(survey: Survey, partitions: Iterable[int], probes: Mapping[int, Probe]) -> tuple[Erased, ...]:
    """What is known of each of *partitions*; *probes* is by partition."""
    states = survey.newest(CONVERSATIONS_STATE)
    return tuple(
        Erased(
            number,
            head_of(states[number].value) if number in states else None,
            states[number].offset if number in states else None,
            probes.get(number),
        )
        for number in sorted(partitions)
    )


def _is_marker(held: Holding, record: Record) -> bool:
    if held.newest()[record.partition] is not record:
        return False
    if held.topic == CONVERSATIONS_STATE:
        head = head_of(record.value)
        return head is None or head.is_empty_marker
    return held.topic == OBSERVER_CONVERSATIONS and forgotten_by_observer(record.value)


def _needed(topic: str) -> str:
    return "max.compaction.lag.ms" if topic in {CONVERSATIONS_STATE, OBSERVER_CONVERSATIONS} else "retention.ms"


def _time(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
