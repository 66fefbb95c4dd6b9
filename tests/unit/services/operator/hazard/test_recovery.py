"""What becomes of errors: the chain from claim to claim, mending, and arms against each other."""

import numpy as np
import pytest

from services.operator.hazard.answers import RIGHT, UNKNOWN, WRONG
from services.operator.hazard.comparison import before_and_after, between_arms
from services.operator.hazard.recovery import chain, mending
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers

DRAWS = 200


def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def answers():
    return to_answers(simulate(PROCESSES["correcting"], 3_000, np.random.default_rng(2)))


def test_the_chain_counts_what_follows_what(answers):
    two = answers.where(np.arange(len(answers)) < 2)
    marks = np.array([[RIGHT, WRONG, WRONG, RIGHT], [RIGHT, UNKNOWN, WRONG, RIGHT]], dtype=np.int8)

    found = chain(marks, two, rng(), draws=DRAWS)

    assert (found.e.hits, found.e.trials) == (1, 1)
    assert (found.c.hits, found.c.trials) == (2, 3)
    assert found.limit == pytest.approx((2 / 3) / (2 / 3 + 1))


def test_independent_claims_have_a_chain_without_memory():
    constant = to_answers(simulate(PROCESSES["constant"], 6_000, np.random.default_rng(3)))

    found = chain(constant.draft, constant, rng(), draws=DRAWS)

    assert found.e.low <= 0.03 <= found.e.high
    assert found.c.low <= 0.97 <= found.c.high
    assert found.limit_interval[0] <= 0.97 <= found.limit_interval[1]


def test_without_errors_or_with_one_claim_each_there_is_no_chain(answers):
    single = answers.where(answers.claims == 1)
    good = np.where(answers.draft == WRONG, RIGHT, answers.draft).astype(np.int8)

    assert chain(good, answers, rng(), draws=DRAWS) is None
    assert chain(single.draft, single, rng(), draws=DRAWS) is None
    assert mending(single.where(~(single.draft == WRONG).any(axis=1)), rng(), draws=DRAWS) is None


def test_everything_flagged_is_mended_in_the_verifiers_eyes(answers):
    corrected = answers.of_arm("corrected")

    found = mending(corrected, rng(), draws=DRAWS)
    both = before_and_after(corrected.draft, corrected.sent, corrected, rng(), draws=DRAWS)

    assert found.mended.share == 1
    assert found.mended.low < 1
    assert sum(found.by_correction.values()) == found.mended.trials == (corrected.draft == WRONG).sum()
    assert (both.after, both.spoilt) == (1.0, 0)
    assert both.gained == round((1 - both.before) * both.answers)


def test_mending_while_the_answer_is_written_leaves_the_last_errors():
    found = to_answers(simulate(PROCESSES["recovering"], 3_000, np.random.default_rng(4))).of_arm("corrected")

    assert 0.5 < mending(found, rng(), draws=DRAWS).mended.share < 0.9


def test_arms_are_compared_with_the_baseline(answers):
    found = between_arms("corrected", "recorded only", answers, rng(), draws=DRAWS)

    assert found.interval[0] > 0
    assert found.interval[0] <= found.difference <= found.interval[1]
    assert found.p_drafts > 0.01
    assert between_arms("corrected", "recorded only", answers.of_arm("corrected"), rng(), draws=DRAWS) is None
