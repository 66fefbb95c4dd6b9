"""
The reasoner's metrics, beside those of every stage and of the model calls.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

SEGMENT_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
FACT_BUCKETS = (0, 1, 2, 4, 8, 16, 32, 64)
CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TOOL_NAMES_MAX = 64
OTHER = "other"


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

        # Questions to retrievers, by what came of them: found, empty, or why there was no answer (timeout, connection,
        # oversized, encoded, fault, status, unreadable, secret, no_time; header, request where no such request can be
        # made; host, address, not_encrypted, scheme, credentials
        # where the destination is not allowed). The log names the retriever.
        self._retrievals = Counter(
            "holdfast_retrievals", "Questions to retrievers, by result.", ("result",), registry=registry
        )

    def retrieval(self, result: str) -> None:
        """Count one question to a retriever that ended as *result*."""
        self._retrievals.labels(result).inc()

    def draft(self, mode: str, result: str) -> None:
        """Count one draft of *mode* that ended as *result*."""
        self._drafts.labels(mode, result).inc()


class ToolMetrics:
    """The metric families of tool calls in one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Calls by tool and what came of them. `unknown`: an effect that a person has to look after; `failed`: the
        # tool's own monitoring knows why.
        self._calls = Counter("holdfast_tool_calls", "Tool calls, by status.", ("tool", "status"), registry=registry)
        # From the decision to the result, retries included. Near the tool's timeout: the turn waits for nothing.
        self._duration = Histogram(
            "holdfast_tool_call_duration_seconds",
            "Duration of a tool call.",
            ("tool",),
            buckets=CALL_BUCKETS,
            registry=registry,
        )
        # Values that a tool needed and that nobody had given (`missing`) or that did not fit (`invalid`).
        self._problems = Counter(
            "holdfast_tool_parameter_problems", "Values that tools lacked.", ("kind",), registry=registry
        )
        self._names: set[str] = set()

    def call(self, tool: str, status: str, seconds: float | None) -> None:
        """Count one call of *tool* that ended as *status* after *seconds*; None where no request was made."""
        name = self._bounded(tool)
        self._calls.labels(name, status).inc()
        if seconds is not None:
            self._duration.labels(name).observe(seconds)

    def problem(self, kind: str) -> None:
        """Count one value that was `missing` or `invalid`."""
        self._problems.labels(kind).inc()

    def _bounded(self, tool: str) -> str:
        if tool not in self._names and len(self._names) >= TOOL_NAMES_MAX:
            return OTHER
        self._names.add(tool)
        return tool
