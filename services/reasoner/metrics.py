"""
The reasoner's metrics, beside those of every stage and of the model calls.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

SEGMENT_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
FACT_BUCKETS = (0, 1, 2, 4, 8, 16, 32, 64)


class ReasonerMetrics:
    """The metric families of one reasoner process; no label is a tenant, a conversation or an id."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Drafts by reasoning mode and result: drafted, silent, failed. Many `failed`: the model does not keep to the
        # blueprint; see holdfast_structured_output_invalid_total{purpose="draft"} for why.
        self._drafts = Counter("holdfast_drafts", "Drafts, by mode and result.", ("mode", "result"), registry=registry)
        # Drafts that took a second attempt. A rising share: the model drifts; each costs a call and its latency.
        self.resampled = Counter("holdfast_drafts_resampled", "Drafts made at the second attempt.", registry=registry)
        # Segments of a draft. Long replies hold more claims, and each is a chance to err.
        self.segments = Histogram(
            "holdfast_draft_segments", "Segments of a draft.", buckets=SEGMENT_BUCKETS, registry=registry
        )
        # Facts offered to a draft. At the top bucket: playbooks outgrow the prompt, relevance decides what is seen.
        self.facts = Histogram(
            "holdfast_draft_facts", "Facts offered to a draft.", buckets=FACT_BUCKETS, registry=registry
        )

    def draft(self, mode: str, result: str) -> None:
        """Count one draft of *mode* that ended as *result*."""
        self._drafts.labels(mode, result).inc()
