"""
Agreement with recorded decisions of another resolver, where the recording is at hand: it is no part of this repository.

`SCENARIOS_FILE` names the file: a JSON list of scenarios, of which those of area `relationship_resolution` are run.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.matcher.domain.relationships import Node, graph_of
from services.matcher.domain.resolving import Resolved, resolve
from shared.playbook.model import Relationship

AREA = "relationship_resolution"
FILE = Path(os.environ.get("SCENARIOS_FILE", Path(__file__).parents[5] / "shared/data/parlant/scenarios.json"))
STEP = re.compile(r"(j\d+)( node)? action")


def scenarios() -> list[Any]:
    if not FILE.is_file():
        return []
    return [pytest.param(item, id=item["name"]) for item in json.loads(FILE.read_text("utf-8")) if item["area"] == AREA]


def journey_of(guideline: Mapping[str, Any]) -> str:
    """The recording names a step's journey in its action only, or, without one, by the place that both have."""
    if guideline["action"] is None:
        return str(guideline["id"].replace("g", "j"))
    named = STEP.fullmatch(guideline["action"])
    return named[1] if named else ""


def nodes(scenario: Mapping[str, Any]) -> list[Node]:
    return [
        Node(id=item["id"], tags=tuple(item["tags"]), priority=item["priority"], journey=journey_of(item))
        for item in scenario["guidelines"]
    ]


def reference(name: str, kind: str) -> str:
    if name.startswith("journey:") or kind == "guideline":
        return name
    return f"any:{name}" if kind == "tag_any" else f"tag:{name}"


def relationships(scenario: Mapping[str, Any]) -> list[Relationship]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for number, item in enumerate(scenario["extra"]["relationships"]):
        source = reference(item["source"], item["source_type"])
        group = item.get("group", str(number))
        groups.setdefault((item["kind"], source, group), []).append(reference(item["target"], item["target_type"]))
    return [Relationship(kind=kind, source=source, targets=tuple(ts)) for (kind, source, _), ts in groups.items()]


def resolved(scenario: Mapping[str, Any]) -> Resolved:
    extra = scenario["extra"]
    journeys = {journey["id"]: journey["priority"] for journey in extra["active_journeys"]}
    return resolve(graph_of(nodes(scenario), relationships(scenario)), extra["initially_matched"], journeys)


@pytest.mark.skipif(not scenarios(), reason=f"no scenarios at {FILE}; SCENARIOS_FILE names another file")
@pytest.mark.parametrize("scenario", scenarios())
def test_the_recorded_guidelines_stay_for_the_recorded_reasons(scenario: Mapping[str, Any]) -> None:
    found = resolved(scenario)
    assert sorted(found.active) == sorted(scenario["expected_matched"])
    for entry in scenario["extra"]["resolutions"]:
        if entry["type"] == "guideline":
            kinds = [str(decision.kind) for decision in found.decisions.get(entry["id"], ())]
            assert kinds == [kind for kind in entry["kinds"] if kind != "none"], entry["id"]
