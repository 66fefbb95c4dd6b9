"""A turn's further legs: the judgement is handed on, and only what results of tools may have changed is asked again."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatchingSettings
from services.matcher.stage import Matcher
from shared.arq.prompt import parse
from shared.errors import Retryable
from shared.events.envelope import Envelope
from shared.events.tools import ToolCall, ToolResult, ToolStatus
from shared.events.turns import JourneyPosition, MatchVerdict, TurnOpened
from shared.llm.errors import ModelRefused
from shared.llm.scripted import ScriptedModel
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook, Profile

OPENED_AT = 1_772_442_000.0
PLAYBOOK = {
    "agent": "desk",
    "profile": Profile(name="Ada"),
    "tools": [
        {"id": "balance", "description": "Tells the balance", "http": {"url": "https://bank.example/balance"}},
        {"id": "rates", "description": "Tells the rates", "http": {"url": "https://bank.example/rates"}},
    ],
    "guidelines": [
        {"id": "look", "condition": "The customer asks for money", "action": "Look it up", "tools": ["balance"]},
        {
            "id": "overdrawn",
            "condition": "The account is overdrawn",
            "action": "Offer a loan",
            "reevaluate_after": ["balance"],
        },
        {"id": "praise", "condition": "The account has money", "action": "Congratulate"},
    ],
    "relationships": [{"kind": "priority", "source": "overdrawn", "targets": ["praise"]}],
}


def says(*applies: str) -> Any:
    def answer(request: Any) -> Any:
        sections = {name: data for message in request.messages for name, data in parse(message.content).items()}
        judged = [
            {
                "guideline": guideline["id"],
                "condition": "c",
                "evidence": "e",
                "verdict": "applies" if any(word in guideline["when"] for word in applies) else "not_now",
            }
            for guideline in sections["guidelines"]
        ]
        return {"checks": judged, "reapplications": [], "principles": []}

    return answer


class Legs:
    """A matcher over one playbook, and what it is to be given next."""

    def __init__(self, opened: Any, script: Any) -> None:
        self.script = script
        self.model = ScriptedModel(self._answer)
        directory = StaticDirectory()
        version = directory.put("acme", Playbook.model_validate(PLAYBOOK))
        self.opened: TurnOpened = opened("how much money do I have?", version=version)
        metrics = MatcherMetrics(CollectorRegistry())
        self.matcher = Matcher(self.model, directory, MatchingSettings(), metrics, clock=lambda: OPENED_AT + 1)

    def _answer(self, request: Any) -> Any:
        return self.script(request)

    async def leg(self) -> Any:
        event = Envelope("e", "/tenants/acme", "turn.opened", self.opened.turn.opened_at, "c-1", self.opened)
        ((_, _, body),) = await self.matcher.process(event)
        return body.matching

    def goes_on(self, matching: Any, *tools: str, fresh: bool = True) -> None:
        """The next leg, after *tools* had results."""
        results = tuple(
            ToolResult(
                call=ToolCall(id=tool, tool=tool),
                status=ToolStatus.DONE,
                data={"euro": -5},
                at=self.opened.turn.opened_at,
            )
            for tool in tools
        )
        turn = self.opened.turn.model_copy(update={"leg": self.opened.turn.leg + 1})
        update = {"turn": turn, "matching": matching, "results": results, "fresh": tools if fresh else ()}
        self.opened = self.opened.model_copy(update=update)


@pytest.fixture
async def first(opened: Any) -> Any:
    """A first leg, in which money is asked for and the account has some."""
    legs = Legs(opened, says("asks for money", "has money"))
    matching = await legs.leg()
    assert matching.active == ("look", "praise")
    return SimpleNamespace(legs=legs, matching=matching)


async def test_a_leg_without_news_costs_no_call(first: Any) -> None:
    first.legs.goes_on(first.matching)
    assert await first.legs.leg() == first.matching
    assert len(first.legs.model.requests) == 1


async def test_a_result_that_nothing_waits_for_costs_no_call(first: Any) -> None:
    first.legs.goes_on(first.matching, "rates")
    assert await first.legs.leg() == first.matching
    assert len(first.legs.model.requests) == 1


async def test_what_waits_for_a_result_is_asked_again_alone_and_relationships_are_resolved_anew(first: Any) -> None:
    first.legs.goes_on(first.matching, "balance")
    first.legs.script = says("overdrawn")
    matching = await first.legs.leg()
    shown = parse(first.legs.model.requests[-1].messages[1].content)
    assert [guideline["when"] for guideline in shown["guidelines"]] == ["The account is overdrawn"]
    assert shown["results"] == [{"tool": "balance", "status": "done", "data": {"euro": -5}}]
    assert matching.active == ("look", "overdrawn")
    assert [match.guideline_id for match in matching.matches] == ["look", "overdrawn", "praise"]
    assert (matching.spent.calls, matching.candidates) == (2, 4)
    assert [(r.guideline_id, r.active) for r in matching.resolutions] == [("praise", False)]


async def test_a_result_of_a_former_leg_is_not_asked_about_again(first: Any) -> None:
    first.legs.goes_on(first.matching, "balance", fresh=False)
    assert await first.legs.leg() == first.matching


async def test_where_the_model_has_no_answer_the_former_judgement_stands(first: Any) -> None:
    first.legs.goes_on(first.matching, "balance")

    def refuses(_request: Any) -> Any:
        raise ModelRefused("content", "refused")

    first.legs.script = refuses
    matching = await first.legs.leg()
    assert (matching.active, matching.matches) == (first.matching.active, first.matching.matches)


async def test_results_that_a_turn_begins_with_are_judged_by_too(opened: Any) -> None:
    legs = Legs(opened, says("asks for money", "overdrawn"))
    legs.goes_on(None, "balance")
    matching = await legs.leg()
    assert matching.active == ("look", "overdrawn")
    assert len(legs.model.requests) == 2


JOURNEY = {
    "id": "loan",
    "title": "Lending",
    "conditions": ["The customer wants a loan"],
    "states": [
        {"id": "check", "tool": "balance", "kind": "tool", "next": [{"to": "offer"}]},
        {"id": "offer", "action": "Offer a loan", "kind": "chat"},
    ],
}


async def test_a_journeys_step_that_waited_for_a_tool_is_passed_in_the_same_turn(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLAYBOOK, "journeys", [JOURNEY])

    def walks(request: Any) -> Any:
        sections = {name: data for message in request.messages for name, data in parse(message.content).items()}
        checks = [
            {"guideline": g["id"], "condition": "c", "evidence": "e", "verdict": "not_now"}
            for g in (*sections.get("guidelines", ()), *sections.get("more_guidelines", ()))
        ]
        done = "completed" if "results" in sections else "needs_tool"
        ways = [
            {
                "journey": journey["id"],
                "situation": "s",
                "course": "goes_on",
                "back_to": "none",
                "steps": [{"state": "S1", "evidence": "e", "completed": done, "leads_to": "S2"}],
            }
            for journey in sections.get("journeys", ())
        ]
        return {"checks": checks, "reapplications": [], "principles": [], "choices": [], "journeys": ways}

    legs = Legs(opened, walks)
    legs.opened = legs.opened.model_copy(update={"journeys": {"loan": JourneyPosition(path=("check",))}})
    matching = await legs.leg()
    assert matching.active == ("loan.check",)
    legs.goes_on(matching, "balance")
    matching = await legs.leg()
    assert matching.active == ("loan.offer",)
    assert matching.journeys == {"loan": JourneyPosition(path=("check", "offer"))}
    assert all(match.verdict is MatchVerdict.NOT_NOW for match in matching.matches)


async def test_while_the_model_is_away_the_leg_waits(first: Any) -> None:
    first.legs.goes_on(first.matching, "balance")

    def away(_request: Any) -> Any:
        raise Retryable("away")

    first.legs.script = away
    with pytest.raises(Retryable):
        await first.legs.leg()
