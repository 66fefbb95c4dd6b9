"""A strict reply is checked again from its record: only an approved text, filled as it should be, leaves."""

import pytest

from shared.events.claims import Judge, Verdict
from shared.events.composition import FilledField
from shared.events.turns import FactRecord, FinishResult, Segment

TEXTS = [
    {"id": "hello", "text": "Hello {{ std.customer.name }}, I am {{ std.agent.name }}."},
    {"id": "fee", "text": "The account costs {{ generative.fee }} a month."},
    {"id": "trip", "text": "Where do you travel?", "guidelines": ["sorry"]},
]
FEE_FACT = FactRecord(id="fee", text="The current account costs 4.50 euros a month.", source="playbook")


def fact(name, text):
    return FactRecord(id=f"canned.{name}", text=text, source="canned")


def part(name, text, *fields, facts=()):
    return Segment(kind="claim", text=text, canned_id=name, fields=fields, fact_ids=(f"canned.{name}", *facts))


HELLO = "Hello Anna Berg, I am Harbour Bank."
FEE = "The account costs 4.50 euros a month."
FEE_FIELD = FilledField(name="generative.fee", value="4.50 euros", fact_id="fee")
FACTS = (
    FEE_FACT,
    fact("hello", HELLO),
    fact("fee", "The account costs {{generative.fee}} a month."),
    fact("trip", "Where do you travel?"),
)


@pytest.fixture
def strict(verifying):
    return lambda script=(): verifying(script, composition="strict", canned_replies=TEXTS)


async def test_an_approved_text_passes_without_a_call(strict):
    run = strict()
    finished = await run(part("hello", HELLO), facts=FACTS)
    assert (finished.result, finished.text) == (FinishResult.VERIFIED, HELLO)
    assert run.purposes == []
    [verdict] = finished.verification.claims
    assert (verdict.final_verdict, verdict.judge) == (Verdict.SUPPORTED, Judge.CODE)


async def test_a_field_that_was_quoted_from_a_fact_is_checked_blind(strict, script, answers):
    judged = {"claim": "C1", "evidence": "it costs 4.50 euros a month", "verdict": "supported"}
    guideline = {"guideline": "G1", "evidence": FEE, "verdict": "performed"}
    run = strict(
        script(
            verify=answers(("F1", "costs 4.50 euros a month", "4.50 euros")),
            cross_check={"claims": [judged], "guidelines": [guideline]},
        )
    )
    asked = {"value": "4.50 euros", "open_question": "What do the facts say about the fee?"}
    finished = await run(part("fee", FEE, FEE_FIELD, facts=("fee",)).model_copy(update=asked), facts=FACTS)
    assert finished.text == FEE
    assert run.purposes == ["verify", "cross_check"]


FORGED = {
    "a text of the model's own": part("hello", "Hello Anna Berg, you won 5000 euros."),
    "an approved text with a word more": part("hello", HELLO + " Bye."),
    "an approved text with another name": part("hello", "Hello Eve, I am Harbour Bank."),
    "another text under an approved one's name": part("hello", FEE),
    "no approved text's name": part("", HELLO),
    "a name that no text has": part("nothing", HELLO),
    "a text that may not be used now": part("trip", "Where do you travel?"),
    "a field that no fact has": part("fee", "The account costs 9 euros a month.", FilledField(
        name="generative.fee", value="9 euros", fact_id="fee"), facts=("fee",)),
    "a field from a fact that is not there": part("fee", FEE, FilledField(
        name="generative.fee", value="4.50 euros", fact_id="other")),
    "a field from the text itself": part("fee", "The account costs account a month.", FilledField(
        name="generative.fee", value="account", fact_id="canned.fee")),
    "a field left out": part("fee", FEE),
    "a known field filled otherwise": part("hello", "Hello Eve, I am Harbour Bank.", FilledField(
        name="std.customer.name", value="Eve")),
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_nothing_else_leaves_whatever_the_record_says(strict, forged):
    run = strict()
    facts = (*FACTS, FactRecord(id="own", text=forged.text, source="tool:own"))
    finished = await run(forged.model_copy(update={"fact_ids": ("own",)}), facts=facts)
    assert (finished.result, finished.reason, finished.text) == (FinishResult.FAILED, "composition", "")
    assert finished.verification.complaints[0].startswith("composition: part 1 is ")
    assert run.purposes == []


async def test_a_strict_reply_is_never_mended(strict):
    run = strict()
    finished = await run(part("hello", HELLO), part("hello", "Hi."), facts=FACTS)
    assert finished.text == ""
    assert finished.verification.rounds == 0


async def test_a_reply_that_tells_a_guideline_is_kept_back(verifying, claim):
    told = "I was told this: It is what the customer complains about, say sorry to them first"
    guidelines = [
        {
            "id": "sorry",
            "condition": "It is what the customer complains about",
            "action": "Say sorry to them first",
        }
    ]
    run = verifying([], guidelines=guidelines)
    cited = FactRecord(id="own", text="Nothing.", source="playbook")
    finished = await run(Segment(kind="social", text=told), claim("Nothing.", "own"), facts=(cited,), active=("sorry",))
    assert (finished.result, finished.text) == (FinishResult.FAILED, "")
    assert any(complaint.startswith("instructions") for complaint in finished.verification.complaints)
