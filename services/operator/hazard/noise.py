"""
What a verifier that errs hides: error shares corrected by an audit sample.

Flagged and unflagged claims are audited at different rates, so how often the verifier catches an error is not what the
audit counts: a count must be weighted by how many claims its label stands for (Begg and Greenes 1983). With rates from
elsewhere the correction is Rogan and Gladen's (1978), E = (p + specificity - 1) / (sensitivity + specificity - 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.operator.hazard.answers import RIGHT, UNKNOWN, WRONG, Answers, Marks
from services.operator.hazard.bootstrap import cluster_sums, resampled_sums, share_interval
from services.operator.hazard.firstfailure import Floats
from services.operator.hazard.records import AuditLabel
from shared.errors import Invalid

LABELS_MIN = 10
"""Of flagged and of unflagged claims each; with fewer no rate is worth a correction."""


@dataclass(frozen=True, slots=True)
class Rate:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Corrected:
    """
    The draft's error share as flagged and as it is, and the verifier's own rates.

    `residual` is the share of claims that are wrong as sent; None where no label tells. `repaired` (rho) and
    `damaged` (d) are of the flagged claims that were wrong and right. The rule of `verification_helps` is
    f·d < r·rho·E/(1-E).
    """

    labels: int
    flagged_share: float
    error_share: Rate
    catch_rate: Rate
    false_alarm_rate: Rate
    residual: Rate | None
    repaired: float | None
    damaged: float | None

    @property
    def verification_helps(self) -> bool | None:
        """Whether mending takes more errors away than it adds; None where that cannot be told."""
        e = self.error_share.value
        if self.repaired is None or not 0 < e < 1:
            return None
        gain = self.catch_rate.value * self.repaired * e / (1 - e)
        return self.false_alarm_rate.value * (self.damaged or 0.0) < gain


@dataclass(frozen=True, slots=True)
class Audit:
    """
    Labels laid over the answers: A×K of RIGHT, WRONG, UNKNOWN for the draft and what was sent.

    `drawn` marks the labels of blindly drawn answers; `elsewhere` are (flagged, wrong) of labels that name no recorded
    claim; `unmatched` labels name a claim that is not recorded.
    """

    draft: Marks
    sent: Marks
    drawn: Marks
    elsewhere: tuple[tuple[bool, bool], ...]
    unmatched: int

    def blind(self, answers: Answers) -> tuple[Marks, Marks]:
        """Draft and sent truth of answers drawn blindly and labelled in full; all else is left UNKNOWN."""
        inside = np.arange(1, answers.draft.shape[1] + 1) <= answers.claims[:, None]
        full = ((self.drawn == 1) | ~inside).all(axis=1)[:, None]
        return tuple(  # type: ignore[return-value]  # a pair
            np.where(full | ~inside, marks, UNKNOWN).astype(np.int8) for marks in (self.draft, self.sent)
        )


def lay_over(answers: Answers, labels: Sequence[AuditLabel]) -> Audit:
    """*labels* in the places of the claims that they are about."""
    row_of = {turn: row for row, turn in enumerate(answers.turns)}
    inside = np.arange(1, answers.draft.shape[1] + 1) <= answers.claims[:, None]
    draft = np.where(inside, UNKNOWN, answers.draft).astype(np.int8)
    sent, drawn = draft.copy(), np.zeros_like(draft)
    elsewhere, unmatched = [], 0
    for label in labels:
        if label.flagged is not None:
            elsewhere.append((label.flagged, label.draft_wrong))
            continue
        row = row_of.get(label.turn_id)
        if row is None or label.position > answers.claims[row]:
            unmatched += 1
            continue
        place = row, label.position - 1
        draft[place] = WRONG if label.draft_wrong else RIGHT
        if label.final_wrong is not None:
            sent[place] = WRONG if label.final_wrong else RIGHT
        drawn[place] = label.sample == "random"
    return Audit(draft, sent, drawn, tuple(elsewhere), unmatched)


def rogan_gladen(flagged_share: Floats, sensitivity: Floats, specificity: Floats) -> Floats:
    """
    The true share behind *flagged_share*, held within [0, 1].

    Raises:
        Invalid: (`useless_verifier`) sensitivity + specificity ≤ 1: a flag says nothing about an error.

    """
    power = np.asarray(sensitivity) + np.asarray(specificity) - 1
    if (power <= 0).any():
        raise Invalid(
            "useless_verifier",
            "sensitivity + specificity of the verifier are 1 or less: its flags say nothing; audit more claims",
        )
    return np.asarray(np.clip((flagged_share + specificity - 1) / power, 0.0, 1.0))


def correct(
    answers: Answers, audit: Audit, rng: np.random.Generator, *, corrects: bool, draws: int
) -> Corrected | None:
    """The corrected shares; None where the labels are too few. *corrects*: whether flagged claims are mended."""
    return _from_labels(answers, audit, rng, corrects, draws) or _from_elsewhere(answers, audit, rng, draws)


def _from_labels(
    answers: Answers,
    audit: Audit,
    rng: np.random.Generator,
    corrects: bool,
    draws: int,
) -> Corrected | None:
    flagged, passed = answers.draft == WRONG, answers.draft == RIGHT
    # A label picked because of a flag says nothing about claims without one.
    known = (audit.draft != UNKNOWN) & (flagged | (passed & (audit.drawn == 1)))
    wrong = known & (audit.draft == WRONG)
    told = known & (audit.sent != UNKNOWN)
    bad = told & (audit.sent == WRONG)
    masks = [
        *(flagged, passed),
        *(known & flagged, known & passed),
        *(wrong & flagged, wrong & passed),
        *(told & flagged, told & passed),
        *(bad & flagged, bad & passed),
        *(told & flagged & wrong, told & flagged & ~wrong),
        *(bad & flagged & wrong, bad & flagged & ~wrong),
    ]
    counts = np.stack([mask.sum(axis=1) for mask in masks], axis=1)
    sums = cluster_sums(counts, answers.cluster, answers.conversations)
    total = sums.sum(axis=0)
    if min(total[2], total[3]) < LABELS_MIN:
        return None
    drawn = _rates(resampled_sums(sums, rng, draws=draws))
    point = _rates(total[None])
    with np.errstate(invalid="ignore", divide="ignore"):
        repaired, damaged = 1 - total[12] / total[10], total[13] / total[11]
    return Corrected(
        labels=int(total[2] + total[3]),
        flagged_share=float(total[0] / (total[0] + total[1])),
        error_share=_rate(point[0], drawn[0], total[3]),
        catch_rate=_rate(point[1], drawn[1], total[4]),
        false_alarm_rate=_rate(point[2], drawn[2], total[3]),
        residual=_rate(point[3], drawn[3], total[7]) if corrects and total[6] and total[7] else None,
        repaired=float(repaired) if corrects and total[10] else None,
        damaged=float(damaged) if corrects and total[11] else None,
    )


def _rates(totals: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Error share, catch rate, false-alarm rate, residual share, of R×14 totals."""
    with np.errstate(invalid="ignore", divide="ignore"):
        flagged = totals[:, 0] / (totals[:, 0] + totals[:, 1])
        wrong_if_flagged, wrong_if_passed = totals[:, 4] / totals[:, 2], totals[:, 5] / totals[:, 3]
        error = flagged * wrong_if_flagged + (1 - flagged) * wrong_if_passed
        caught = flagged * wrong_if_flagged / error
        alarms = flagged * (1 - wrong_if_flagged) / (1 - error)
        residual = flagged * totals[:, 8] / totals[:, 6] + (1 - flagged) * totals[:, 9] / totals[:, 7]
    return error, caught, alarms, residual


