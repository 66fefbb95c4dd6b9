"""Rehearsed matching: plausible on a service desk's words, complete, and always the same."""

from random import Random
from typing import Any

import pytest

from shared.llm.rehearsal.rules import Situation, load_rules
from shared.llm.rehearsal.rules_match import match, match_situations
from shared.llm.rehearsal.settings import RehearsalSettings

GUIDELINES = {
    "greet": ("The customer says hello and has not asked for anything yet", "principle"),
    "lost": ("The customer says that a card was lost or stolen", "action"),
    "fee": ("The customer asks what an account costs, or about a monthly account fee", "action"),
    "close": ("The customer wants to close an account", "action"),
    "open": ("The customer wants to open a savings account", "action"),
    "allergy": ("The customer is allergic to nuts", "observation"),
    "thanks": ("The customer says thanks", "action"),
}


def situation(*texts: str, applied: tuple[str, ...] = (), **variables: str) -> Situation:
    messages = [{"from": "customer" if n % 2 == 0 else "assistant", "text": text} for n, text in enumerate(texts)]
    messages[-1]["new"] = True  # type: ignore[assignment]
    sections: dict[str, Any] = {
        "guidelines": [{"id": name, "kind": kind, "when": when} for name, (when, kind) in GUIDELINES.items()],
        "conversation": messages,
        "already_applied": list(applied),
        "variables": variables,
    }
    return Situation(sections, {}, Random(0), RehearsalSettings())


def matched(found: dict[str, Any]) -> set[str]:
    judged = [*found["checks"], *found["reapplications"]]
    return {item["guideline"] for item in judged if item["verdict"] == "applies"} | set(found["principles"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi there!", {"greet"}),
        ("I lost my card in the city", {"lost"}),
        ("My card was stolen yesterday", {"lost"}),
        ("What does the account cost?", {"fee"}),
        ("I want to close my account, thanks", {"close", "thanks"}),
        ("Where can I eat a pizza?", set()),
        ("account", set()),
        ("", set()),
    ],
)
def test_a_condition_holds_when_its_distinctive_words_are_said(text: str, expected: set[str]) -> None:
    assert matched(match(situation(text))) == expected


def test_a_lasting_fact_holds_from_when_it_was_told_an_action_does_not() -> None:
    found = matched(
        match(situation("I lost my card and I am allergic to nuts", "Noted.", "What does an account cost?"))
    )
    assert found == {"allergy", "fee"}
    assert "allergy" in matched(match(situation("Hello", note="allergic to nuts")))


def test_what_was_applied_is_judged_as_such_and_again_when_it_comes_up_again() -> None:
    quiet = match(situation("I lost my card", "Block it.", "ok", applied=("lost",)))
    assert [item["guideline"] for item in quiet["reapplications"]] == ["lost"]
    assert "lost" not in matched(quiet)
    assert "lost" in matched(match(situation("Now my other card was stolen", applied=("lost",))))


def test_every_guideline_is_judged_and_evidence_is_short() -> None:
    found = match(situation("I lost my card " * 50))
    assert {item["guideline"] for item in found["checks"]} == set(GUIDELINES) - {"greet"}
    assert all(len(item["evidence"].split()) <= 15 for item in found["checks"])


def test_the_same_question_has_the_same_answer() -> None:
    assert match(situation("I lost my card")) == match(situation("I lost my card"))


def test_an_empty_prompt_is_answered() -> None:
    assert match(Situation({}, {}, Random(0), RehearsalSettings())) == {
        "checks": [],
        "reapplications": [],
        "principles": [],
    }


def test_it_is_registered_for_the_matchers_schema() -> None:
    assert load_rules()["match_guidelines_v1"] is match


def situations(text: str, *, path: tuple[str, ...] = ()) -> Situation:
    guidelines = [
        {"id": "G1", "kind": "choice", "when": "Something about an order", "options": ["G2", "G3"]},
        {"id": "G2", "when": "The customer wants to cancel"},
        {"id": "G3", "kind": "beginning", "when": "The customer wants to return shoes"},
    ]
    states = [
        {"id": "S1", "kind": "chat", "do": "Ask for the day", "needs_customer": True, "next": [{"to": "S2"}]},
        {"id": "S2", "kind": "tool", "tool": "calendar", "next": [{"to": "S3"}]},
        {"id": "S3", "kind": "chat", "do": "Confirm"},
    ]
    sections: dict[str, Any] = {
        "guidelines": guidelines[:2],
        "more_guidelines": guidelines[2:],
        "journeys": [{"id": "J1", "title": "t", "path": list(path), "states": states}],
        "conversation": [{"from": "customer", "text": text, "new": True}],
    }
    return Situation(sections, {}, Random(0), RehearsalSettings())


@pytest.mark.parametrize(
    ("text", "verdict", "options"),
    [
        ("it is about my order", "ask", ["G2", "G3"]),
        ("cancel my order", "clear", ["G2"]),
        ("cancel my order, or return the shoes", "ask", ["G2", "G3"]),
        ("what time is it", "clear", []),
    ],
)
def test_a_choice_is_open_while_no_single_option_is_named(text: str, verdict: str, options: list[str]) -> None:
    (choice,) = match_situations(situations(text))["choices"]
    assert (choice["verdict"], choice["options"]) == (verdict, options)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ((), []),
        (("S1",), [("S1", "completed", "S2")]),
        (("S1", "S2"), [("S2", "needs_tool", "none")]),
        (("S1", "S2", "S3"), [("S3", "completed", "none")]),
    ],
)
def test_a_journey_goes_one_state_further_a_turn_and_never_past_a_tool(
    path: tuple[str, ...], steps: list[tuple[str, str, str]]
) -> None:
    (journey,) = match_situations(situations("tuesday", path=path))["journeys"]
    assert [(s["state"], s["completed"], s["leads_to"]) for s in journey["steps"]] == steps


def test_beginnings_are_checks_and_choices_are_not() -> None:
    found = match_situations(situations("I want to return shoes"))
    assert {item["guideline"]: item["verdict"] for item in found["checks"]} == {"G2": "not_now", "G3": "applies"}
