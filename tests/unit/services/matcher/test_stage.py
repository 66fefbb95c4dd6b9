"""The matcher's work on a turn, with a scripted model."""

import json
from collections.abc import Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatchingSettings
from services.matcher.stage import Matcher
from shared.arq.prompt import parse
from shared.errors import Retryable
from shared.events.envelope import Envelope
from shared.events.topics import TOPICS, TURNS_FINISHED, TURNS_MATCHED
from shared.events.turns import FinishResult, MatchVerdict, TurnFinished, TurnMatched, TurnOpened
from shared.llm.base import Request
from shared.llm.errors import CircuitOpen, DeadlineExceeded, ModelRefused, ModelUnavailable
from shared.llm.rehearsal.rules import Situation
from shared.llm.rehearsal.rules_match import match
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.scripted import ScriptedModel
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook, Profile, Relationship, RelationshipKind

OPENED_AT = 1_772_442_000.0
SETTINGS = MatchingSettings(model_share=0.4, model_wait_max_seconds=20, playbook_wait_max_seconds=10)


def event(opened: TurnOpened) -> Envelope[TurnOpened]:
    return Envelope(
        id="e",
        source="/tenants/acme/conversations",
        type="turn.opened",
        time=opened.turn.opened_at,
        subject="c-1",
        data=opened,
    )


def perfect(*applies: str) -> Any:
    """A model that says that the guidelines whose condition holds one of the words *applies* apply."""

    def answer(request: Request) -> Mapping[str, Any]:
        sections: dict[str, Any] = {}
        for message in request.messages:
            sections |= parse(message.content)
        done = sections.get("already_applied", [])
        holds = {g["id"] for g in sections["guidelines"] if any(word in g["when"] for word in applies)}
        checks, again, principles = [], [], []
        for guideline in sections["guidelines"]:
            number = guideline["id"]
            verdict = "applies" if number in holds else "not_now"
            judged = {"guideline": number, "condition": "c", "evidence": "e", "verdict": verdict}
            if number in done:
                again.append({**judged, "met_again": "yes", "outstanding": "substance"})
            elif guideline.get("kind") == "principle":
                principles += [number] if number in holds else []
            else:
                checks.append(judged)
        return {"checks": checks, "reapplications": again, "principles": principles}

    return answer


class World:
    """A matcher over one published playbook, at a settable time."""

    def __init__(self, playbook: Playbook, script: Any) -> None:
        self.now = OPENED_AT + 1
        self.registry = CollectorRegistry()
        self.model = ScriptedModel(script)
        directory = StaticDirectory()
        self.version = directory.put("acme", playbook)
        self.matcher = Matcher(self.model, directory, SETTINGS, MatcherMetrics(self.registry), clock=lambda: self.now)

    async def match(self, opened: TurnOpened) -> TurnMatched:
        ((topic, kind, body),) = await self.matcher.process(event(opened))
        assert (topic, kind) == (TURNS_MATCHED, "turn.matched")
        assert kind in TOPICS[topic].types
        assert isinstance(body, TurnMatched)
        return body

    def unknown(self, reason: str) -> float | None:
        return self.registry.get_sample_value("holdfast_match_unknown_total", {"reason": reason})


async def test_one_call_decides_all_guidelines(playbook: Playbook, opened: Any) -> None:
    world = World(playbook, perfect("fee", "hello", "lost"))
    turn = opened("hello, what is the fee for a lost card?", version=world.version)
    body = await world.match(turn)
    assert body.matching.active == ("card-lost", "fee", "greet")
    assert body.matching.candidates == len(body.matching.matches) == 7
    assert (body.matching.spent.calls, body.matching.spent.model) == (1, "scripted")
    assert body.opened == turn
    (mark,) = body.marks
    assert (mark.stage, mark.received_ms) == ("matcher", round(world.now * 1000))


async def test_the_call_is_bounded_and_paid_by_the_tenant(playbook: Playbook, opened: Any) -> None:
    world = World(playbook, perfect())
    await world.match(opened("hello", version=world.version))
    (request,) = world.model.requests
    assert (request.purpose, request.tenant, request.schema_name) == ("match", "acme", "match_guidelines_v1")
    assert request.output_tokens_max == 400 + 7 * 120


async def test_performed_guidelines_are_asked_about_again(playbook: Playbook, opened: Any) -> None:
    world = World(playbook, perfect("fee"))
    body = await world.match(
        opened("and the fee?", version=world.version, applied=["fee", "greet", "retired-long-ago"])
    )
    assert body.matching.active == ("fee",)
    prompt = world.model.requests[0].messages[1].content
    assert parse(prompt)["already_applied"] == ["G4"]


@pytest.mark.parametrize("enabled", [False, None])
async def test_without_guidelines_no_call_is_made(playbook: Playbook, opened: Any, enabled: bool | None) -> None:
    off = tuple(g.model_copy(update={"enabled": False}) for g in playbook.guidelines) if enabled is False else ()
    world = World(Playbook(agent="desk", profile=Profile(name="A"), guidelines=off), [])
    body = await world.match(opened("hello", version=world.version))
    assert (body.matching.active, body.matching.candidates, body.matching.spent.calls) == ((), 0, 0)
    assert world.model.requests == []


