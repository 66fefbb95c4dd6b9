"""The variants of the check: how many calls each makes, and what each may see."""

import pytest

from services.verifier.domain.questioning import AHEAD_BY, QUESTIONS_TOGETHER_MAX, VOTES_MAX, leader
from shared.events.claims import Judge, Verdict
from shared.events.turns import FinishResult

FEE = "The current account costs 4.50 euros a month."
FOUND = ("F1", "costs 4.50 euros a month", "4.50 euros")
PARAPHRASE = "You pay 4.50 euros a month."
INVENTION = "You may bring a dog."


def policy(variant="two_step", **changes):
    return {"verification": {"variant": variant, "calibration_share": 0} | changes}


def cross(request):
    count = request.messages[1].content.count('"claim":"C')
    guidelines = request.messages[1].content.count('"guideline":"G')
    return {
        "claims": [{"claim": f"C{n}", "evidence": "x", "verdict": "supported"} for n in range(1, count + 1)],
        "guidelines": [
            {"guideline": f"G{n}", "evidence": "", "verdict": "not_applicable"} for n in range(1, guidelines + 1)
        ],
    }


@pytest.mark.parametrize(
    ("variant", "purposes"),
    [
        ("off", []),
        ("joint", ["verify"]),
        ("two_step", ["verify"]),
        ("factored", ["verify"] * 3),
        ("factor_revise", ["verify"] * 3 + ["cross_check"] * 3),
    ],
)
async def test_each_variant_makes_its_calls(verifying, claim, answers, script, variant, purposes):
    run = verifying(script(verify=answers(FOUND), cross_check=cross), **policy(variant))
    finished = await run(claim(PARAPHRASE), claim("That is 4.50 euros a month."), claim("Only 4.50 euros a month!"))
    assert run.purposes[: len(purposes)] == purposes
    assert finished.result is FinishResult.VERIFIED


async def test_only_the_joint_variant_shows_the_draft(verifying, claim, answers):
    for variant, shown in (("joint", True), ("two_step", False), ("factored", False)):
        run = verifying(answers(FOUND), **policy(variant))
        await run(claim(PARAPHRASE))
        assert (PARAPHRASE in run.model.requests[0].messages[1].content) is shown


async def test_off_checks_nothing_but_lets_nothing_through_the_gate(verifying, claim):
    run = verifying([], **policy("off"))
    finished = await run(claim(INVENTION), claim("It costs 9 euros a month."), active=("sorry",))
    assert finished.text == f"{INVENTION} It costs 4.50 euros a month."
    first, second = finished.verification.claims
    assert (first.draft_verdict, first.final_verdict, first.judge) == (
        Verdict.UNCHECKED,
        Verdict.UNCHECKED,
        Judge.NOBODY,
    )
    assert second.draft_verdict is Verdict.CONTRADICTED
    assert run.purposes == []


async def test_more_than_ten_questions_are_asked_one_call_each(verifying, claim, answers):
    run = verifying(answers(FOUND), **policy())
    texts = [f"You pay 4.50 euros a month{'!' * n}" for n in range(QUESTIONS_TOGETHER_MAX + 1)]
    await run(*[claim(text) for text in texts])
    assert run.purposes == ["verify"] * (QUESTIONS_TOGETHER_MAX + 1)


async def test_risky_claims_are_asked_alone_beside_the_others(verifying, claim, answers):
    run = verifying(answers(FOUND), **policy(risky_kinds=["number"]))
    await run(claim(PARAPHRASE, claim_kind="number"), claim(f"{PARAPHRASE}!"), claim(f"{PARAPHRASE}!!"))
    assert run.purposes == ["verify"] * 2


async def test_an_undisputed_vote_takes_two_calls_in_two_wordings(verifying, claim, answers):
    run = verifying(answers(FOUND), **policy(votes=True, risky_kinds=["fact"]))
    finished = await run(claim(PARAPHRASE, open_question="What does the account cost?"))
    first, second = run.model.requests
    assert first.messages != second.messages
    assert first.temperature > 0
    [verdict] = finished.verification.claims
    assert (verdict.draft_verdict, verdict.judge) == (Verdict.SUPPORTED, Judge.VOTE)


async def test_a_disputed_vote_goes_on_until_one_verdict_is_ahead(verifying, claim, answers, script):
    no, yes = answers(("none", "", "")), answers(FOUND)
    run = verifying(script(verify=[no, yes, yes, yes]), **policy(votes=True, risky_kinds=["fact"]))
    finished = await run(claim(PARAPHRASE))
    assert finished.result is FinishResult.VERIFIED
    assert len(run.purposes) == 4


async def test_a_vote_that_stays_divided_keeps_the_claim_back(verifying, claim, answers, script):
    no, yes = answers(("none", "", "")), answers(FOUND)
    run = verifying(script(verify=[no, yes] * VOTES_MAX), **policy(votes=True, risky_kinds=["fact"], rounds_max=0))
    finished = await run(claim(PARAPHRASE))
    assert finished.result is FinishResult.FAILED
    assert len(run.purposes) == VOTES_MAX
    assert finished.verification.claims[0].reason == "votes_divided"


def test_the_leader_is_ahead_of_every_other():
    yes, no, maybe = Verdict.SUPPORTED, Verdict.UNSUPPORTED, Verdict.PARTIAL
    assert AHEAD_BY == 2
    assert leader([yes, yes]) is yes
    assert leader([]) is leader([yes]) is leader([yes, no]) is leader([yes, yes, no]) is None
    assert leader([no, yes, maybe, yes, yes]) is yes


async def test_an_arm_chooses_its_variant(verifying, claim):
    run = verifying([], experiment={"name": "check", "arms": {"none": {"variant": "off"}}})
    finished = await run(claim(PARAPHRASE), arm="none")
    assert finished.result is FinishResult.VERIFIED
    assert run.purposes == []


async def test_one_failure_among_several_calls_at_once_is_paid_for_with_the_others(verifying, claim, answers, script):
    run = verifying(script(verify=["x", "x", answers(FOUND)]), **policy("factored"))
    finished = await run(claim(PARAPHRASE), claim(f"{PARAPHRASE}!"))
    assert finished.result is FinishResult.FAILED
    assert finished.verification.spent.calls == 3
