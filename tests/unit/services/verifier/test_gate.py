"""What code alone says of a draft."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain.commitments import commits
from services.verifier.domain.gate import Ground, asserts, judge, repeats, reply_complaints, wrong_values
from services.verifier.domain.names import names_in
from services.verifier.domain.values import values_in
from shared.events.claims import ClaimKind, Verdict
from shared.events.turns import FactRecord, Restated, Segment, SegmentKind
from shared.playbook.model import Playbook
from shared.text.english import content_words

FACTS = {
    "fee": "The current account costs 4.50 euros a month.",
    "waiver": "The account fee is waived when at least 1200 euros arrive each month.",
    "line": "The blocking line is 0800 555 0142 and is open day and night.",
    "hours": "Branches are open Monday to Friday from 9:00 to 17:00, and on Saturday from 9:00 to 12:00.",
    "wire": "An international transfer takes 3 to 5 working days. It costs 12 euros.",
    "block": "The card was blocked on 1 May 2026.",
}


def ground(customer="", names=("harbour", "bank"), forbidden=()):
    records = {name: FactRecord(id=name, text=text, source="playbook") for name, text in FACTS.items()}
    records["block"] = records["block"].model_copy(update={"source": "tool:block_card"})
    return Ground(records, frozenset(names), customer, tuple(forbidden))


def claim(text, *facts, **changes):
    return Segment(**{"kind": SegmentKind.CLAIM, "text": text, "fact_ids": facts} | changes)


@pytest.mark.parametrize(
    ("text", "fact", "verdict", "reason"),
    [
        ("The current account costs 4.50 euros a month.", "fee", Verdict.SUPPORTED, "repeats_fact"),
        ("Our current account costs 4,50 euros a month!", "fee", Verdict.SUPPORTED, "repeats_fact"),
        ("An international transfer takes 3 to 5 working days.", "wire", Verdict.SUPPORTED, "repeats_fact"),
        ("For you it is €4.50 monthly.", "fee", Verdict.UNCHECKED, "wording"),
        ("The current account costs 5.50 euros a month.", "fee", Verdict.CONTRADICTED, "other_value"),
        ("The current account costs 4.50 dollars a month.", "fee", Verdict.CONTRADICTED, "other_value"),
        ("The account opens within 3 days.", "line", Verdict.UNSUPPORTED, "foreign_value"),
        ("The account fee is waived.", "waiver", Verdict.UNCHECKED, "wording"),
        ("The blocking line is not open day and night.", "line", Verdict.UNCHECKED, "wording"),
        ("Branches are open Monday to Friday from 9:00 to 12:00.", "hours", Verdict.UNCHECKED, "wording"),
        ("The fee is charged by Acme Corp.", "fee", Verdict.UNSUPPORTED, "foreign_name"),
        ("At Harbour Bank that is €4.50.", "fee", Verdict.UNCHECKED, "wording"),
        ("See www.evil.example for the fee.", "fee", Verdict.UNSUPPORTED, "foreign_value"),
    ],
)
def test_a_claim_is_judged_by_the_fact_that_it_cites(text, fact, verdict, reason):
    finding = judge(claim(text, fact), ground())
    assert (finding.verdict, finding.reason) == (verdict, reason)


def test_a_claim_without_fact_or_with_one_that_does_not_exist_is_unsupported():
    assert judge(claim("It is free."), ground()).reason == "no_fact"
    assert judge(claim("It is free.", "fee", "invented"), ground()).reason == "unknown_fact"


def test_a_value_of_two_facts_put_together_is_not_settled_by_code():
    mixed = claim("An international transfer costs 4.50 euros.", "wire", "fee")
    assert judge(mixed, ground()).verdict is Verdict.UNCHECKED


@pytest.mark.parametrize(
    ("text", "restored"),
    [
        ("It costs 5.50 euros a month.", "It costs 4.50 euros a month."),
        ("Only €9 a month!", "Only 4.50 euros a month!"),
        ("It costs 5 euros, or 6 euros.", ""),
    ],
)
def test_a_single_wrong_value_is_restored_where_its_fact_has_one_of_its_kind(text, restored):
    assert judge(claim(text, "fee"), ground()).restored == restored


def test_the_value_that_the_claim_states_already_is_no_candidate():
    wrong = claim("It takes 4 to 5 working days.", "wire")
    assert judge(wrong, ground()).restored == "It takes 3 to 5 working days."


def test_a_choice_of_values_is_not_made_by_code():
    finding = judge(claim("They open at 8:00 on Sundays.", "hours"), ground())
    assert (finding.verdict, finding.restored) == (Verdict.CONTRADICTED, "")


@pytest.mark.parametrize("text", ["I have blocked your card.", "Your card has been blocked.", "We'll refund you."])
def test_an_action_needs_the_event_of_a_tool_whatever_it_is_called(text):
    for kind in SegmentKind.ACTION, SegmentKind.CLAIM:
        assert judge(claim(text, "line", kind=kind), ground()).reason == "no_tool_event"
    assert judge(claim("I have blocked your card.", "block"), ground()).verdict is Verdict.UNCHECKED
    assert judge(claim("It is done.", "line", claim_kind=ClaimKind.ACTION), ground()).reason == "no_tool_event"


@pytest.mark.parametrize(
    "text", ["You can block the card in the app.", "I can help you to block it.", "Payments are refunded afterwards."]
)
def test_what_may_be_done_is_no_action(text):
    assert not commits(text)


def test_a_claim_with_a_forbidden_phrase_is_refused_even_if_a_fact_says_it():
    finding = judge(claim(FACTS["fee"], "fee"), ground(forbidden=["current  ACCOUNT"]))
    assert finding.reason == "forbidden_phrase"


@pytest.mark.parametrize(
    ("kind", "text", "claims"),
    [
        (SegmentKind.SOCIAL, "Hello Anna, thanks for asking!", False),
        (SegmentKind.SOCIAL, "I am sorry, I do not know that.", False),
        (SegmentKind.SOCIAL, "You get 500 euros.", True),
        (SegmentKind.SOCIAL, "Your refund has been approved.", True),
        (SegmentKind.SOCIAL, "See evil.example for more.", True),
        (SegmentKind.SOCIAL, "It is risk-free.", True),
        (SegmentKind.QUESTION, "Do you want to pay 12 euros for it?", False),
        (SegmentKind.QUESTION, "Would you like the 99 euros account?", True),
        (SegmentKind.QUESTION, "Your account is the best.", True),
        (SegmentKind.QUESTION, "何かお手伝いできますか\uff1f", True),
        (SegmentKind.OTHER, "Anything", True),
        (
            SegmentKind.SOCIAL,
            "Gold members enjoy lounge access, free parking, priority boarding, extra luggage and a personal butler.",
            True,
        ),
    ],
)
def test_a_statement_cannot_pass_as_a_greeting_or_a_question(kind, text, claims):
    assert asserts(Segment(kind=kind, text=text), ground(forbidden=["risk-free"])) is claims


def test_a_greeting_may_repeat_a_value_of_the_customer():
    said = Segment(kind=SegmentKind.SOCIAL, text="I see, 500 euros.")
    assert not asserts(said, ground(customer="I lost 500 euros"))


def test_names_are_capitals_within_a_sentence_unless_the_text_capitalises_throughout():
    assert names_in("Please ask Acme's desk. The fee is low.") == ["acme"]
    assert names_in("Die Gebühr für das Konto und die Karte zahlt der Kunde am Ende des Monats an die Bank.") == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"limits": {"reply_chars": 10}}, "length"),
        ({"phrases": {"forbidden": ["costs  4.50"]}}, "forbidden_phrase"),
        ({"phrases": {"required": ["terms apply"]}}, "required_phrase"),
    ],
)
def test_a_reply_as_a_whole_is_held_to_length_and_phrases(changes, rule):
    book = Playbook.model_validate({"agent": "bank", "profile": {"name": "Desk"}} | changes)
    [complaint] = reply_complaints("It costs 4.50 euros.", [], {}, book)
    assert complaint.startswith(rule)
    assert "euros" not in complaint


def test_a_guideline_that_was_not_restated_word_for_word_is_a_complaint():
    book = Playbook.model_validate(
        {
            "agent": "bank",
            "profile": {"name": "Desk"},
            "guidelines": [{"id": "fee", "condition": "They ask.", "action": "Say it"}],
        }
    )
    known = {g.id: g for g in book.guidelines}
    good = Restated(guideline_id="fee", text="They ask -> Say  it")
    assert reply_complaints("x", [good], known, book) == ()
    for bad in good.model_copy(update={"text": "When they ask, say"}), good.model_copy(update={"guideline_id": "no"}):
        assert reply_complaints("x", [bad], known, book)[0].startswith("restated")


@given(st.text(), st.sampled_from(sorted(FACTS)), st.sampled_from(list(SegmentKind)))
def test_arbitrary_text_is_judged_and_supported_only_if_all_it_states_stands_in_the_fact(text, fact, kind):
    segment = claim(text, fact, kind=kind)
    asserts(segment, ground())
    if judge(segment, ground()).verdict is Verdict.SUPPORTED:
        assert not wrong_values(text, [FACTS[fact]])


@given(st.sampled_from(sorted(FACTS)), st.decimals(min_value=0, max_value=10**6, places=2, allow_nan=False))
def test_a_fact_with_another_number_is_never_supported(fact, number):
    text = FACTS[fact]
    for value in values_in(text):
        changed = text[: value.start] + f"{number} euros" + text[value.end :]
        if wrong_values(changed, [text]):
            assert judge(claim(changed, fact), ground()).verdict is not Verdict.SUPPORTED


@given(st.text(max_size=200), st.text(max_size=200))
def test_repeating_is_decided_for_any_two_texts(text, fact):
    if repeats(text, fact):
        assert not wrong_values(text, [fact]) or not text.isascii()


@pytest.mark.parametrize("unit", ["1,", "0 ", "a1-", "9", "1 may ", "http://", "5 million ", "A b. ", "not ", "x' "])
def test_hostile_repetition_is_read_in_one_pass(unit):
    """Were any step quadratic, a text of this size would meet the suite's time limit."""
    text = unit * 50_000
    assert judge(claim(text, "fee"), ground()).verdict is not Verdict.SUPPORTED
    asserts(claim(text, kind=SegmentKind.SOCIAL), ground())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("We refund the fee within 5 days.", "wording"),
        ("We have refunded the fee.", "no_tool_event"),
        ("We will refund the fee within 5 days.", "no_tool_event"),
        ("I refund the fee within 5 days.", "no_tool_event"),
        ("We cancel the fee within 5 days.", "no_tool_event"),
    ],
)
def test_what_is_done_as_a_rule_may_rest_on_a_fact_that_says_so(text, reason):
    fact = FactRecord(id="rule", text="Fees are refunded within 5 days.", source="playbook")
    found = judge(Segment(kind="claim", text=text, fact_ids=("rule",)), Ground({"rule": fact}, frozenset(), ""))
    assert found.reason == reason


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\u202e", "\u2066", "\u200b", "\U000e0041", "\ufff9", "\ud800"])
def test_what_hides_something_repeats_no_fact(char):
    assert not repeats(FACTS["fee"].replace("4.50", f"{char}4.50"), FACTS["fee"])
    assert repeats(FACTS["fee"], FACTS["fee"].replace("4.50", f"{char}4.50"))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("The store is kept at 5 °C.", "The store is kept at −5 °C."),
        ("The fee is 5 %.", "The fee is 5 €."),
        ("The rate is 10².", "The rate is 102."),
        ("手数料は5％です。", "手数料は5円です。"),
    ],
    ids=["a sign", "a unit", "a power", "a unit among characters"],
)
def test_the_same_words_with_another_value_repeat_no_fact(text, fact):
    assert not repeats(text, fact)
    assert repeats(fact, fact)


