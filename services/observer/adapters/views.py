"""
What the web and /metrics show, summed from the tables every few seconds.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from services.observer.adapters.counting import SOURCES
from services.observer.adapters.faust_app import Observing, snapshot
from services.observer.domain.buckets import LATENCY_SECONDS, MINUTE_SECONDS, Bucket, BucketKey
from services.observer.domain.projection import shown
from services.observer.domain.windows import QUANTILES, ArmTotals, Totals, quantile, summed
from services.observer.metrics import ObserverMetrics
from shared.events.envelope import Address


class Views:
    """The newest sums; `refresh` makes them anew. *clock* is unix time in seconds."""

    def __init__(
        self, observing: Observing, metrics: ObserverMetrics, *, arms_max: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._observing = observing
        self._metrics = metrics
        self._arms_max = arms_max
        self._clock = clock
        self._totals: Totals | None = None
        self._about: dict[str, Any] = {}

    @property
    def restored(self) -> bool:
        """Whether the tables can be believed."""
        return self._observing.restored

    def refresh(self) -> None:
        """Sum the windows, unless the tables are being restored: the former sums stand until then."""
        if not self.restored:
            return
        own, now = self._observing.partitions, self._clock()
        held = [(BucketKey.parsed(name), bucket) for name, bucket in snapshot(self._observing.buckets)]
        held = [(key, bucket) for key, bucket in held if key.partition in own]
        self._totals = summed(held, int(now) // MINUTE_SECONDS, arms_max=self._arms_max)
        self._about = {
            "as_of": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "partitions": sorted(own),
            "offsets": _offsets(held),
        }
        self._metrics.show(self._totals)

    def hazard(self) -> dict[str, Any] | None:
        """Window → arm → counts by claim position and the mixes; None before the first sums."""
        return self._shown(_hazard)

    def outcomes(self) -> dict[str, Any] | None:
        """Window → arm → turns by outcome, and the customers' waits; None before the first sums."""
        return self._shown(_outcomes)

    def conversation(self, address: Address) -> dict[str, Any] | None:
        """The last state of a conversation in a partition of ours."""
        state = self._observing.conversations.get(address.key.decode())
        return shown(state) if state is not None and state["partition"] in self._observing.partitions else None

    def _shown(self, form: Callable[[ArmTotals], dict[str, Any]]) -> dict[str, Any] | None:
        if self._totals is None:
            return None
        windows = {name: {arm: form(total) for arm, total in arms.items()} for name, arms in self._totals.items()}
        return {**self._about, "windows": windows}


def _hazard(total: ArmTotals) -> dict[str, Any]:
    positions = {
        position: {"at_risk": r.at_risk, "failed": r.failed, "corrected": r.corrected, "hazard": r.hazard}
        for position, r in total.ordered_positions()
    }
    return {"positions": positions, **{name: dict(mix) for name, mix in total.mixes.items()}}


def _outcomes(total: ArmTotals) -> dict[str, Any]:
    answered = sum(total.waits)
    return {
        "turns": total.outcomes.total(),
        "outcomes": dict(total.outcomes),
        "wait_seconds": {
            "mean": total.wait_seconds / answered if answered else None,
            **{f"p{share * 100:g}": quantile(total.waits, share) for share in QUANTILES},
            "buckets": dict(zip((*map(str, LATENCY_SECONDS), "more"), total.waits, strict=True)),
        },
    }


def _offsets(held: list[tuple[BucketKey, Bucket]]) -> dict[str, dict[str, int]]:
    """Topic → partition → the newest offset that the buckets hold."""
    newest: dict[str, dict[str, int]] = {topic: {} for topic in SOURCES.values()}
    for key, bucket in held:
        of_topic = newest[SOURCES[key.kind]]
        of_topic[str(key.partition)] = max(bucket["offset"], of_topic.get(str(key.partition), -1))
    return newest
