"""Every bound of the embedded broker, with Kafka's default where Kafka has the setting."""

from dataclasses import dataclass

MIB = 1_048_576


@dataclass(frozen=True)
class Limits:
    """
    What one broker accepts and keeps; in brackets the setting of Apache Kafka that it stands for.
    """

    request_bytes_max: int = 100 * MIB
    """A larger request closes its connection (`socket.request.max.bytes`)."""
    batch_bytes_max: int = MIB + 12
    """The largest record batch, overridden by a topic's `max.message.bytes` (`message.max.bytes`)."""
    retention_bytes: int = 128 * MIB
    """
    Bytes kept per partition, overridden by a topic's `retention.bytes`; Kafka keeps all by default, memory cannot.
    """
    compaction_bytes_min: int = MIB
    """A compacted partition is cleaned when it grew by this much, and by as much as the last cleaning left."""
    partitions_max: int = 1_000
    """Partitions of one topic."""
    commit_metadata_chars_max: int = 4_096
    """Metadata of one committed offset (`offset.metadata.max.bytes`)."""
    session_seconds_min: float = 0.1
    """Shortest session of a group member; Kafka's floor is 6 s (`group.min.session.timeout.ms`), too long for tests."""
    session_seconds_max: float = 1_800.0
    """Longest session of a group member (`group.max.session.timeout.ms`)."""
    rebalance_initial_delay_seconds: float = 0.05
    """Wait for further members of an empty group (`group.initial.rebalance.delay.ms`)."""
    group_members_max: int = 1_000
    """Members of one group (`group.max.size`)."""
    transaction_seconds_max: float = 900.0
    """Longest transaction that a producer may ask for (`transaction.max.timeout.ms`)."""
    producers_max: int = 10_000
    """Idempotent producers remembered per partition; the longest silent one is forgotten first."""
