"""
Pairs of similar sets, exactly, without comparing all with all.

Prefix filtering (Bayardo, Ma, Srikant 2007, "Scaling Up All Pairs Similarity Search"): two sets of Jaccard similarity t
share one of their rarest members, so only those that do are compared.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import ceil

COMPARED_MAX = 200
"""Of a set with earlier ones that share a rare member; more only where thousands of texts are nearly the same."""


def similar_pairs(sets: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int, float]]:
    """
    The pairs (first, second, Jaccard) of *sets*, by index, that are alike by *threshold* (0 … 1); empty sets are like
    none. Of a set, no more than COMPARED_MAX earlier ones are looked at, the nearest first.
    """
    spread = Counter(member for one in sets for member in one)
    holding: dict[str, list[int]] = defaultdict(list)
    for second, one in enumerate(sets):
        rarest = sorted(one, key=lambda member: (spread[member], member))
        prefix = rarest[: len(one) - ceil(threshold * len(one)) + 1]
        earlier = dict.fromkeys(first for member in prefix for first in holding[member][-COMPARED_MAX:])
        for first in sorted(earlier)[-COMPARED_MAX:]:
            likeness = jaccard(sets[first], one)
            if likeness >= threshold:
                yield first, second, likeness
        for member in prefix:
            holding[member].append(second)


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """The share of their members that two sets have in common; of two empty ones 0."""
    union = len(first | second)
    return len(first & second) / union if union else 0.0
