"""
Where a turn's time goes, hop by hop, from the marks that every stage leaves.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.events.turns import Mark


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds at the 50th, 90th and 99th percentile (nearest rank), over `count` values."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of *values*; zeros where there are none."""
        ordered = sorted(values)

        def rank(share: float) -> float:
            return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

        return cls(rank(0.5), rank(0.9), rank(0.99), len(ordered))


def hops(marks: Sequence[Mark], *, posted_ms: int, seen_ms: int) -> dict[str, float]:
    """
    The parts of one turn's way in order: waiting before each stage (`→ stage`), work in it (`stage`), and delivery (`→
    reader`). What a tool call makes a stage do once more is `stage (leg 2)`.

    *posted_ms* is when the message was published, *seen_ms* when its response was read.
    """
    parts: dict[str, float] = {}
    before = posted_ms
    visits: Counter[str] = Counter()
    for number, mark in enumerate(marks, start=1):
        visits[mark.stage] += 1
        name = mark.stage
        if visits[mark.stage] > 1:
            name += " (close)" if number == len(marks) else f" (leg {visits[mark.stage]})"
        parts[f"→ {name}"] = float(mark.received_ms - before)
        parts[name] = float(mark.finished_ms - mark.received_ms)
        before = mark.finished_ms
    parts["→ reader"] = float(seen_ms - before)
    return parts


def breakdown(turns: Iterable[Mapping[str, float]]) -> dict[str, Spread]:
    """The spread of each part over many turns, parts in the order of the longest way, which has them all."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for parts in sorted(turns, key=len, reverse=True):
        for name, milliseconds in parts.items():
            values[name].append(milliseconds)
    return {name: Spread.of(found) for name, found in values.items()}
