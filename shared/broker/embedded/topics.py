"""Topics and their configuration."""

import re
from dataclasses import dataclass, field

from shared.broker.embedded.codes import Code
from shared.broker.embedded.limits import Limits

DEFAULTS = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "delete.retention.ms": "86400000",
    "file.delete.delay.ms": "60000",
    "flush.messages": "9223372036854775807",
    "flush.ms": "9223372036854775807",
    "index.interval.bytes": "4096",
    "max.compaction.lag.ms": "9223372036854775807",
    "max.message.bytes": "",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0.5",
    "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1",
    "preallocate": "false",
    "retention.bytes": "",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.index.bytes": "10485760",
    "segment.jitter.ms": "0",
    "segment.ms": "604800000",
    "unclean.leader.election.enable": "false",
}
"""
The topic settings of Kafka with their defaults; an empty value is the broker's limit. In force here: `cleanup.policy`,
`delete.retention.ms`, `max.message.bytes`, `retention.bytes`. The others are kept and shown: they govern disks,
replicas and, for `retention.ms`, ages that a broker in memory does not reach.
"""

_NUMBERS = frozenset({"delete.retention.ms", "max.message.bytes", "retention.bytes", "retention.ms"})
_POLICIES = frozenset({"delete", "compact"})
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@dataclass(slots=True)
class TopicConfig:
    """What was set for one topic; every value a string, as on the wire."""

    values: dict[str, str] = field(default_factory=dict)

    @property
    def compact(self) -> bool:
        """Is the newest record of every key kept?"""
        return "compact" in self._policies

    @property
    def tombstone_retention_ms(self) -> int:
        """How long a tombstone outlives the records that it deletes."""
        return int(self.get("delete.retention.ms"))

    def get(self, name: str) -> str:
        """The value in force."""
        return self.values.get(name, DEFAULTS[name])

    def batch_bytes_max(self, limits: Limits) -> int:
        """The largest batch that the topic takes."""
        return int(self.values.get("max.message.bytes", limits.batch_bytes_max))

    def retention_bytes(self, limits: Limits) -> int | None:
        """Bytes that a partition keeps; None where nothing may be dropped (compacted only, or -1)."""
        if "delete" not in self._policies:
            return None
        value = int(self.values.get("retention.bytes", limits.retention_bytes))
        return None if value < 0 else value

    @property
    def _policies(self) -> set[str]:
        return {policy.strip() for policy in self.get("cleanup.policy").split(",")}


def config_complaint(values: dict[str, str]) -> str | None:
    """Why these topic settings cannot be accepted; None if they can."""
    for name, value in values.items():
        if name not in DEFAULTS:
            return f"Unknown topic config name: {name}"
        if name in _NUMBERS and not re.fullmatch(r"-?\d{1,18}", value):
            return f"Invalid value {value!r} for configuration {name}: not a number"
        if name == "cleanup.policy" and not {policy.strip() for policy in value.split(",")} <= _POLICIES:
            return f"Invalid value {value!r} for configuration {name}: delete, compact, or both"
        if name == "message.timestamp.type" and value != "CreateTime":
            return "The embedded broker keeps the timestamps of producers: message.timestamp.type is CreateTime"
    return None


def name_complaint(name: str) -> str | None:
    """Why a topic cannot have this name; None if it can."""
    if name in {".", ".."} or not _NAME.fullmatch(name):
        return f"Topic name {name!r} is illegal: 1 to 249 of ASCII letters, digits, '.', '_' and '-'"
    return None


def creation_complaint(
    partitions: int, replication_factor: int, config: dict[str, str], limits: Limits
) -> tuple[Code, str] | None:
    """Why a topic cannot be created so; None if it can. -1 stands for the broker's default."""
    if partitions != -1 and not 0 < partitions <= limits.partitions_max:
        return Code.INVALID_PARTITIONS, f"Number of partitions must be 1 to {limits.partitions_max}, not {partitions}"
    if replication_factor not in {-1, 1}:
        return (
            Code.INVALID_REPLICATION_FACTOR,
            f"The embedded broker is one node: replication factor 1 or -1, not {replication_factor}",
        )
    complaint = config_complaint(config)
    return None if complaint is None else (Code.INVALID_CONFIG, complaint)
