"""
The metrics of the heartbeat.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60)


class HeartbeatMetrics:
    """`beats` by result, the way's `seconds` of those that were answered, and when the `last` one was."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.beats = Counter(
            "holdfast_heartbeats", "Questions sent the whole way, by result.", ("result",), registry=registry
        )
        self.seconds = Histogram(
            "holdfast_heartbeat_seconds",
            "From a heartbeat's question to its outcome, of those answered.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.last = Gauge(
            "holdfast_heartbeat_last_success_timestamp_seconds",
            "When a heartbeat was last answered, unix seconds.",
            registry=registry,
        )