async def test_an_incomplete_answer_is_asked_for_anew(playbook: Playbook, opened: Any) -> None:
    world = World(playbook, [{"checks": [], "reapplications": [], "principles": []}, *[None]])
    good = perfect("lost")
    first = {"checks": [], "reapplications": [], "principles": []}
    world.model = ScriptedModel(lambda request: first if len(world.model.requests) == 1 else good(request))
    world.matcher._model = world.model
    body = await world.match(opened("I lost it", version=world.version))
    assert body.matching.active == ("card-lost",)
    assert body.matching.spent.calls == 2


@pytest.mark.parametrize(
    ("script", "reason", "calls"),
    [
        (["no json", "still none"], "invalid_not_json", 2),
        ([ModelRefused("too_long", "too long")], "refused_too_long", 0),
    ],
)
async def test_where_the_model_cannot_say_the_policy_decides_and_the_turn_goes_on(
    playbook: Playbook, opened: Any, script: list[Any], reason: str, calls: int
) -> None:
    world = World(playbook, script)
    body = await world.match(opened("I lost it", version=world.version))
    assert body.matching.active == ("card-lost",)
    assert {match.verdict for match in body.matching.matches} == {MatchVerdict.UNKNOWN}
    assert body.matching.spent.calls == calls
    assert world.unknown(reason) == 1


async def test_a_playbook_may_count_the_unknown_otherwise(playbook: Playbook, opened: Any) -> None:
    book = playbook.model_copy(update={"matching": playbook.matching.model_copy(update={"unknown_applies": ()})})
    world = World(book, ["no", "no"])
    assert (await world.match(opened("I lost it", version=world.version))).matching.active == ()


async def test_while_there_is_time_an_absent_model_is_tried_again(playbook: Playbook, opened: Any) -> None:
    world = World(playbook, [ModelUnavailable("rate_limited", "busy"), CircuitOpen("open", retry_after_seconds=30)])
    turn = opened("I lost it", version=world.version)
    with pytest.raises(ModelUnavailable):
        await world.match(turn)
    body = await world.match(turn)
    assert body.matching.active == ("card-lost",)
    assert world.unknown("unavailable_circuit_open") == 1


async def test_when_matchings_time_is_used_up_the_policy_decides(playbook: Playbook, opened: Any) -> None:
    """20 s of the turn's 50 are matching's: what is left is for drafting and verification."""
    world = World(playbook, [DeadlineExceeded("too late")])
    world.now = OPENED_AT + 20.1
    body = await world.match(opened("I lost it", version=world.version))
    assert body.matching.active == ("card-lost",)
    assert world.unknown("unavailable_timeout") == 1


async def test_a_missing_version_is_waited_for_and_then_fails_the_turn(playbook: Playbook, opened: Any) -> None:
    world = World(playbook, [])
    turn = opened("hello", version="0" * 16)
    with pytest.raises(Retryable, match="not known here yet"):
        await world.matcher.process(event(turn))
    world.now = turn.turn.opened_at.timestamp() + timedelta(seconds=11).total_seconds()
    ((topic, kind, body),) = await world.matcher.process(event(turn))
    assert (topic, kind) == (TURNS_FINISHED, "turn.finished")
    assert isinstance(body, TurnFinished)
    assert (body.result, body.reason, body.fallback) == (FinishResult.FAILED, "playbook_unavailable", "failed")


async def test_relationships_decide_what_stays_and_the_record_says_why(playbook: Playbook, opened: Any) -> None:
    related = playbook.model_copy(
        update={
            "relationships": (
                Relationship(kind=RelationshipKind.PRIORITY, source="card-lost", targets=("fee",)),
                Relationship(kind=RelationshipKind.ENTAILMENT, source="card-lost", targets=("calm",)),
            ),
        },
    )
    world = World(related, perfect("fee", "lost"))
    body = await world.match(opened("fee for a lost card?", version=world.version))
    assert body.matching.active == ("card-lost", "calm")
    assert {(r.guideline_id, r.active, r.reason) for r in body.matching.resolutions} == {
        ("fee", False, "deprioritized: card-lost"),
        ("calm", True, "entailed: card-lost"),
    }


async def test_a_tenant_is_not_served_with_anothers_playbook(playbook: Playbook, opened: Any) -> None:
    world = World(playbook, perfect("lost"))
    turn = opened("I lost it", version=world.version)
    other = turn.model_copy(update={"turn": turn.turn.model_copy(update={"tenant": "rival"})})
    await world.match(turn)
    with pytest.raises(Retryable):
        await world.matcher.process(event(other))


async def test_the_rehearsal_model_satisfies_the_blueprint(playbook: Playbook, opened: Any) -> None:
    def rehearse(request: Request) -> Mapping[str, Any]:
        sections: dict[str, Any] = {}
        for message in request.messages:
            sections |= parse(message.content)
        return match(Situation(sections, request.schema, Random(0), RehearsalSettings()))

    world = World(playbook, rehearse)
    body = await world.match(opened("Hi", "Hello", "I lost my card", version=world.version, applied=["fee"]))
    assert "card-lost" in body.matching.active
    assert body.matching.spent.calls == 1
    assert json.loads(body.model_dump_json())["matching"]["matches"]
