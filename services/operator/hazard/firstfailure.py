"""
The first wrong claim of an answer: where it stands, or where the answer was last seen without one (right-censoring).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.operator.hazard.answers import ABSENT, RIGHT, UNKNOWN, WRONG, Booleans, Integers, Marks

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FirstFailures:
    """
    Per answer: `time` is the position of the first wrong claim where `failed`, else the number of claims known to be
    right before the answer ended or the first claim that nobody judged (0: nothing is known).
    """

    time: Integers
    failed: Booleans


def first_failures(marks: Marks) -> FirstFailures:
    """First failures of *marks* (A×K)."""
    answers, width = marks.shape
    stop = np.concatenate([marks != RIGHT, np.ones((answers, 1), dtype=bool)], axis=1).argmax(axis=1)
    failed = np.zeros(answers, dtype=bool)
    inside = stop < width
    failed[inside] = marks[np.flatnonzero(inside), stop[inside]] == WRONG
    return FirstFailures((stop + failed).astype(np.int64), failed)


def risk_sets(failures: FirstFailures, groups: Integers, *, group_count: int, width: int) -> tuple[Floats, Floats]:
    """
    Numbers at risk and first failing at each position, G×K, summed over the answers of each group.

    An answer is at risk at k while none of its claims before k is wrong and claim k was judged.
    """
    failed = np.zeros((group_count, width + 2))
    ended = np.zeros((group_count, width + 2))
    np.add.at(failed, (groups[failures.failed], failures.time[failures.failed]), 1)
    np.add.at(ended, (groups, failures.time), 1)
    at_risk = ended[:, ::-1].cumsum(axis=1)[:, ::-1]
    return at_risk[:, 1 : width + 1], failed[:, 1 : width + 1]


def all_right(marks: Marks) -> tuple[Booleans, Booleans]:
    """
    Per answer: whether every claim is right, and whether that is known, that is, whether every claim was judged.

    An answer with an error and a claim that nobody judged is left out too: keeping it while its like without an error
    is left out would make errors look more frequent than they are.
    """
    known = ~(marks == UNKNOWN).any(axis=1) & (marks != ABSENT).any(axis=1)
    return known & ~(marks == WRONG).any(axis=1), known
