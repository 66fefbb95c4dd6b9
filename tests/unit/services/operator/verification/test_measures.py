"""Rates of the verifier from judged claims, and what the ship rule makes of them."""

import pytest

from services.operator.verification.drafts import Label
from services.operator.verification.measures import measured
from services.operator.verification.result import Result
from services.operator.verification.shipping import Decision, ruling, words
from services.operator.verification.tables import document, label_table, rate_table, rulings
from shared.playbook.model import Variant


def claim(label="supported", verdict="supported", sent="right", judge="model", **changes):
    wrong = label not in {"supported", "paraphrase"}
    given = {"label": label, "wrong": wrong, "verdict": verdict, "judge": judge, "sent": sent}
    return {**given, "reason": "cross_check", "correction": "none", **changes}


def result(*claims, number=0, **changes):
    given = {"fingerprint": f"f{number}", "repeat": 1, "variant": Variant.TWO_STEP, "domain": "bank", "draft": number}
    return Result.model_validate({**given, "claims": claims, "left": True, **changes})


def many(count, *claims, start=0, **changes):
    return [result(*claims, number=start + number, **changes) for number in range(count)]


CAUGHT = claim("wrong_entity", "contradicted", "dropped")
MISSED = claim("wrong_entity", "supported", "wrong")
RIGHT = claim()
ALARMED = claim("paraphrase", "unsupported", "dropped")


def test_every_rate_counts_what_it_says():
    found = [
        *many(6, CAUGHT, RIGHT, calls=2),
        *many(2, MISSED, RIGHT, start=6, calls=1),
        *many(1, claim("contradicted_number", "contradicted", "wrong", judge="code"), start=8),
        *many(1, ALARMED, start=9),
        *many(1, claim("paraphrase", "unsupported", "wrong"), start=10),
        *many(1, start=11, at_stake=True, omitted=True, left=False, reason="guideline_not_performed"),
        *many(2, start=12, at_stake=True),
    ]
    rates = measured(found)
    assert (rates.drafts, rates.claims) == (14, 19)
    assert (rates.errors.hits, rates.errors.trials) == (9, 19)
    assert (rates.catches.hits, rates.catches.trials) == (7, 9)
    assert (rates.model_catches.hits, rates.model_catches.trials) == (6, 8)
    assert (rates.alarms.hits, rates.alarms.trials) == (2, 10)
    assert (rates.repairs.hits, rates.repairs.trials) == (6, 7)
    assert (rates.dropped.hits, rates.withheld.hits) == (6, 0)
    assert (rates.damages.hits, rates.damages.trials) == (1, 2)
    assert (rates.losses.hits, rates.losses.trials) == (1, 10)
    assert (rates.residual.hits, rates.residual.trials) == (4, 19)
    assert (rates.omissions.hits, rates.omissions.trials) == (1, 1)
    assert (rates.omission_alarms.hits, rates.omission_alarms.trials) == (0, 2)
    assert rates.by_label[Label.WRONG_ENTITY].share == pytest.approx(0.75)
    assert (rates.calls, rates.calls_all_right) == (1.0, 0.0)


def test_where_nothing_was_at_risk_there_is_no_rate():
    rates = measured(many(3, RIGHT))
    assert (rates.catches, rates.repairs, rates.damages, rates.omissions) == (None,) * 4
    with pytest.raises(ValueError, match="no verified draft"):
        measured([])


def test_claims_of_one_draft_are_no_independent_evidence():
    together = measured(many(10, *[CAUGHT] * 10) + many(10, *[MISSED] * 10, start=10)).catches
    apart = measured(
        [one for n in range(100) for one in many(1, CAUGHT, start=n) + many(1, MISSED, start=n + 100)]
    ).catches
    assert together.high - together.low > 2 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("found", "decision", "because"),
    [
        (many(400, CAUGHT, RIGHT, RIGHT), Decision.SHIPS, ""),
        (many(200, MISSED, RIGHT) + many(200, CAUGHT, start=200), Decision.DOES_NOT, "r is below"),
        (many(300, CAUGHT, RIGHT) + many(100, ALARMED, start=300), Decision.DOES_NOT, "f is above"),
        (many(8, CAUGHT, RIGHT), Decision.UNDECIDED, "adds more errors"),
        (
            many(400, CAUGHT) + many(100, claim("paraphrase", "partial", "wrong"), RIGHT, start=400),
            Decision.DOES_NOT,
            "adds more errors",
        ),
    ],
    ids=["good", "blind", "nervous", "too few", "harmful"],
)
def test_the_ship_rule_decides_where_the_data_do(found, decision, because):
    ruled = ruling(measured(found), 0.05)
    assert ruled.decision is decision
    assert because in ruled.because
    assert words(ruled).startswith(decision.value)


def test_the_rule_is_that_of_the_formula():
    """E(1 - r·rho) + (1-E)·f·d, with r = 0.75, rho = 1, f = 0.5, d = 0.5."""
    spoilt = claim("paraphrase", "unsupported", "wrong")
    found = many(75, CAUGHT) + many(25, MISSED, start=75) + many(50, RIGHT, ALARMED, start=100)
    found += many(50, RIGHT, spoilt, start=150)
    ruled = ruling(measured(found), 0.1)
    assert ruled.residual == pytest.approx(0.1 * 0.25 + 0.9 * 0.25)
    assert ruled.net == pytest.approx(0.75 * 0.1 / 0.9 - 0.25)


def test_figures_are_shown_and_written():
    found = many(4, CAUGHT, RIGHT)
    rates = {Variant.TWO_STEP: measured(found)}
    assert rate_table(rates).row_count == 19
    assert label_table(rates).row_count == 2
    assert len(rulings(rates)) == 4
    written = document(rates, found)
    assert written["rates"]["two_step"]["catches"]["hits"] == 4
    assert len(written["results"]) == 4
