"""What does not read as English goes to the model: code that knows English words lets none of it pass."""

import pytest

from services.verifier.domain.courtesies import is_courtesy
from services.verifier.domain.gate import Ground, asserts, judge
from services.verifier.domain.names import names_in
from shared.events.claims import Verdict
from shared.events.turns import FactRecord, FinishResult, Segment
from shared.text.english import reads_english

FEE = "The current account costs 4.50 euros a month."
REFUNDED = {
    "German": "Wir haben Ihnen die Gebühr bereits erstattet.",
    "German without a telling word": "Gebühr erstattet.",
    "German with words that English has too": "Wir haben Ihnen in der Tat alles so erstattet.",
    "Spanish": "Le hemos devuelto el importe.",
    "Spanish in ASCII": "Importe reembolsado.",
    "Arabic": "لقد أعدنا إليك الرسوم.",
    "Chinese": "我们已经退还了您的费用。",
    "a word of English among Chinese": "We 已退款 the fee.",
}
FACTS = {
    "German": "Das Girokonto kostet im Monat 4,50 Euro und wird in Euro geführt.",
    "Spanish": "La cuenta corriente cuesta 4,50 euros al mes y se abre en línea.",
    "Arabic": "الحساب الجاري يكلف 4.50 يورو في الشهر.",
    "Chinese": "活期账户每月收费4.50欧元。",
}
INVENTED = {
    "German": "Das Girokonto ist für Neukunden kostenlos.",
    "Spanish": "La cuenta corriente es gratis para clientes nuevos.",
    "Arabic": "الحساب الجاري مجاني للعملاء الجدد.",
    "Chinese": "新客户免收账户费。",
}


@pytest.mark.parametrize("text", REFUNDED.values(), ids=REFUNDED)
def test_no_other_language_reads_as_english(text):
    assert not reads_english(text)


@pytest.mark.parametrize(
    "text",
    [
        FEE,
        "Hello, Anna!",
        "Sorry about that.",
        "Of course!",
        "It is kept in euros.",
        "Could you tell me more?",
        "Our café in Málaga is open until 9 pm.",
    ],
)
def test_english_reads_as_english(text):
    assert reads_english(text)


@pytest.mark.parametrize("kind", ["social", "question"])
@pytest.mark.parametrize("text", REFUNDED.values(), ids=REFUNDED)
def test_a_deed_in_another_language_cannot_pass_as_a_greeting_or_a_question(kind, text):
    said = Segment(kind=kind, text=text.rstrip(".。") + ("?" if kind == "question" else "."))
    ground = Ground({}, frozenset(), "")
    assert asserts(said, ground)
    assert judge(said, ground).verdict in {Verdict.UNCHECKED, Verdict.UNSUPPORTED}


@pytest.mark.parametrize("text", ["Vielen Dank!", "¡Muchas gracias!", "您好", "شكرا"])
def test_a_known_courtesy_needs_no_model(text):
    assert is_courtesy(text)
    assert not asserts(Segment(kind="social", text=text), Ground({}, frozenset(), ""))


def test_capitals_name_nobody_where_the_language_is_not_known():
    assert names_in("Die Gebühr entfällt bei Eingang von Gehalt.") == []
    assert names_in("Please ask Mr Smith.") == ["mr", "smith"]


@pytest.mark.parametrize("language", FACTS)
def test_only_a_fact_word_for_word_is_settled_by_code_in_any_language(language):
    fact = FactRecord(id="f", text=FACTS[language], source="playbook")
    ground = Ground({"f": fact}, frozenset(), "")
    same = judge(Segment(kind="claim", text=fact.text, fact_ids=("f",)), ground)
    other = judge(Segment(kind="claim", text=INVENTED[language], fact_ids=("f",)), ground)
    assert (same.verdict, other.verdict) == (Verdict.SUPPORTED, Verdict.UNCHECKED)


@pytest.mark.parametrize("language", INVENTED)
async def test_an_invention_is_put_to_the_model_and_kept_back_on_its_word(verifying, claim, answers, script, language):
    """The model quotes the fact, and finds that it says something else."""
    checked = {"claims": [{"claim": "C1", "evidence": "x", "verdict": "unsupported"}], "guidelines": NOT_APPLICABLE}
    facts = (FactRecord(id="fee", text=FACTS[language], source="playbook"),)
    run = verifying(
        script(verify=answers(("F1", FACTS[language], FACTS[language])), cross_check=checked),
        verification={"rounds_max": 0, "calibration_share": 0},
    )
    finished = await run(claim(INVENTED[language]), facts=facts)
    assert run.purposes == ["verify", "cross_check"]
    assert finished.result is FinishResult.FAILED


NOT_APPLICABLE = [{"guideline": "G1", "evidence": "", "verdict": "not_applicable"}]


@pytest.mark.parametrize(("word", "leaves"), [("states_nothing", True), ("unsupported", False), ("supported", False)])
async def test_a_greeting_in_another_language_leaves_only_if_the_model_says_that_it_states_nothing(
    verifying, claim, social, word, leaves
):
    checked = {"claims": [{"claim": "C1", "evidence": "", "verdict": word}], "guidelines": NOT_APPLICABLE}
    run = verifying([checked])
    finished = await run(social("Wir helfen Ihnen gern weiter."), claim(FEE))
    assert run.purposes == ["cross_check"]
    assert ("Wir helfen" in finished.text) is leaves
    assert len(finished.verification.claims) == (1 if leaves else 2)


async def test_a_claim_cannot_state_nothing(verifying, claim, answers, script):
    checked = {"claims": [{"claim": "C1", "evidence": "", "verdict": "states_nothing"}], "guidelines": NOT_APPLICABLE}
    run = verifying(
        script(verify=answers(("F1", "costs 4.50 euros a month", "4.50")), cross_check=checked),
        verification={"rounds_max": 0, "calibration_share": 0},
    )
    finished = await run(claim("Das Konto ist für Sie kostenlos."))
    assert finished.result is FinishResult.FAILED