def _from_elsewhere(answers: Answers, audit: Audit, rng: np.random.Generator, draws: int) -> Corrected | None:
    pairs = np.array(audit.elsewhere, dtype=bool).reshape(-1, 2)
    flagged, wrong = pairs[:, 0], pairs[:, 1]
    counts = np.stack([answers.draft == WRONG, (answers.draft == WRONG) | (answers.draft == RIGHT)]).sum(axis=2).T
    sums = cluster_sums(counts, answers.cluster, answers.conversations)
    p = sums[:, 0].sum() / max(1.0, sums[:, 1].sum())
    if min(wrong.sum(), (~wrong).sum()) < LABELS_MIN or not sums[:, 1].any():
        return None
    caught, alarms = (flagged & wrong).sum() / wrong.sum(), (flagged & ~wrong).sum() / (~wrong).sum()
    error = rogan_gladen(np.array([p]), np.array([caught]), np.array([1 - alarms]))
    totals = resampled_sums(sums, rng, draws=draws)
    # Jeffreys' posteriors stand for the labelled set's own uncertainty.
    half = 0.5
    r = rng.beta((flagged & wrong).sum() + half, (~flagged & wrong).sum() + half, draws)
    f = rng.beta((flagged & ~wrong).sum() + half, (~flagged & ~wrong).sum() + half, draws)
    tells = r > f
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (totals[:, 0] / totals[:, 1])[tells]
    drawn = rogan_gladen(shares, r[tells], 1 - f[tells])
    return Corrected(
        labels=len(pairs),
        flagged_share=float(p),
        error_share=_rate(error, drawn, sums[:, 1].sum()),
        catch_rate=_rate(np.array([caught]), r, wrong.sum()),
        false_alarm_rate=_rate(np.array([alarms]), f, (~wrong).sum()),
        residual=None,
        repaired=None,
        damaged=None,
    )


def _rate(point: Floats, drawn: Floats, trials: float) -> Rate:
    return Rate(float(point[0]), *share_interval(float(point[0]), drawn, trials))
