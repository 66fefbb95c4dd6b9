"""
What a process tells about what it tells.
"""

from prometheus_client import CollectorRegistry, Counter


class SpanMetrics:
    """The metrics of spans on their way to a collector; exported where one is set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # exported; dropped (the queue was full), failed (the collector did not take them). Nothing else suffers.
        self._spans = Counter("holdfast_spans", "Spans, by what became of them.", ("result",), registry=registry)
        self.exported = self._spans.labels("exported")
        self.dropped = self._spans.labels("dropped")
        self.failed = self._spans.labels("failed")
