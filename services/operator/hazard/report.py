"""
The whole report as a typed structure: per arm and series the curves, tests, models and predictions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from services.operator.hazard.answers import RIGHT, WRONG, Answers, LeftOut, Marks
from services.operator.hazard.bootstrap import DRAWS, cluster_sums
from services.operator.hazard.comparison import BeforeAndAfter, BetweenArms, before_and_after, between_arms
from services.operator.hazard.discrete import ConstantHazardTest, constant_hazard_test
from services.operator.hazard.firstfailure import all_right, first_failures, risk_sets
from services.operator.hazard.frailty import FrailtyComparison, WithinAnswers, compare
from services.operator.hazard.noise import Audit, Corrected, correct, lay_over
from services.operator.hazard.prediction import OutOfSample, border, out_of_sample
from services.operator.hazard.records import AuditLabel
from services.operator.hazard.recovery import Mending, TwoState, chain, mending
from services.operator.hazard.survival import (
    Share,
    SurvivalPoint,
    hazard_by_position,
    kaplan_meier,
    right_by_length,
    shares,
)

ALPHA = 0.05
FAILURES_MIN = 20
"""With fewer first failures no statement about the hazard's shape is made."""

Text = Literal["draft", "sent"]
JudgedBy = Literal["verifier", "audit"]


