"""Records become answers: what is missing is unknown, what repeats counts once, arms are not mixed."""

import numpy as np
import pytest

from services.operator.hazard.answers import ABSENT, POSITIONS_MAX, RIGHT, UNKNOWN, WRONG, assemble
from services.operator.hazard.firstfailure import all_right, first_failures, risk_sets
from services.operator.hazard.records import RecordedClaim
from shared.events.claims import ClaimKind, Correction, Judge, ReasoningMode, Verdict


def claim(position, *, claims=3, turn="t1", conversation="c1", tenant="acme", event="", **changes):
    return RecordedClaim(
        **{
            "id": event or f"{turn}-{position}",
            "tenant": tenant,
            "conversation": conversation,
            "turn_id": turn,
            "epoch": 1,
            "agent": "bank",
            "position": position,
            "claims": claims,
            "kind": ClaimKind.FACT,
            "draft_verdict": Verdict.SUPPORTED,
            "final_verdict": Verdict.SUPPORTED,
            "correction": Correction.NONE,
            "judge": Judge.MODEL,
            "mode": ReasoningMode.ARQ,
            "arm": "",
            "corrects": True,
            "playbook_version": "v",
            "model": "m",
        }
        | changes,
    )


WRONG_DRAFT = {"draft_verdict": Verdict.CONTRADICTED}


def test_no_records_are_no_answers():
    answers = assemble([])

    assert len(answers) == 0
    assert answers.conversations == 0


def test_claims_stand_at_their_positions_in_any_order():
    answers = assemble([claim(3), claim(1, **WRONG_DRAFT), claim(2)])

    assert answers.draft.tolist() == [[WRONG, RIGHT, RIGHT]]
    assert answers.sent.tolist() == [[RIGHT, RIGHT, RIGHT]]


def test_the_order_of_reading_does_not_matter():
    records = [claim(1, turn=turn, claims=1, conversation=name) for turn, name in zip("abcd", "xzxy", strict=True)]

    one, other = assemble(records), assemble(reversed(records))

    assert (one.turns, one.cluster.tolist()) == (other.turns, other.cluster.tolist())


def test_a_missing_position_is_unknown_and_counted():
    answers = assemble([claim(1), claim(3)])

    assert answers.draft.tolist() == [[RIGHT, UNKNOWN, RIGHT]]
    assert answers.left_out.unjudged == 1


@pytest.mark.parametrize("verdict", [Verdict.UNCHECKED, Verdict.OTHER])
def test_what_nobody_judged_is_never_right(verdict):
    assert assemble([claim(1, claims=1, draft_verdict=verdict)]).draft.tolist() == [[UNKNOWN]]


@pytest.mark.parametrize("verdict", [Verdict.CONTRADICTED, Verdict.PARTIAL, Verdict.UNSUPPORTED])
def test_whatever_is_not_wholly_supported_is_wrong(verdict):
    assert assemble([claim(1, claims=1, draft_verdict=verdict)]).draft.tolist() == [[WRONG]]


def test_a_dropped_claim_does_no_harm_as_sent():
    dropped = claim(1, claims=1, final_verdict=Verdict.UNSUPPORTED, correction=Correction.DROPPED, **WRONG_DRAFT)

    assert assemble([dropped]).sent.tolist() == [[RIGHT]]


def test_where_failures_are_only_recorded_the_draft_is_what_was_sent():
    recorded = claim(1, claims=1, corrects=False, **WRONG_DRAFT)

    assert assemble([recorded]).sent.tolist() == [[WRONG]]


def test_shorter_answers_end_before_longer_ones():
    answers = assemble([claim(1, claims=1), claim(1, turn="t2", claims=2), claim(2, turn="t2", claims=2)])

    assert answers.draft.tolist() == [[RIGHT, ABSENT], [RIGHT, RIGHT]]


def test_the_same_event_counts_once_and_another_about_the_same_claim_does_not_count():
    answers = assemble([claim(1, claims=1), claim(1, claims=1), claim(1, claims=1, event="other", **WRONG_DRAFT)])

    assert answers.draft.tolist() == [[RIGHT]]
    assert (answers.left_out.repeated, answers.left_out.conflicting) == (1, 1)


def test_equal_ids_of_two_tenants_are_two_events():
    answers = assemble([claim(1, claims=1, event="e"), claim(1, claims=1, event="e", tenant="other")])

    assert (len(answers), answers.conversations) == (2, 2)


def test_positions_beyond_the_end_and_overlong_answers_are_left_out_and_counted():
    answers = assemble([claim(1, claims=1), claim(2, claims=1), claim(1, turn="t2", claims=POSITIONS_MAX + 1)])

    assert len(answers) == 1
    assert (answers.left_out.beyond_end, answers.left_out.too_long) == (1, 1)


def test_an_arm_that_mixes_modes_is_split():
    answers = assemble(
        [
            claim(1, claims=1, arm="a"),
            claim(1, claims=1, turn="t2", arm="a", mode=ReasoningMode.COT),
            claim(1, claims=1, turn="t3", arm="b"),
        ]
    )

    assert set(answers.arms) == {"a arq, corrected", "a cot, corrected", "b"}


def test_answers_of_one_conversation_are_one_cluster():
    answers = assemble(
        [claim(1, turn=turn, claims=1, conversation=name) for turn, name in zip("abc", "xxy", strict=True)]
    )

    assert answers.cluster.tolist() == [0, 0, 1]
    assert answers.where(np.array([False, False, True])).cluster.tolist() == [0]


MARKS = np.array(
    [
        [RIGHT, WRONG, WRONG],
        [RIGHT, RIGHT, ABSENT],
        [RIGHT, UNKNOWN, WRONG],
        [UNKNOWN, RIGHT, RIGHT],
        [WRONG, ABSENT, ABSENT],
    ],
    dtype=np.int8,
)


def test_the_first_failure_is_censored_at_the_end_or_at_the_first_unknown():
    found = first_failures(MARKS)

    assert found.time.tolist() == [2, 2, 1, 0, 1]
    assert found.failed.tolist() == [True, False, False, False, True]


def test_risk_sets_count_who_is_still_without_an_error():
    at_risk, failed = risk_sets(first_failures(MARKS), np.zeros(5, dtype=np.int64), group_count=1, width=3)

    assert at_risk.tolist() == [[4, 2, 0]]
    assert failed.tolist() == [[1, 1, 0]]


def test_only_fully_judged_answers_are_all_right_or_not():
    """Keeping an unjudged answer because an error is known would make errors look more frequent than they are."""
    right, known = all_right(MARKS)

    assert known.tolist() == [True, True, False, False, True]
    assert right.tolist() == [False, True, False, False, False]
