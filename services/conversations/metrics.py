"""
The metrics of the conversations service: what each one means and what to do about it.

No label is a tenant, a conversation or an id. The runtime's own (dead letters, transactions, ages) are in
shared/stage/metrics.py.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

# From "at once" to the longest deadline that a playbook may set.
LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 3_600)


class ByLabel(dict[str, Counter]):
    """A counter's children by their one label, each asked for once: `Counter.labels` costs more than counting does."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, label: str) -> Counter:
        child: Counter = self._counter.labels(label)
        self[label] = child
        return child


class ConversationsMetrics:
    """
    Attributes are ready to be used; labels are bounded: event types of the contract, `Outcome`, `Note`.

    They count what was worked out. A transaction that was aborted is worked out again, so after a crash they may be a
    little high; the topics are what counts exactly.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        # Events taken into the truth. Flat while customers write: the platform does not publish, or all is
        # dead-lettered.
        self.accepted = ByLabel(
            Counter("holdfast_events_accepted", "Events taken in, by type.", ("type",), registry=registry)
        )
        # Turns, by how they ended. Many `expired`: the stages are too slow or away. Many `superseded`: raise
        # settle_seconds.
        self.outcomes = ByLabel(
            Counter("holdfast_event_outcomes", "Turns closed, by outcome.", ("outcome",), registry=registry)
        )
        # `duplicate`, `stale_result`: repetitions after a crash, harmless. `sequence_gap`, `out_of_order`: the
        # platform loses or reorders. `unverified_result`, `record_trimmed`: a stage breaks its contract; look at
        # turns.closed. `former_topic`: a verifier or an approver of an older release still writes where it did; the
        # settings that believe it there may be taken away once this stands still.
        self.notes = ByLabel(
            Counter("holdfast_conversation_notes", "Remarkable events, by kind.", ("note",), registry=registry)
        )
        # From the arrival of a turn's oldest message to the response. The customer's wait.
        self.latency = Histogram(
            "holdfast_response_latency_seconds",
            "From a customer's message to the response.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