class Finding(StrEnum):
    """What a series shows about the hazard within answers; words.py says it in full."""

    TOO_FEW = "too_few"
    NO_CHANGE_SEEN = "no_change_seen"
    HETEROGENEOUS = "heterogeneous"
    FALLING = "falling"
    RISING = "rising"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Series:
    """One way of looking at an arm's answers: as drafted or as sent, as the verifier or as an audit judged them."""

    text: Text
    judged_by: JudgedBy
    answers: int
    conversations: int
    claims: int
    wrong: int
    all_right: Share | None
    hazard: tuple[Share, ...]
    right_by_length: tuple[Share, ...]
    survival: tuple[SurvivalPoint, ...]
    constant_hazard: ConstantHazardTest
    frailty: FrailtyComparison
    chain: TwoState | None
    prediction: OutOfSample | None
    finding: Finding

    @property
    def p_constant(self) -> float:
        """Of the constant-hazard test that holds here: by conversation where any has several answers."""
        several = self.conversations < self.answers
        return self.constant_hazard.p_clustered if several else self.constant_hazard.p_independent


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of the experiment, or one mode outside of one."""

    name: str
    corrects: bool
    series: tuple[Series, ...]
    mending: Mending | None
    before_and_after: BeforeAndAfter | None
    corrected: Corrected | None
    """the error shares corrected for the verifier's own errors; None without enough audit labels"""

    def find(self, text: Text, judged_by: JudgedBy = "verifier") -> Series | None:
        """The series, where there is one."""
        return next((one for one in self.series if (one.text, one.judged_by) == (text, judged_by)), None)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was computed."""

    arms: tuple[Arm, ...]
    between_arms: tuple[BetweenArms, ...]
    left_out: LeftOut
    audited: bool
    labels_unmatched: int
    draws: int
    seed: int

    def to_json(self) -> str:
        """As JSON; what does not exist is null."""
        return TypeAdapter(Report).dump_json(self, indent=2).decode()


def analyse(
    answers: Answers,
    labels: Sequence[AuditLabel] = (),
    *,
    short_max: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    on_step: Callable[[str], None] = lambda _: None,
) -> Report:
    """
    The report on *answers*.

    *short_max* is the border between short and long answers, in claims, the same for all series; without it the longest
    quarter of all answers is long. *draws*
    resamples are made from *seed*. *on_step* is told what is being computed.
    """
    rng = np.random.default_rng(seed)
    if short_max is None and len(answers):
        short_max = border(answers.claims)
    present = [name for number, name in enumerate(answers.arms) if (answers.arm == number).any()]
    unmatched = lay_over(answers, labels).unmatched
    arms = [
        _arm(name, answers.of_arm(name), labels, short_max=short_max, draws=draws, rng=rng, on_step=on_step)
        for name in present
    ]
    recorded = [arm.name for arm in arms if not arm.corrects]
    on_step("arms compared")
    pairs = [
        between_arms(name, recorded[0], answers, rng, draws=draws)
        for name in present
        if recorded and name != recorded[0]
    ]
    return Report(
        arms=tuple(arms),
        between_arms=tuple(pair for pair in pairs if pair is not None),
        left_out=answers.left_out,
        audited=bool(labels),
        labels_unmatched=unmatched,
        draws=draws,
        seed=seed,
    )


def _arm(
    name: str,
    answers: Answers,
    labels: Sequence[AuditLabel],
    *,
    short_max: int | None,
    draws: int,
    rng: np.random.Generator,
    on_step: Callable[[str], None],
) -> Arm:
    corrects = answers.corrects[answers.arms.index(name)]
    audit = lay_over(answers, labels)
    views: list[tuple[Text, JudgedBy, Marks]] = [("draft", "verifier", answers.draft)]
    if corrects:
        views.append(("sent", "verifier", answers.sent))
    views += _audited_views(answers, audit, corrects=corrects)
    series = []
    for text, judged_by, marks in views:
        on_step(f"{name or 'all'}: {text}, judged by {judged_by}")
        series.append(_series(text, judged_by, marks, answers, short_max=short_max, draws=draws, rng=rng))
    return Arm(
        name=name,
        corrects=corrects,
        series=tuple(series),
        mending=mending(answers, rng, draws=draws) if corrects else None,
        before_and_after=before_and_after(answers.draft, answers.sent, answers, rng, draws=draws) if corrects else None,
        corrected=correct(answers, audit, rng, corrects=corrects, draws=draws) if labels else None,
    )


def _audited_views(answers: Answers, audit: Audit, *, corrects: bool) -> list[tuple[Text, JudgedBy, Marks]]:
    draft, sent = audit.blind(answers)
    views: list[tuple[Text, JudgedBy, Marks]] = []
    if ((draft == RIGHT) | (draft == WRONG)).any():
        views.append(("draft", "audit", draft))
    if corrects and ((sent == RIGHT) | (sent == WRONG)).any():
        views.append(("sent", "audit", sent))
    return views


def _series(
    text: Text,
    judged_by: JudgedBy,
    marks: Marks,
    answers: Answers,
    *,
    short_max: int | None,
    draws: int,
    rng: np.random.Generator,
) -> Series:
    told = ((marks == RIGHT) | (marks == WRONG)).any(axis=1)
    answers, marks = answers.where(told), marks[told]
    marks = marks[:, : answers.draft.shape[1]]
    conversations = answers.conversations
    at_risk, failed = risk_sets(first_failures(marks), answers.cluster, group_count=conversations, width=marks.shape[1])
    test = constant_hazard_test(at_risk, failed)
    frailty = compare(marks, answers.cluster, cluster_count=conversations)
    good, known = all_right(marks)
    outcomes = cluster_sums(np.stack([good, known], axis=1), answers.cluster, conversations)
    overall = shares(outcomes[:, :1], outcomes[:, 1:], np.array([answers.claims[known].mean()])) if known.any() else ()
    return Series(
        text=text,
        judged_by=judged_by,
        answers=len(answers),
        conversations=conversations,
        claims=int(((marks == RIGHT) | (marks == WRONG)).sum()),
        wrong=int((marks == WRONG).sum()),
        all_right=overall[0] if overall else None,
        hazard=hazard_by_position(marks, answers),
        right_by_length=right_by_length(marks, answers),
        survival=kaplan_meier(marks, answers, rng, draws=draws),
        constant_hazard=test,
        frailty=frailty,
        chain=chain(marks, answers, rng, draws=draws),
        prediction=out_of_sample(marks, answers, rng, draws=draws, short_max=short_max),
        finding=finding(test, frailty.within, frailty.p_heterogeneity, clustered=conversations < len(answers)),
    )


def finding(test: ConstantHazardTest, within: WithinAnswers, p_heterogeneity: float, *, clustered: bool) -> Finding:
    """
    What the tests allow to be said.

    That the hazard changes within answers is said only where wrong claims stand early or late *within* their answers;
    a rejected constant-hazard test alone may as well be a mixture of easy and hard answers.
    """
    if test.failures < FAILURES_MIN:
        return Finding.TOO_FEW
    if within.p_value < ALPHA:
        return Finding.FALLING if within.shift < 0 else Finding.RISING
    if p_heterogeneity < ALPHA:
        return Finding.HETEROGENEOUS
    rejected = (test.p_clustered if clustered else test.p_independent) < ALPHA
    return Finding.UNCLEAR if rejected else Finding.NO_CHANGE_SEEN
