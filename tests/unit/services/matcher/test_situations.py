"""Journeys and open choices through the matcher's work on a turn, with a scripted model."""

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatchingSettings
from services.matcher.stage import Matcher
from shared.arq.prompt import parse
from shared.events.envelope import Envelope
from shared.events.turns import JourneyPosition, Matching, TurnMatched
from shared.llm.base import Request
from shared.llm.scripted import ScriptedModel
from shared.playbook.directory import StaticDirectory
from shared.playbook.loading import parse as parse_playbook

OPENED_AT = 1_772_442_000.0
PLAYBOOK = b"""\
agent: desk
profile: {name: Ada}
guidelines:
  - {id: greet, condition: hello, action: Greet}
  - {id: warn, condition: fragile, action: Warn of breakage, journey: return}
  - {id: unclear, condition: something about the order}
  - {id: cancel, condition: cancel the order, action: Cancel it}
  - {id: change, condition: change the order, action: Change it}
journeys:
  - id: return
    title: Return an item
    conditions: [wants to return, wants money back]
    states:
      - {id: ask, action: Ask for the number, needs_customer: true, next: [{to: reason}]}
      - {id: reason, action: Ask for the reason, needs_customer: true, next: [{to: label}]}
      - {id: label, action: Send a label, next: [{to: end}]}
relationships:
  - {kind: disambiguation, source: unclear, targets: [cancel, change, 'journey:return']}
  - {kind: priority, source: cancel, targets: ['journey:return']}
"""


class Script:
    """A model that answers by the words it is told to take as said; journeys walk along *done* (actions)."""

    def __init__(
        self, *applies: str, done: tuple[str, ...] = (), course: str = "goes_on", options: tuple[str, ...] = ()
    ):
        self.applies, self.done, self.course, self.options = applies, done, course, options
        self.seen: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Mapping[str, Any]:
        data: dict[str, Any] = {}
        for message in request.messages:
            data |= parse(message.content)
        self.seen.append(data)
        asked = [*data.get("guidelines", []), *data.get("more_guidelines", [])]
        holds = {g["id"] for g in asked if any(word in g["when"] for word in self.applies)}
        return {
            "checks": [
                {"guideline": g["id"], "condition": "c", "evidence": "e", "verdict": self._verdict(g["id"] in holds)}
                for g in asked
                if g.get("kind") != "choice"
            ],
            "reapplications": [],
            "principles": [],
            "choices": [self._choice(g, asked, g["id"] in holds) for g in asked if g.get("kind") == "choice"],
            "journeys": [self._journey(journey) for journey in data.get("journeys", [])],
        }

    @staticmethod
    def _verdict(holds: bool) -> str:
        return "applies" if holds else "not_now"

    def _choice(self, head: Mapping[str, Any], asked: list[Any], holds: bool) -> dict[str, Any]:
        fits = [g["id"] for g in asked if g["id"] in head["options"] and any(o in g["when"] for o in self.options)]
        verdict = "ask" if holds else "clear"
        common = {"guideline": head["id"], "evidence": "e", "asked_before": "no", "settled": "no"}
        return {**common, "options": fits, "verdict": verdict}

    def _journey(self, journey: Mapping[str, Any]) -> dict[str, Any]:
        by_action = {state["do"]: state for state in journey["states"]}
        steps = [
            {
                "state": by_action[action]["id"],
                "evidence": "e",
                "completed": "completed",
                "leads_to": by_action[action]["next"][0]["to"],
            }
            for action in self.done
        ]
        about = {"journey": journey["id"], "situation": "s", "course": self.course, "back_to": "none"}
        return {**about, "steps": steps if self.course != "set_aside" else []}


async def match(script: Any, opened: Any, text: str, path: tuple[str, ...] = ()) -> Matching:
    directory = StaticDirectory()
    version = directory.put("acme", parse_playbook(PLAYBOOK, "f").playbook)
    matcher = Matcher(
        ScriptedModel(script),
        directory,
        MatchingSettings(),
        MatcherMetrics(CollectorRegistry()),
        clock=lambda: OPENED_AT + 1,
    )
    turn = opened(text, version=version, journeys={"return": JourneyPosition(path=path)} if path else None)
    event = Envelope(
        id="e", source="/tenants/acme/c", type="turn.opened", time=turn.turn.opened_at, subject="c-1", data=turn
    )
    ((_, _, body),) = await matcher.process(event)
    assert isinstance(body, TurnMatched)
    return body.matching


def positions(matching: Matching) -> dict[str, tuple[str, ...]] | None:
    return None if matching.journeys is None else {name: p.path for name, p in matching.journeys.items()}


