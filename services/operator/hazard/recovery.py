"""
Do answers recover from an error? The two-state chain, and what correction mends before an answer leaves.

In the chain a right claim is followed by a wrong one with chance e and a wrong one by a right one with chance c; the
chance that claim N is right then tends to c/(c+e), not to 0. It is a statement about single claims. That *every* claim
is right still grows rarer with N, whatever c is, unless errors are mended after they were made.
"""

from dataclasses import dataclass

import numpy as np

from services.operator.hazard.answers import CORRECTIONS, RIGHT, UNKNOWN, WRONG, Answers, Marks
from services.operator.hazard.bootstrap import cluster_sums, percentile_interval, resampled_sums
from services.operator.hazard.firstfailure import Floats
from services.operator.hazard.survival import Share, shares
from shared.events.claims import Correction


@dataclass(frozen=True, slots=True)
class TwoState:
    """Chance of an error `e`, of recovery `c`, and the limit c/(c+e), each with a 95 % interval."""

    e: Share
    c: Share
    limit: float
    limit_interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mending:
    """
    What happened to the claims that the verifier flagged, where failures are mended.

    `mended` of the flagged are right as sent, in the verifier's own judgement; `dropped` of the flagged were left out,
    which mends the error at the cost of the content. `as_chain` puts the draft's error share and the mended share into
    the two-state model: what it would mean if mending went on claim by claim.
    """

    mended: Share
    dropped: Share
    by_correction: dict[str, int]
    as_chain: TwoState


def chain(marks: Marks, answers: Answers, rng: np.random.Generator, *, draws: int) -> TwoState | None:
    """The chain from claim to next claim; None unless both right and wrong claims are followed by another."""
    before, after = marks[:, :-1], marks[:, 1:]
    judged = (after == RIGHT) | (after == WRONG)
    from_right, from_wrong = (before == RIGHT) & judged, (before == WRONG) & judged
    columns = [
        (from_right & (after == WRONG)).sum(axis=1),
        from_right.sum(axis=1),
        (from_wrong & (after == RIGHT)).sum(axis=1),
        from_wrong.sum(axis=1),
    ]
    return _two_state(np.stack(columns, axis=1), answers, rng, draws)


def mending(answers: Answers, rng: np.random.Generator, *, draws: int) -> Mending | None:
    """What correction did; None where nothing was flagged."""
    flagged = answers.draft == WRONG
    judged = (answers.draft == RIGHT) | flagged
    known = flagged & (answers.sent != UNKNOWN)
    mended = known & (answers.sent == RIGHT)
    dropped = known & (answers.correction == CORRECTIONS.index(Correction.DROPPED))
    columns = [flagged.sum(axis=1), judged.sum(axis=1), mended.sum(axis=1), known.sum(axis=1), dropped.sum(axis=1)]
    counts = np.stack(columns, axis=1)
    as_chain = _two_state(counts[:, :4], answers, rng, draws)
    if as_chain is None:
        return None
    sums = cluster_sums(counts, answers.cluster, answers.conversations)
    ways = np.bincount(answers.correction[known], minlength=len(CORRECTIONS))
    return Mending(
        mended=as_chain.c,
        dropped=shares(sums[:, 4:5], sums[:, 3:4], np.zeros(1))[0],
        by_correction={way.value: int(n) for way, n in zip(CORRECTIONS, ways, strict=True) if n},
        as_chain=as_chain,
    )


def _two_state(counts: Floats, answers: Answers, rng: np.random.Generator, draws: int) -> TwoState | None:
    """From errors, their trials, recoveries and theirs in each answer (A×4)."""
    sums = cluster_sums(counts, answers.cluster, answers.conversations)
    if not sums.sum(axis=0)[[1, 3]].all():
        return None
    e, c = shares(sums[:, [0, 2]], sums[:, [1, 3]], np.zeros(2))
    with np.errstate(invalid="ignore", divide="ignore"):
        totals = resampled_sums(sums, rng, draws=draws)
        e_drawn, c_drawn = totals[:, 0] / totals[:, 1], totals[:, 2] / totals[:, 3]
        limits = c_drawn / (c_drawn + e_drawn)
    limit = c.share / (c.share + e.share) if c.share + e.share > 0 else float("nan")
    return TwoState(e, c, limit, percentile_interval(limits))
