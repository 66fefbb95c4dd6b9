"""
What the matcher tells of itself, beside what its stage and its model client do.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

COUNT_BUCKETS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)


class MatcherMetrics:
    """The matcher's metrics; no label is a tenant, an agent or a guideline."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Guidelines that each turn's model call was asked about. At the retrieval limit all the time: large playbooks.
        self.candidates = Histogram(
            "holdfast_guideline_candidates", "Guidelines asked about.", buckets=COUNT_BUCKETS, registry=registry
        )
        # Guidelines that apply. Models follow five or six at once (ManyIFEval); more: narrower conditions, priorities.
        self.matched = Histogram(
            "holdfast_guidelines_matched", "Guidelines that apply.", buckets=COUNT_BUCKETS, registry=registry
        )
        # Turns whose meaning was not compared although an embeddings endpoint is set: see its errors.
        self.without_meaning = Counter(
            "holdfast_match_without_meaning",
            "Turns in which words alone decided what was asked about, although embeddings are set.",
            ["reason"],
            registry=registry,
        )
        # Turns in which the playbook's policy stood in for the model, by what went wrong. Steady: see the model's
        # errors.
        self.unknown = Counter(
            "holdfast_match_unknown", "Turns whose guidelines the model could not judge.", ["reason"], registry=registry
        )
