"""Whether a reply did what its guidelines ask: who judged it, on which evidence, and what follows."""

import pytest

from shared.events.claims import Judge
from shared.events.turns import FinishResult, GuidelineVerdict

FEE = "The current account costs 4.50 euros a month."
PARAPHRASE = "You pay 4.50 euros monthly."
FOUND = ("F1", "costs 4.50 euros a month", "4.50 euros")
NOTHING = ("none", "", "")


def cross(evidence, verdict, *claims):
    return {
        "claims": [{"claim": f"C{n}", "evidence": "x", "verdict": word} for n, word in enumerate(claims, 1)],
        "guidelines": [{"guideline": "G1", "evidence": evidence, "verdict": verdict}],
    }


async def test_without_a_call_it_is_the_drafts_own_word_and_the_record_says_so(verifying, claim):
    run = verifying([])
    finished = await run(claim(FEE, guideline_ids=("fee",)))
    [judged] = finished.verification.adherence
    assert (judged.verdict, judged.judge, judged.evidence) == (GuidelineVerdict.PERFORMED, Judge.DRAFT, FEE)


async def test_code_takes_the_words_that_a_guideline_quotes_for_performed(verifying, claim, social):
    guidelines = [{"id": "fee", "condition": "Always", "action": 'End with "Anything else today?"'}]
    run = verifying([], guidelines=guidelines)
    kept, missing = await run(claim(FEE), social("Anything  else today?")), await run(claim(FEE), turn_id="turn-2")
    assert [(a.verdict, a.judge) for a in kept.verification.adherence] == [(GuidelineVerdict.PERFORMED, Judge.CODE)]
    assert [(a.verdict, a.judge) for a in missing.verification.adherence] == [(GuidelineVerdict.UNJUDGED, Judge.NOBODY)]


async def test_the_call_that_answers_blind_judges_every_guideline_too(verifying, claim, social, answers):
    run = verifying(answers(FOUND, evidence="Sorry for the trouble.", verdict="performed"))
    finished = await run(social("Sorry for the trouble."), claim(PARAPHRASE), active=("fee", "sorry"))
    assert run.purposes == ["verify"]
    assert [(a.verdict, a.judge) for a in finished.verification.adherence] == [
        (GuidelineVerdict.PERFORMED, Judge.MODEL)
    ] * 2


async def test_what_judges_the_guidelines_sees_no_claim_that_it_answers_for(verifying, claim, social, answers):
    run = verifying(answers(FOUND))
    question = "What does the account cost?"
    await run(social("Sorry for the trouble."), claim(PARAPHRASE, open_question=question))
    [request] = run.model.requests
    shown = request.messages[1].content
    assert f"Sorry for the trouble. [claim 1: {question}]" in shown
    assert "monthly" not in shown


async def test_a_masked_claim_is_evidence_only_while_it_holds(verifying, claim, answers):
    for found, expected in ((FOUND, GuidelineVerdict.PERFORMED), (NOTHING, GuidelineVerdict.UNJUDGED)):
        run = verifying(answers(found, evidence="[claim 2]", verdict="performed"))
        finished = await run(claim(FEE), claim(PARAPHRASE))
        assert run.purposes == ["verify"]
        [judged] = finished.verification.adherence
        assert (judged.verdict, judged.evidence) == (expected, PARAPHRASE if found is FOUND else "")


async def test_made_up_evidence_is_none(verifying, claim, answers):
    run = verifying(answers(FOUND, evidence="Champagne!", verdict="performed"))
    [judged] = (await run(claim(PARAPHRASE))).verification.adherence
    assert judged.verdict is GuidelineVerdict.UNJUDGED


@pytest.mark.parametrize(
    ("whole", "evidence", "result"),
    [("performed", "euros", FinishResult.VERIFIED), ("not_performed", "", FinishResult.FAILED)],
)
async def test_no_reply_is_kept_back_on_the_word_of_one_who_saw_it_masked(
    verifying, claim, answers, script, whole, evidence, result
):
    blind = answers(FOUND, verdict="not_performed")
    run = verifying(script(verify=blind, cross_check=cross(evidence, whole)))
    finished = await run(claim(PARAPHRASE), active=("sorry",))
    assert run.purposes == ["verify", "cross_check"]
    assert finished.result is result


async def test_a_calibration_audits_the_drafts_word(verifying, claim, answers, script):
    run = verifying(
        script(verify=answers(FOUND, verdict="not_performed"), cross_check=cross("", "not_performed")),
        verification={"calibration_share": 1.0},
    )
    finished = await run(claim(FEE, guideline_ids=("sorry",)), active=("sorry",))
    assert (finished.result, finished.reason) == (FinishResult.FAILED, "guideline_not_performed")


async def test_a_guideline_of_medium_criticality_keeps_nothing_back(verifying, claim, answers):
    run = verifying(answers(FOUND, verdict="not_performed"))
    finished = await run(claim(PARAPHRASE))
    assert finished.result is FinishResult.VERIFIED
    assert finished.verification.adherence[0].verdict is GuidelineVerdict.NOT_PERFORMED
