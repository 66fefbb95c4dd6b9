"""
The verifier's metrics, beside those of every stage and of the model calls.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.events.turns import Verification

CALL_BUCKETS = (0, 1, 2, 3, 4, 5, 6, 8, 12)


class VerifierMetrics:
    """The metric families of one verifier process; no label is a tenant, a conversation or an id."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Claims of drafts by what checking them found. `unsupported` rising: the model or the facts have changed; three
        # times its usual share is worth a look at the newest playbook.
        self._verdicts = Counter(
            "holdfast_verification_verdicts", "Claims of drafts, by verdict.", ("verdict",), registry=registry
        )
        # Segments changed, by how: value_restored, dropped, edited. Many `edited`: costs two calls each time.
        self._revisions = Counter(
            "holdfast_draft_revisions", "Segments changed by verification, by how.", ("correction",), registry=registry
        )
        # Verifications by result: passed, rejected, failed (no usable answer in time), flagged (recorded, not mended).
        self._results = Counter("holdfast_verifications", "Verifications, by result.", ("result",), registry=registry)
        # Calls a verification took; 0 where code settled all. Rising: drafts paraphrase more, or fail more.
        self.calls = Histogram(
            "holdfast_verification_calls", "Model calls of one verification.", buckets=CALL_BUCKETS, registry=registry
        )
        # Drafts that code had settled and the blind check read all the same, by whether it agreed. Disagreement is the
        # blind check's false alarm rate: it should stay under three in a hundred.
        self._calibrations = Counter(
            "holdfast_verification_calibrations", "Calibration checks, by agreement.", ("agrees",), registry=registry
        )

    def verified(self, verification: Verification, result: str) -> None:
        """Count one verification that ended as *result*."""
        self._results.labels(result).inc()
        self.calls.observe(verification.spent.calls)
        for claim in verification.claims:
            self._verdicts.labels(claim.draft_verdict.value).inc()
            if claim.correction.value != "none":
                self._revisions.labels(claim.correction.value).inc()

    def calibrated(self, *, agrees: bool) -> None:
        """Count one calibration check."""
        self._calibrations.labels("yes" if agrees else "no").inc()
