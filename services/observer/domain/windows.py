"""
Windows summed from one-minute buckets when they are read.

A window is the current minute so far and the whole minutes before it. Buckets outlive the longest window by a margin,
so that a clock set back a little, or a replay, never counts into a bucket that was deleted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.observer.domain.buckets import LATENCY_SECONDS, MIXES, POSITIONS, Bucket, BucketKey

WINDOWS: Final[Mapping[str, int]] = {"5m": 5, "1h": 60, "1d": 1_440}
"""Whole minutes before the current one, by name."""
LONGEST_MINUTES: Final = max(WINDOWS.values())
MARGIN_MINUTES: Final = 60
"""How much longer a bucket is kept than it is counted into."""
OTHER: Final = "other"
QUANTILES: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Risk:
    """Claims of one arm and position: judged, failed as drafted, corrected before they left."""

    at_risk: int = 0
    failed: int = 0
    corrected: int = 0

    @property
    def hazard(self) -> float | None:
        """The share of judged claims that failed; None where none was judged."""
        return self.failed / self.at_risk if self.at_risk else None


@dataclass(slots=True)
class ArmTotals:
    """One arm over one window."""

    positions: dict[str, Risk] = field(default_factory=dict)
    mixes: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in MIXES})
    outcomes: Counter[str] = field(default_factory=Counter)
    waits: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_SECONDS) + 1))
    wait_seconds: float = 0.0

    @property
    def weight(self) -> int:
        """Claims and turns: by it the arms are ranked that keep their names."""
        return self.mixes["kind"].total() + self.outcomes.total()

    def add(self, bucket: Bucket) -> None:
        """Count *bucket* in."""
        for position, (at_risk, failed, corrected) in bucket.get("positions", {}).items():
            have = self.positions.get(position, Risk())
            self.positions[position] = Risk(have.at_risk + at_risk, have.failed + failed, have.corrected + corrected)
        for name, mix in self.mixes.items():
            mix.update(bucket.get(name, {}))
        self.outcomes.update(bucket.get("outcomes", {}))
        self.waits = [have + more for have, more in zip(self.waits, bucket.get("waits", self.waits_none), strict=True)]
        self.wait_seconds += bucket.get("wait_seconds", 0.0)

    def merge(self, other: "ArmTotals") -> None:
        """Count *other* in."""
        self.add(
            {
                "positions": {p: (r.at_risk, r.failed, r.corrected) for p, r in other.positions.items()},
                **other.mixes,
                "outcomes": other.outcomes,
                "waits": other.waits,
                "wait_seconds": other.wait_seconds,
            }
        )

    @property
    def waits_none(self) -> list[int]:
        """No waits."""
        return [0] * (len(LATENCY_SECONDS) + 1)

    def ordered_positions(self) -> list[tuple[str, Risk]]:
        """Positions that have claims, in order."""
        return [(position, self.positions[position]) for position in POSITIONS if position in self.positions]


Totals = dict[str, dict[str, ArmTotals]]
"""Window → arm → totals."""


def counts_now(minute: int, now_minute: int) -> bool:
    """Whether a record of *minute* still counts: older ones are in no window any more."""
    return minute >= now_minute - LONGEST_MINUTES


def expired(key: BucketKey, now_minute: int) -> bool:
    """Whether a bucket can be deleted: no record can be counted into it any more."""
    return key.minute < now_minute - LONGEST_MINUTES - MARGIN_MINUTES


def summed(buckets: Iterable[tuple[BucketKey, Bucket]], now_minute: int, *, arms_max: int) -> Totals:
    """
    Every window's totals by arm. The *arms_max* arms with the most records in the longest window keep their names in
    all windows, the others are `other` together, so that labels stay few.
    """
    totals: Totals = {window: {} for window in WINDOWS}
    for key, bucket in buckets:
        for window, minutes in WINDOWS.items():
            if now_minute - minutes <= key.minute <= now_minute:
                totals[window].setdefault(key.arm, ArmTotals()).add(bucket)
    longest = totals[max(WINDOWS, key=WINDOWS.__getitem__)]
    ranked = sorted(longest, key=lambda arm: (-longest[arm].weight, arm))
    named = frozenset(ranked[:arms_max])
    return {window: _folded(arms, named) for window, arms in totals.items()}


def quantile(waits: list[int], share: float) -> float | None:
    """
    The wait in seconds that *share* of the turns did not exceed, interpolated within its bucket as Prometheus'
    `histogram_quantile` does; None without turns, the last bound for what lies beyond it.
    """
    wanted = share * sum(waits)
    if not wanted:
        return None
    below = 0.0
    for lower, upper, count in zip((0.0, *LATENCY_SECONDS), LATENCY_SECONDS, waits, strict=False):
        if count and below + count >= wanted:
            return lower + (upper - lower) * (wanted - below) / count
        below += count
    return LATENCY_SECONDS[-1]


def _folded(arms: dict[str, ArmTotals], named: frozenset[str]) -> dict[str, ArmTotals]:
    folded: dict[str, ArmTotals] = {}
    for arm in sorted(arms):
        folded.setdefault(arm if arm in named else OTHER, ArmTotals()).merge(arms[arm])
    return folded