@pytest.mark.parametrize(
    ("fact", "sentence"),
    [
        ("我们保证退款。手续费为5元。", "手续费为5元。"),
        ("当社は返金を保証します。手数料は500円です。", "当社は返金を保証します。"),
        ("हम 3 दिन में पैसा लौटाते हैं। शुल्क नहीं है।", "हम 3 दिन में पैसा लौटाते हैं।"),
    ],
    ids=["Chinese", "Japanese", "Hindi"],
)
def test_a_whole_sentence_of_a_fact_is_repeated_in_any_script(fact, sentence):
    assert repeats(sentence, fact)
    assert not repeats(sentence[: len(sentence) // 2], fact)


STATED = ["The fee is", "5 €", "-5", "1 000", "10 000 EUR", "3-5 days", "0800 555 0142", ".", "; ", "1 May", "May",
          "5%", "at 9:00", "$5", "RB-204", "12,34,567", "½", "3日間", "500円", "。", "–5", "3 –5", "1.250"]  # fmt: skip


@given(st.lists(st.sampled_from(STATED), min_size=1), st.lists(st.sampled_from(STATED), min_size=1))
def test_each_half_of_a_fact_repeats_it_whatever_values_stand_at_the_cut(first, second):
    fact = f"{' '.join(first)}. {' '.join(second)}."
    for half in (first, second):
        assert repeats(f"{' '.join(half)}.", fact) or not content_words(" ".join(half))


@pytest.mark.parametrize(
    "said",
    ["The customer asks – for fees: State the fee", "The\u00a0customer asks – for fees: State the fee",
     "The customer asks - for fees:\nState\u2009the fee"],
)  # fmt: skip
def test_a_guideline_is_restated_whatever_its_typography(said):
    book = Playbook.model_validate(
        {
            "agent": "bank",
            "profile": {"name": "B"},
            "guidelines": [
                {
                    "id": "fee",
                    "condition": "The customer asks \u2014 for fees.",
                    "action": said.rpartition(":")[2].strip(),
                }
            ],
        }
    )
    known = {guideline.id: guideline for guideline in book.guidelines}
    assert reply_complaints("Hello", [Restated(guideline_id="fee", text=said)], known, book) == ()
