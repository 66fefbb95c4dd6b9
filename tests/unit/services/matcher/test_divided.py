"""A matching call that is too large is divided; a part that fails leaves the turn and the other parts theirs."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.matcher.domain.candidates import Candidate, Kind
from services.matcher.domain.inquiry import CallLimits, Inquiry
from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatchingSettings
from services.matcher.stage import Matcher
from shared.arq.prompt import parse
from shared.events.envelope import Envelope
from shared.events.turns import MatchVerdict, TurnMatched, TurnOpened
from shared.llm.base import Request
from shared.llm.errors import ModelRefused, ModelUnavailable
from shared.llm.scripted import ScriptedModel
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Criticality, Guideline, Playbook, Profile

OPENED_AT = 1_772_442_000.0
HIGH = (2, 7)
PLAYBOOK = Playbook(
    agent="desk",
    profile=Profile(name="A"),
    guidelines=tuple(
        Guideline(
            id=f"g{n}",
            condition=f"The customer asks about subject{n}",
            action="Answer",
            criticality=Criticality.HIGH if n in HIGH else Criticality.MEDIUM,
        )
        for n in range(10)
    ),
)


def all_apply(request: Request) -> Mapping[str, Any]:
    sections: dict[str, Any] = {}
    for message in request.messages:
        sections |= parse(message.content)
    checks = [
        {"guideline": item["id"], "condition": "c", "evidence": item["when"], "verdict": "applies"}
        for item in sections["guidelines"]
    ]
    return {"checks": checks, "reapplications": [], "principles": []}


async def matched(opened: Any, script: Any) -> tuple[TurnMatched, ScriptedModel, CollectorRegistry]:
    directory, registry = StaticDirectory(), CollectorRegistry()
    version = directory.put("acme", PLAYBOOK)
    model = ScriptedModel(script)
    settings = MatchingSettings(guidelines_per_call_max=4, calls_at_once_max=2)
    matcher = Matcher(model, directory, settings, MatcherMetrics(registry), clock=lambda: OPENED_AT + 1)
    turn: TurnOpened = opened("subject1?", version=version)
    event = Envelope(id="e", source="/t", type="turn.opened", time=turn.turn.opened_at, subject="c-1", data=turn)
    ((_, _, body),) = await matcher.process(event)
    assert isinstance(body, TurnMatched)
    return body, model, registry


def failing_where(text: str, error: Exception) -> Any:
    def script(request: Request) -> Mapping[str, Any]:
        if text in request.messages[1].content:
            raise error
        return all_apply(request)

    return script


async def test_parts_ask_the_same_between_them_and_cost_what_they_cost(opened: Any) -> None:
    body, model, _ = await matched(opened, all_apply)
    assert len(model.requests) == body.matching.spent.calls == 3
    assert {match.guideline_id for match in body.matching.matches} == {f"g{n}" for n in range(10)}
    assert {match.guideline_id: match.evidence[-8:] for match in body.matching.matches} == {
        f"g{n}": f"subject{n}" for n in range(10)
    }


@pytest.mark.parametrize("error", [ModelRefused("too_long", "no"), ModelUnavailable("timeout", "late")])
async def test_a_part_that_fails_leaves_its_guidelines_to_the_policy_by_criticality(
    error: Exception, opened: Any
) -> None:
    body, model, registry = await matched(opened, failing_where("asks about subject5", error))
    verdicts = {match.guideline_id: match.verdict for match in body.matching.matches}
    lost = {name for name, verdict in verdicts.items() if verdict is MatchVerdict.UNKNOWN}
    assert lost == {"g4", "g5", "g6", "g7"}
    # Of the unknown ones the highly critical one counts as applying (the playbook's default policy).
    assert set(body.matching.active) == {f"g{n}" for n in range(10)} - {"g4", "g5", "g6"}
    assert len(model.requests) == 3
    kind = f"refused_{error.kind}" if isinstance(error, ModelRefused) else "unavailable_timeout"
    assert registry.get_sample_value("holdfast_match_unknown_total", {"reason": kind}) == 1


async def test_a_turn_whose_every_part_is_unavailable_is_tried_again(opened: Any) -> None:
    with pytest.raises(ModelUnavailable):
        await matched(opened, failing_where("subject", ModelUnavailable("overloaded", "later")))


CANDIDATES = st.lists(st.tuples(st.integers(0, 300), st.sets(st.integers(0, 14), max_size=3)), max_size=15)


@given(CANDIDATES, st.integers(1, 6), st.integers(1, 500))
def test_any_inquiry_is_divided_without_loss_and_choices_stay_whole(
    shapes: list[tuple[int, set[int]]], guidelines: int, chars: int
) -> None:
    candidates = tuple(
        Candidate(
            id=f"g{place}",
            kind=Kind.CHOICE if options else Kind.ACTION,
            condition="x" * length,
            options=tuple(f"g{option}" for option in sorted(options)),
        )
        for place, (length, options) in enumerate(shapes)
    )
    whole = Inquiry(TurnOpened.model_construct(), (), candidates)
    parts = whole.split((), CallLimits(guidelines, chars))
    asked = [candidate for part in parts for candidate in part.candidates.values()]
    assert sorted(item.id for item in asked) == sorted(item.id for item in candidates)
    known = {item.id for item in candidates}
    for part in parts:
        here = {item.id for item in part.candidates.values()}
        for item in part.candidates.values():
            assert set(item.options) & known <= here
        tied = any(item.options for item in part.candidates.values())
        assert tied or len(here) <= guidelines
