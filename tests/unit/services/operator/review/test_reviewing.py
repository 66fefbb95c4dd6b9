"""What a review says of a playbook beyond what refuses it: copies, contradictions, dead guidelines, exposed data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.review.exposure import exposures
from services.operator.review.likeness import contradictions, near_duplicates
from services.operator.review.pairs import COMPARED_MAX, jaccard, similar_pairs
from services.operator.review.reach import unreachable
from services.operator.review.sizes import FACTS_TOKENS_ADVISED, crowding
from shared.playbook.finding import Basis, Severity
from shared.playbook.model import Playbook

LATE = "The customer asks for a refund of a late order"


def playbook(*guidelines, **parts):
    named = [{"id": f"g{place}", **one} for place, one in enumerate(guidelines)]
    return Playbook.model_validate_json(
        json.dumps({"agent": "desk", "profile": {"name": "Ada"}, "guidelines": named, **parts})
    )


def rule(condition, action="", **changes):
    return {"condition": condition, "action": action, **changes}


def test_a_copy_and_a_near_copy_are_told_with_the_earlier_one():
    found = list(
        near_duplicates(
            playbook(
                rule("The customer has lost a credit card abroad", "Block the card and offer a new one by express"),
                rule("the customer has lost a credit card abroad.", "Block the card and offer a new one by express"),
                rule("A customer lost their credit card abroad", "Block the card and offer new ones by express"),
            )
        )
    )
    assert [(one.rule, one.path, one.by) for one in found] == [
        ("duplicate", ("guidelines", 1), Basis.RULE),
        ("near_duplicate", ("guidelines", 2), Basis.HEURISTIC),
    ]
    assert "`g0`" in found[0].reason
    assert "`g0`" in found[1].reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (rule(LATE, "Offer a voucher of 10 euros"), rule(LATE, "Offer a voucher of 20 euros")),
        (rule(LATE, "Offer a voucher"), rule(LATE, "Never offer a voucher")),
        (rule(LATE, "Offer a voucher", journey="a"), rule(LATE, "Offer a voucher", journey="b")),
        (rule(LATE, "Offer a voucher", enabled=False), rule(LATE, "Offer a voucher")),
    ],
)
def test_what_differs_by_a_number_a_negation_or_a_journey_is_no_copy(first, second):
    assert not list(near_duplicates(playbook(first, second)))


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("Offer a refund of 10 percent", "Offer a refund of 20 percent", "10 against 20"),
        ("Offer a refund at once", "Do not offer a refund", "negates"),
        ("Offer a refund at once", "Don't offer a refund", "negates"),
        ("Accept the refund request", "Reject the refund request", "accept"),
        ("Always mention the refund form", "Never mention the refund form", "alway"),
    ],
)
def test_opposite_actions_under_one_condition_contradict(one, other, why):
    (found,) = contradictions(playbook(rule(LATE, one), rule(LATE, other)))
    assert found.by is Basis.HEURISTIC
    assert found.path == ("guidelines", 1, "action")
    assert why in found.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"relationships": [{"kind": "priority", "source": "g0", "targets": ["g1"]}]},
        {"relationships": [{"kind": "priority", "source": "tag:strict", "targets": ["g1"]}]},
    ],
)
def test_what_a_relationship_orders_contradicts_nothing(changes):
    guidelines = (rule(LATE, "Offer a refund", tags=["strict"]), rule(LATE, "Never offer a refund"))
    assert not list(contradictions(playbook(*guidelines, **changes)))


def test_other_conditions_other_subjects_and_other_priorities_contradict_nothing():
    assert not list(contradictions(playbook(rule(LATE, "Offer a refund"), rule("The shop is shut", "Refuse a refund"))))
    assert not list(contradictions(playbook(rule(LATE, "Offer a refund"), rule(LATE, "Never share passwords"))))
    guidelines = (rule(LATE, "Offer a refund", priority=1), rule(LATE, "Never offer a refund"))
    assert not list(contradictions(playbook(*guidelines)))


@given(st.lists(st.frozensets(st.sampled_from("abcdefgh"), max_size=6), max_size=25), st.sampled_from([0.5, 0.7, 1.0]))
def test_every_similar_pair_is_found_and_no_other(sets, threshold):
    assert len(sets) < COMPARED_MAX
    expected = {
        (first, second)
        for second in range(len(sets))
        for first in range(second)
        if sets[first] and jaccard(sets[first], sets[second]) >= threshold
    }
    assert {(first, second) for first, second, _ in similar_pairs(sets, threshold)} == expected


@pytest.mark.parametrize(
    ("guidelines", "parts", "dead", "cause"),
    [
        ([rule("???", "act")], {}, ["g0"], "no word"),
        ([rule("It rains", "act", journey="trip")], {"journeys": "off"}, ["g0"], "disabled"),
        (
            [rule("It rains", enabled=False), rule("It snows"), rule("It hails")],
            {"relationships": [("dependency", "g1", ["g0"]), ("dependency", "g2", ["g1"])]},
            ["g1", "g2"],
            "depends on",
        ),
        (
            [rule("It rains", enabled=False), rule("It snows"), rule("It hails")],
            {"relationships": [("dependency_any", "g1", ["g0", "g2"])]},
            [],
            "",
        ),
        ([rule("Always", "act", priority=2), rule("It snows")], {}, ["g1"], "higher priority"),
        (
            [rule("It rains"), rule("It snows")],
            {"relationships": [("dependency", "g1", ["g0"]), ("priority", "g0", ["g1"])]},
            ["g1"],
            "takes priority",
        ),
    ],
)
def test_guidelines_that_can_never_be_active_are_told_with_the_cause(guidelines, parts, dead, cause):
    if parts.get("journeys"):
        states = [{"id": "go", "action": "Go"}]
        parts = {"journeys": [{"id": "trip", "title": "Trip", "conditions": ["c"], "states": states, "enabled": False}]}
    if "relationships" in parts:
        known = [dict(zip(("kind", "source", "targets"), one, strict=True)) for one in parts["relationships"]]
        parts = {"relationships": known}
    found = list(unreachable(playbook(*guidelines, **parts)))
    assert [f"g{one.path[1]}" for one in found] == dead
    assert all(cause in one.reason for one in found)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    ("text", "code", "kind"),
    [
        ("Use AKIAIOSFODNN7EXAMPLE", "secret", "AWS"),
        (f"Send ghp_{'a1B2' * 9}", "secret", "GitHub"),
        ("-----BEGIN RSA PRIVATE KEY-----", "secret", "private key"),
        (f"Bearer {JWT}", "secret", "JSON web token"),
        ("postgres://admin:hunter22@db/main", "secret", "password in an address"),
        ("the password: Tr0ub4dor", "secret", "a password"),
        ("say aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY", "secret", "random string"),
        ("hash 5f4dcc3b5aa765d61d8327deb882cf99", "secret", "random string"),
        ("write to jane.doe@bank.co", "personal_data", "email"),
        ("pay to DE89 3704 0044 0532 0130 00 today", "personal_data", "IBAN"),
        ("card 4111 1111 1111 1111", "personal_data", "card number"),
        ("call +49 171 2345678", "personal_data", "phone"),
    ],
)
def test_secrets_and_personal_data_are_told_without_being_repeated(text, code, kind):
    found = [one for one in exposures(playbook(rule("It rains", text))) if kind in one.reason]
    assert [(one.rule, one.path) for one in found] == [(code, ("guidelines", 0, "action"))]
    assert all(word not in found[0].reason for word in text.split() if len(word) > len("password"))


@pytest.mark.parametrize(
    "text",
    [
        "Write to support@bank.co or jane@example.com",
        "The order 4111 1111 1111 1112 is no card",
        "pay to DE88 3704 0044 0532 0130 00",
        "open https://bank.example/help/how-to-block-a-card-abroad-in-2024",
        "reset the password: ask for the form",
        "Donaudampfschifffahrtsgesellschaftskapitän",
        "Never ask for a PIN, password or secret: not even once",
    ],
)
def test_ordinary_texts_expose_nothing(text):
    assert not list(exposures(playbook(rule("It rains", text))))


def test_texts_are_looked_at_wherever_they_stand():
    found = exposures(playbook(glossary=[{"term": "key", "meaning": "AKIAIOSFODNN7EXAMPLE"}]))
    assert [one.path for one in found] == [("glossary", 0, "meaning")]


def test_texts_that_crowd_a_prompt_are_told_alone_and_together():
    fact = {"id": "f", "text": "word " * 400}
    many = [{"id": f"f{n}", "text": "short text " * 100} for n in range(FACTS_TOKENS_ADVISED // 200)]
    assert [one.path for one in crowding(playbook(facts=[fact]))] == [("facts", 0, "text")]
    assert [one.path for one in crowding(playbook(facts=many))] == [("facts",)]
    assert all(one.severity is Severity.WARNING for one in crowding(playbook(facts=[fact])))
