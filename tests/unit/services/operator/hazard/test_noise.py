"""Audits: how often the verifier errs, and what is wrong behind its back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.hazard.answers import UNKNOWN
from services.operator.hazard.noise import correct, lay_over, rogan_gladen
from services.operator.hazard.records import AuditLabel
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers, to_labels
from shared.errors import Invalid

PROCESS = PROCESSES["correcting"]
DRAWS = 300


@pytest.fixture(scope="module")
def audited():
    rng = np.random.default_rng(1)
    simulated = simulate(PROCESS, 4_000, rng)
    return simulated, to_answers(simulated), list(to_labels(simulated, rng, share=0.2))


@given(st.floats(0, 1), st.floats(0.55, 1), st.floats(0.55, 1))
def test_rogan_gladen_undoes_what_the_verifier_does(error, sensitivity, specificity):
    flagged = error * sensitivity + (1 - error) * (1 - specificity)

    assert rogan_gladen(np.array(flagged), np.array(sensitivity), np.array(specificity)) == pytest.approx(error)


def test_rogan_gladen_stays_a_share():
    assert rogan_gladen(np.array([0.0, 1.0]), np.array([0.8, 0.8]), np.array([0.9, 0.9])).tolist() == [0.0, 1.0]


def test_a_verifier_no_better_than_chance_is_refused():
    with pytest.raises(Invalid, match="flags say nothing"):
        rogan_gladen(np.array(0.1), np.array(0.5), np.array(0.5))


def test_the_truth_behind_the_flags_is_recovered(audited):
    _, answers, labels = audited
    corrected = answers.of_arm("corrected")

    found = correct(corrected, lay_over(corrected, labels), np.random.default_rng(0), corrects=True, draws=DRAWS)

    for rate, truth in (
        (found.error_share, PROCESS.error),
        (found.catch_rate, PROCESS.catch_rate),
        (found.false_alarm_rate, PROCESS.false_alarm_rate),
        (found.residual, PROCESS.residual),
    ):
        # One interval of twenty misses the truth, and four are looked at; twice as wide a one hardly ever does.
        assert abs(rate.value - truth) < rate.high - rate.low
    assert found.verification_helps


def test_picking_flagged_claims_for_the_audit_does_not_flatter_the_verifier(audited):
    """Counted as they come, labels picked for their flags would put the catch rate far above the truth."""
    simulated, answers, labels = audited
    recorded = answers.of_arm("recorded only")
    flagged = [
        AuditLabel(turn_id=recorded.turns[row], position=place + 1, draft_wrong=bool(wrong), sample="flagged")
        for row, place in np.argwhere(recorded.draft == 1)
        for wrong in [simulated.wrong[answers.turns.index(recorded.turns[row]), place]]
    ]

    found = correct(
        recorded, lay_over(recorded, flagged + labels), np.random.default_rng(0), corrects=False, draws=DRAWS
    )

    assert found.catch_rate.low <= PROCESS.catch_rate <= found.catch_rate.high
    assert found.residual is None
    assert found.verification_helps is None


def test_rates_from_elsewhere_correct_as_well(audited):
    _, answers, _ = audited
    labels = [
        AuditLabel(flagged=flagged, draft_wrong=wrong)
        for flagged, wrong, count in ((True, True, 400), (False, True, 100), (True, False, 60), (False, False, 1_940))
        for _ in range(count)
    ]

    found = correct(answers, lay_over(answers, labels), np.random.default_rng(0), corrects=True, draws=DRAWS)

    assert found.catch_rate.value == pytest.approx(0.8)
    assert found.error_share.low <= PROCESS.error <= found.error_share.high


def test_too_few_labels_correct_nothing(audited):
    _, answers, labels = audited

    for few in ([], labels[:5], [AuditLabel(flagged=True, draft_wrong=True)]):
        assert correct(answers, lay_over(answers, few), np.random.default_rng(0), corrects=True, draws=DRAWS) is None


def test_labels_of_claims_that_are_not_recorded_are_counted(audited):
    _, answers, _ = audited
    strangers = [
        AuditLabel(turn_id="nobody's", position=1, draft_wrong=True),
        AuditLabel(turn_id=answers.turns[0], position=400, draft_wrong=True),
    ]

    assert lay_over(answers, strangers).unmatched == 2


def test_only_answers_drawn_blindly_and_labelled_in_full_are_shown_as_audited(audited):
    """An answer whose claims were all picked for their flags would make audited answers look worse than they are."""
    _, answers, labels = audited
    audit = lay_over(answers, labels)
    drawn = {label.turn_id for label in labels if label.sample == "random"}

    draft, _ = audit.blind(answers)

    shown = {turn for turn, row in zip(answers.turns, draft, strict=True) if not (row == UNKNOWN).any()}
    assert shown == drawn
