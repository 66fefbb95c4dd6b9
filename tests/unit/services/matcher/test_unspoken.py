"""Which conditions no message can name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.domain.unspoken import COMMON_MIN, unspoken


@pytest.mark.parametrize(
    "condition",
    [
        "Always",
        "The customer greets you",
        "The customer asks a question",
        "The customer is interacting with the agent",
        "the user seems frustrated or angry",
        "You are likely to give medical advice",
        "The agent is about to quote a price",
        "",
        "???",
    ],
)
def test_what_could_be_said_of_any_conversation_names_no_matter(condition: str) -> None:
    assert unspoken([condition]) == [0]


@pytest.mark.parametrize(
    "condition",
    [
        "The customer asks about a refund",
        "The customer lost a card",
        "The customer is angry about the delivery",
        "客户询问退款",
        "المستخدم يسأل عن البطاقة",
    ],
)
def test_what_names_a_matter_is_left_to_retrieval(condition: str) -> None:
    assert unspoken([condition]) == []


def test_a_word_that_most_conditions_have_names_nothing_in_this_playbook() -> None:
    book = [f"The customer asks about the card's subject{n}" for n in range(20)]
    assert unspoken([*book, "The customer asks about a card"]) == [20]
    assert unspoken(["The customer asks about a card"] * COMMON_MIN) == []


@given(st.lists(st.text(max_size=60), max_size=30))
def test_any_texts_give_places_in_order(conditions: list[str]) -> None:
    found = unspoken(conditions)
    assert found == sorted(set(found))
    assert set(found) <= set(range(len(conditions)))
