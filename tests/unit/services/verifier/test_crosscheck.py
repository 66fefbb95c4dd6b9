"""A claim against what the blind check answered."""

import pytest

from services.verifier.domain import crosscheck
from services.verifier.domain.blind import Grounded
from services.verifier.domain.blueprints import CrossCheck
from services.verifier.domain.claims import pieces_of
from services.verifier.domain.gate import Ground
from shared.events.claims import Judge, Verdict
from shared.events.turns import FactRecord, Segment

FACT = FactRecord(
    id="fee", text="The current account costs 4.50 euros a month and is kept in euros.", source="playbook"
)
GROUND = Ground({"fee": FACT}, frozenset(), "")


def piece(text):
    [made] = pieces_of([Segment(kind="claim", text=text, fact_ids=("fee",))], GROUND)
    return made


def answered(quote, answer="", status="answered"):
    return Grounded("What does it cost?", status, answer or quote, quote, FACT.text)


@pytest.mark.parametrize(
    ("text", "answer", "verdict", "reason"),
    [
        ("You pay 4.50 monthly.", answered("costs 4.50 euros a month", "€4.50"), "supported", "words_stand_in_quote"),
        ("You pay 4.50 euros and get a dog.", answered("costs 4.50 euros a month", "€4.50"), "unchecked", ""),
        ("You always get 4.50 euros.", answered("costs 4.50 euros a month", "€4.50"), "unchecked", ""),
        ("You pay 4.50 to 4.50 euros monthly.", answered("costs 4.50 euros a month", "€4.50"), "unchecked", ""),
        ("You pay 5 euros monthly.", answered("costs 4.50 euros a month", "€4.50"), "contradicted", "other_value"),
        ("It is kept in euros.", answered("is kept in euros"), "supported", "words_stand_in_quote"),
        ("It is not kept in euros.", answered("is kept in euros"), "unchecked", ""),
        ("It is safe.", answered("is kept in euros"), "unchecked", ""),
        ("It is safe.", Grounded("What?", "not_in_facts", "", "", ""), "unsupported", "not_in_facts"),
        ("You pay 4.50 euros.", answered("costs 4.50 euros", "4.50", "ambiguous"), "unchecked", ""),
        ("It never costs 4.50 euros.", answered("costs 4.50 euros a month", "4.50"), "unchecked", ""),
    ],
)
def test_code_decides_values_and_quoted_words_and_leaves_the_rest(text, answer, verdict, reason):
    judged = crosscheck.by_code(piece(text), answer)
    assert (judged.verdict.value, judged.reason) == (verdict, reason)


def test_a_wrong_value_brings_its_remedy():
    judged = crosscheck.by_code(piece("You pay 5 euros monthly."), answered("costs 4.50 euros a month", "4.50 euros"))
    assert judged.restored == "You pay 4.50 euros monthly."


def checked(*verdicts, guidelines=()):
    return CrossCheck.model_validate(
        {
            "claims": [
                {"claim": f"C{n}", "evidence": "costs", "verdict": verdict} for n, verdict in enumerate(verdicts, 1)
            ],
            "guidelines": [
                {"guideline": f"G{n}", "evidence": evidence, "verdict": verdict}
                for n, (evidence, verdict) in enumerate(guidelines, 1)
            ],
        }
    )


def test_the_models_verdict_counts_where_the_claims_subject_is_in_its_facts():
    pieces = [piece("The account is cheap."), piece("Your account is kept in Mars coins.")]
    judged = crosscheck.by_model(pieces, checked("supported", "contradicted"), [FACT])
    assert [(p.verdict, p.judge) for p in judged] == [
        (Verdict.SUPPORTED, Judge.MODEL),
        (Verdict.CONTRADICTED, Judge.MODEL),
    ]


def test_agreement_with_an_invention_does_not_count():
    [judged] = crosscheck.by_model([piece("You will get a holiday in the Bahamas.")], checked("supported"), [FACT])
    assert (judged.verdict, judged.reason) == (Verdict.UNSUPPORTED, "subject_not_in_facts")


def test_words_of_another_language_are_left_to_the_model():
    [judged] = crosscheck.by_model([piece("Das Konto kostet monatlich.")], checked("supported"), [FACT])
    assert judged.verdict is Verdict.SUPPORTED


def test_every_claim_and_guideline_is_to_be_judged_once():
    assert crosscheck.complaint(checked("supported"), 1, 0) is None
    assert crosscheck.complaint(checked("supported"), 2, 0).startswith("claims")
    assert crosscheck.complaint(checked("supported", "supported"), 1, 0).startswith("claims")
    assert crosscheck.complaint(checked("supported", guidelines=[("x", "partly")]), 1, 0).startswith("guidelines")


SWAPS = {
    "another product": ("An instant transfer takes 10 seconds.", "An international transfer takes 10 seconds."),
    "two products the other way round": (
        "Glass is covered in the plan Comfort and not in the plan Basic.",
        "Glass is covered in the plan Basic and not in the plan Comfort.",
    ),
    "the condition left out": (
        "A booking cancelled within 48 hours of purchase is refunded in full.",
        "A booking is refunded in full.",
    ),
    "an attribute left out": ("Unused goods can be returned by the label.", "Goods can be returned by the label."),
    "values the other way round": ("It takes 3 to 5 days.", "It takes 5 to 3 days."),
}


@pytest.mark.parametrize(("fact", "text"), SWAPS.values(), ids=SWAPS)
def test_code_takes_nothing_for_supported_that_says_more_less_or_in_another_order(fact, text):
    judged = crosscheck.by_code(piece(text), Grounded("What?", "answered", fact, fact, fact))
    assert judged.verdict is Verdict.UNCHECKED
