"""
The metrics of the observer: its windows as gauges, and what became of the records that it read.

Labels are bounded: windows by name, the largest arms and `other`, positions 1..16 and `17+`, words of the contract.
With several processes each has the partitions assigned to it: sum over them.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.observer.domain.windows import QUANTILES, Totals, quantile

Samples = dict[tuple[str, ...], float]


class ObserverMetrics:
    """`show` sets the gauges to the newest sums."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("holdfast_observer_records", "Records read, by result.", ("result",), registry=registry)
        by_position = ("window", "arm", "position")
        self._at_risk = _Family("holdfast_claim_hazard_at_risk", "Claims judged.", by_position, registry)
        self._failed = _Family("holdfast_claim_hazard_failed", "Claims failed as drafted.", by_position, registry)
        self._corrected = _Family("holdfast_claim_hazard_corrected", "Failed, then mended.", by_position, registry)
        self._verdicts = _Family(
            "holdfast_claim_hazard_verdicts", "Claims, by verdict on the draft.", ("window", "arm", "verdict"), registry
        )
        self._outcomes = _Family(
            "holdfast_observed_outcomes", "Turns, by how they ended.", ("window", "arm", "outcome"), registry
        )
        self._waits = _Family(
            "holdfast_observed_wait_seconds", "Customers' wait.", ("window", "arm", "quantile"), registry
        )

    def show(self, totals: Totals) -> None:
        """Set the gauges to *totals*; series that have left every window are removed."""
        rows = [(window, arm, total) for window, arms in totals.items() for arm, total in arms.items()]
        risks = [(w, a, p, risk) for w, a, total in rows for p, risk in total.positions.items()]
        self._at_risk.set({(w, a, p): risk.at_risk for w, a, p, risk in risks})
        self._failed.set({(w, a, p): risk.failed for w, a, p, risk in risks})
        self._corrected.set({(w, a, p): risk.corrected for w, a, p, risk in risks})
        self._verdicts.set({(w, a, v): n for w, a, t in rows for v, n in t.mixes["draft_verdict"].items()})
        self._outcomes.set({(w, a, o): n for w, a, t in rows for o, n in t.outcomes.items()})
        waits = [(w, a, q, quantile(t.waits, q)) for w, a, t in rows for q in QUANTILES]
        self._waits.set({(w, a, f"{q:g}"): seconds for w, a, q, seconds in waits if seconds is not None})


class _Family:
    """A gauge whose whole set of series is replaced at once."""

    def __init__(self, name: str, text: str, labels: Iterable[str], registry: CollectorRegistry) -> None:
        self._gauge = Gauge(name, text, tuple(labels), registry=registry)
        self._shown: set[tuple[str, ...]] = set()

    def set(self, samples: Samples) -> None:
        for labels in self._shown - samples.keys():
            self._gauge.remove(*labels)
        for labels, value in samples.items():
            self._gauge.labels(*labels).set(value)
        self._shown = set(samples)
