"""From a turn's end to the result of a labelled draft: what was caught, and what left in its place."""

from datetime import UTC, datetime

import pytest

from services.operator.evaluation.kept import append_result, read_results
from services.operator.verification.drafts import Domain
from services.operator.verification.result import Result, by_variant, judged
from services.operator.verification.runner import Plan, drafted, plays
from services.operator.verification.scripted import Rates, alarmed, missed, scripted_rules
from shared.errors import Fatal
from shared.events.envelope import Address
from shared.events.turns import TurnFinished
from shared.llm.rehearsal.rules import Situation
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.model import Variant

RIGHT, WRONG = "The fee is 4 euros.", "The tax is 5 euros."
DOMAIN = Domain.model_validate(
    {
        "domain": "shop",
        "name": "Shop",
        "facts": {
            "fee": {"text": "The fee is 4 euros.", "question": "What is the fee?"},
            "tax": {"text": "The tax is 6 euros.", "question": "What is the tax?"},
        },
        "guidelines": [{"id": "tell", "condition": "They ask", "action": "State it", "criticality": "high"}],
        "drafts": [
            {
                "asks": "How much?",
                "follows": ["tell"],
                "says": [
                    {"social": "Thanks for asking!"},
                    {"supported": RIGHT, "by": "fee", "does": "tell"},
                    {"contradicted_number": WRONG, "by": "tax", "wrong": "5 euros"},
                    {"invented_policy": "Dogs pay half.", "by": "fee", "wrong": "Dogs", "asked": "What do dogs pay?"},
                ],
            }
        ],
    }
)
DRAFT = DOMAIN.drafts[0]
AT = datetime(2026, 1, 2, tzinfo=UTC)


def finished(text, *claims, result="verified", reason=""):
    [play] = plays([DOMAIN], Plan("m"), {})
    body = drafted(play, Address("t", "c"), "v", AT, 60)
    verdicts = [
        {"position": n, "kind": "fact", "text": said, "draft_verdict": verdict, "final_verdict": "supported"}
        | {"correction": correction, "judge": "code", "reason": "x"}
        for n, (said, verdict, correction) in enumerate(claims, 1)
    ]
    verification = {"passed": result == "verified", "verified_by": "code", "claims": verdicts, "spent": {"calls": 2}}
    return TurnFinished.model_validate(
        {"turn": body.opened.turn, "stage": "verifier", "result": result, "text": text, "reason": reason}
        | {"verification": verification}
    )


@pytest.mark.parametrize(
    ("text", "correction", "sent"),
    [
        (f"Thanks for asking! {RIGHT} The tax is 6 euros.", "value_restored", "right"),
        (f"Thanks for asking! {RIGHT} The tax is 7 euros.", "edited", "wrong"),
        (f"Thanks for asking! {RIGHT} The tax is still 5 euros.", "edited", "wrong"),
        (f"Thanks for asking! {RIGHT}", "dropped", "dropped"),
        (f"Thanks for asking! {RIGHT} {WRONG}", "none", "wrong"),
    ],
)
def test_what_leaves_in_the_place_of_a_wrong_claim(text, correction, sent):
    fields = judged(DOMAIN, DRAFT, finished(text, (RIGHT, "supported", "none"), (WRONG, "contradicted", correction)))
    right, wrong = fields["claims"]
    assert (right.sent, wrong.sent, wrong.flagged) == ("right", sent, True)
    assert (fields["at_stake"], fields["omitted"], fields["calls"]) == (True, False, 2)


def test_a_reply_that_was_kept_back_withholds_right_and_wrong_alike():
    fields = judged(
        DOMAIN, DRAFT, finished("", (RIGHT, "supported", "none"), (WRONG, "unsupported", "none"), result="failed")
    )
    assert [claim.sent for claim in fields["claims"]] == ["withheld", "withheld"]


def test_without_a_usable_answer_there_is_no_verdict():
    assert judged(DOMAIN, DRAFT, finished("", result="failed", reason="model_timeout")) == {"failure": "model_timeout"}


def test_results_are_kept_and_what_is_kept_is_not_verified_again(tmp_path):
    plan = Plan("m", (Variant.OFF, Variant.TWO_STEP), repeats=2)
    first, second, *rest = plays([DOMAIN], plan, {})
    file = tmp_path / "results.jsonl"
    for play, failure in ((first, ""), (second, "no_answer")):
        given = {"fingerprint": play.fingerprint, "repeat": play.repeat, "variant": play.variant, "domain": "shop"}
        append_result(file, Result.model_validate({**given, "draft": 1, "failure": failure}))
    file.write_text(file.read_text() + '{"cut')
    kept = read_results(file, Result)
    assert plays([DOMAIN], plan, kept) == [second, *rest]
    assert list(by_variant(kept.values())) == [Variant.OFF]
    file.write_text("{}\n" + file.read_text())
    with pytest.raises(Fatal, match=":1 is no result"):
        read_results(file, Result)


def test_the_drafted_turn_is_the_labelled_one():
    [play] = plays([DOMAIN], Plan("m"), {})
    body = drafted(play, Address("t", "c"), "v1", AT, 60)
    assert [segment.open_question for segment in body.draft.segments] == [
        "",
        "What is the fee?",
        "What is the tax?",
        "What do dogs pay?",
    ]
    assert body.matching.active == ("tell",)
    assert {fact.id for fact in body.draft.facts} == {"fee", "tax"}


def asked(rules, schema, **sections):
    return rules[schema](Situation(sections, {}, None, RehearsalSettings()))


def test_a_scripted_verifier_that_is_never_wrong_answers_as_labelled():
    rules = scripted_rules([DOMAIN], Rates())
    facts = [{"id": f"F{n}", "text": fact.text} for n, fact in enumerate(DOMAIN.facts.values(), 1)]
    questions = [{"question": "Q1", "text": "What is the tax?"}, {"question": "Q2", "text": "What do dogs pay?"}]
    said = asked(rules, "blind_answers_v2", facts=facts, questions=questions)
    assert [answer["fact"] for answer in said["answers"]] == ["F2", "none"]
    claims = [{"claim": f"C{n}", "text": text, "quote": ""} for n, text in enumerate((RIGHT, WRONG), 1)]
    said = asked(rules, "cross_check_v2", claims=claims)
    assert [claim["verdict"] for claim in said["claims"]] == ["supported", "contradicted"]


def test_a_scripted_verifier_is_wrong_about_the_same_claims_at_the_rates_set():
    saids = [DRAFT.says[2].model_copy(update={"text": f"The tax is 5 euros ({n})"}) for n in range(2_000)]
    rates = Rates(miss=0.3, false_alarm=0.1, seed=4)
    assert sum(missed(said, rates) for said in saids) / 2_000 == pytest.approx(0.3, abs=0.04)
    assert sum(alarmed(said, rates) for said in saids) / 2_000 == pytest.approx(0.1, abs=0.03)
    assert [missed(said, rates) for said in saids] == [missed(said, rates) for said in saids]