async def test_a_turn_without_a_journey_costs_one_call_and_does_not_show_its_states(opened: Any) -> None:
    script = Script("hello")
    matching = await match(script, opened, "hello")
    assert (matching.active, matching.spent.calls, positions(matching)) == (("greet",), 1, None)
    assert "journeys" not in script.seen[0]
    assert "fragile" not in str(script.seen[0])


async def test_a_journey_that_begins_is_walked_at_once_as_far_as_the_customer_has_come(opened: Any) -> None:
    script = Script("return", "fragile", done=("Ask for the number",))
    matching = await match(script, opened, "I want to return order 17, it is fragile")
    assert matching.spent.calls == 2
    assert matching.active == ("warn", "return.reason")
    assert [(i.id, i.action) for i in matching.instructions] == [("return.reason", "Ask for the reason")]
    assert positions(matching) == {"return": ("ask", "reason")}
    assert [g["when"] for g in script.seen[1]["guidelines"]] == ["fragile"]


async def test_a_journey_under_way_goes_on_within_the_one_call(opened: Any) -> None:
    script = Script("fragile", done=("Ask for the reason",))
    matching = await match(script, opened, "because it broke", path=("ask", "reason"))
    assert matching.spent.calls == 1
    assert matching.active == ("warn", "return.label")
    assert positions(matching) == {"return": ("ask", "reason", "label")}
    assert script.seen[0]["journeys"][0]["path"] == ["S1", "S2"]
    assert script.seen[0]["more_guidelines"] == [{"id": "G6", "when": "fragile", "do": "Warn of breakage"}]


async def test_a_journey_at_its_end_is_over(opened: Any) -> None:
    matching = await match(Script(done=("Send a label",)), opened, "thanks", path=("ask", "reason", "label"))
    assert (matching.active, positions(matching)) == ((), {})


async def test_a_journey_set_aside_rests_where_it_was_and_so_do_its_guidelines(opened: Any) -> None:
    matching = await match(Script("hello", "fragile", course="set_aside"), opened, "hello", path=("ask", "reason"))
    assert (matching.active, positions(matching)) == (("greet",), None)
    assert ("warn", False) in [(r.guideline_id, r.active) for r in matching.resolutions]


async def test_a_journey_that_is_outranked_does_not_move(opened: Any) -> None:
    script = Script("cancel", done=("Ask for the number",))
    matching = await match(script, opened, "cancel it", path=("ask",))
    assert (matching.active, positions(matching)) == (("cancel",), None)


async def test_an_open_choice_asks_for_exactly_what_fits_in_place_of_all_it_chooses_from(opened: Any) -> None:
    script = Script("order", "hello", "return", options=("cancel", "return"))
    matching = await match(script, opened, "hello, about my order")
    assert matching.active == ("unclear.choice", "greet")
    (asked,) = matching.instructions
    assert asked.condition == "something about the order"
    assert "(1) cancel the order; (2) wants to return" in asked.action
    assert "change" not in asked.action
    assert matching.spent.calls == 1, "a journey that is offered does not begin"
    reasons = {r.guideline_id: r.reason for r in matching.resolutions}
    assert reasons == dict.fromkeys(("unclear", "cancel", "change", "journey:return"), "ambiguous: unclear")


@pytest.mark.parametrize("options", [(), ("cancel",)])
async def test_with_fewer_than_two_options_there_is_nothing_to_ask(opened: Any, options: tuple[str, ...]) -> None:
    matching = await match(Script("cancel", "something", options=options), opened, "cancel my order")
    assert matching.active == ("unclear", "cancel")
    assert matching.instructions == ()


async def test_what_an_option_is_cannot_be_made_up(opened: Any) -> None:
    """`hello` is a guideline, but none of the declared options."""
    script = Script("something")
    honest = script._choice
    script._choice = lambda *args: {**honest(*args), "options": ["G1", "G2", "G3", "G4"]}  # type: ignore[method-assign]
    matching = await match(script, opened, "my order")
    (asked,) = matching.instructions
    assert "hello" not in asked.action


async def test_without_an_answer_journeys_wait_and_none_begins(opened: Any) -> None:
    for path in ((), ("ask", "reason")):
        matching = await match(["no", "no"], opened, "hm", path=path)
        assert (matching.active, matching.instructions, positions(matching)) == ((), (), None)


async def test_a_journey_whose_walk_could_not_be_judged_begins_at_its_beginning(opened: Any) -> None:
    first = Script("return")
    lines = iter([first, "no", "no"])

    def script(request: Request) -> Any:
        line = next(lines)
        return line(request) if callable(line) else line

    matching = await match(script, opened, "I want to return it")
    assert matching.active == ("return.ask",)
    assert positions(matching) == {"return": ("ask",)}
    assert matching.spent.calls == 3
