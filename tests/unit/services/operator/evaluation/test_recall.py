"""Recall of the retriever, in a process of the matcher's."""

from pathlib import Path
from typing import Any

import pytest

from services.operator.evaluation.recall import Label, Recall, draw, labelled, measured
from services.operator.evaluation.scenario import Scenario
from shared.errors import Fatal

SCENARIO = {
    "id": "s",
    "area": "a",
    "guidelines": [
        {"id": "lost", "condition": "The customer lost a card", "action": "Block it"},
        {"id": "moon", "condition": "The moon is full", "action": "Howl"},
        {"id": "mood", "condition": "The customer is upset", "action": "Soothe"},
    ],
    "conversation": [{"source": "customer", "text": "I lost my card!"}],
    "expected": {"judged": "verdicts", "ids": ["lost", "moon", "mood"]},
}


async def test_each_label_has_its_place_and_what_shares_no_word_is_missed_with_the_reason() -> None:
    found = await measured([Scenario.model_validate(SCENARIO)], 200)
    by_name = {label.guideline: label for label in found.labels}
    assert (by_name["lost"].rank, by_name["lost"].asked) == (1, True)
    assert (by_name["mood"].rank, by_name["mood"].always) == (None, True)
    assert [label.guideline for label in found.missed(24)] == ["moon"]
    assert "shares no word" in by_name["moon"].reason
    assert found.at(24)[0] == pytest.approx(2 / 3)
    assert found.document()["missed_at_24"][0]["guideline"] == "moon"


async def test_without_a_label_nothing_is_measured() -> None:
    with pytest.raises(Fatal, match="no scenario says"):
        await measured([], 50)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"expected": {"judged": "verdicts", "ids": []}}, "no guideline applies"),
        ({"expected": {"judged": "classified", "kind": "continuous", "ids": ["moon"]}}, "classified is judged"),
        ({"area": "relationship_resolution"}, "its verdicts are given"),
    ],
)
def test_what_says_nothing_of_a_retriever_is_left_out_with_the_reason(change: dict[str, Any], reason: str) -> None:
    """A condition of one letter that is never found would count as a miss of retrieval."""
    fit, unfit = labelled([Scenario.model_validate(SCENARIO | change)])
    assert (len(fit), unfit.get("s", "")[: len(reason)]) == (0 if reason else 1, reason)


async def test_what_follows_from_others_does_not_have_to_be_found() -> None:
    entailing = SCENARIO | {"expected": {"judged": "active", "ids": ["lost", "moon"], "matched": ["lost"]}}
    found = await measured([Scenario.model_validate(entailing)], 60)
    assert [label.guideline for label in found.labels] == ["lost"]


def test_recall_grows_with_k_and_is_drawn(tmp_path: Path) -> None:
    found = Recall(100, tuple(Label("s", f"g{n}", "c", n, always=False, asked=True) for n in range(1, 11)))
    values = [found.at(k)[0] for k in range(1, 12)]
    assert values == sorted(values)
    assert values[-1] == 1
    draw([found], tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
