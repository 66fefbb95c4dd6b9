"""
Task graphs that people really followed are journeys: each one converts, passes the checks and can be walked to its end.

The graphs are not part of this repository; `STAR_TASKS` names their folder (the STAR corpus' `tasks`).
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from shared.playbook.checking import check
from shared.playbook.finding import errors
from shared.playbook.mermaid import mermaid
from shared.playbook.model import END, Journey, Playbook, Profile, State, StateKind, Transition

FOLDER = Path(os.environ.get("STAR_TASKS", Path(__file__).parents[5] / "shared/data/star/tasks"))
FILES = sorted(FOLDER.glob("*/*.json")) if FOLDER.is_dir() else []
TASKS = [json.loads(file.read_text("utf-8")) for file in FILES if file.stem == file.parent.name]


def identifier(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "-", name.lower())


def journey_of(task: dict[str, Any]) -> Journey:
    """A task's graph maps each step to the one that follows it; what starts with `query` asks a service."""
    graph: dict[str, str] = task["graph"]
    names = list(dict.fromkeys(name for edge in graph.items() for name in edge))
    first = next(name for name in graph if name not in graph.values())
    states = [state_of(name, graph, task["replies"]) for name in sorted(names, key=lambda name: name != first)]
    return Journey(id=identifier(task["task"]), title=task["task"], conditions=("c",), states=tuple(states))


def state_of(name: str, graph: dict[str, str], replies: dict[str, str]) -> State:
    uses_tool = name == "query"
    following = graph.get(name)
    branches = [other for other in graph if other.startswith("query_")] if uses_tool else []
    targets = [following] if following else branches
    return State(
        id=identifier(name),
        kind=StateKind.TOOL if uses_tool else StateKind.CHAT,
        action=replies.get(name, name),
        tool="query" if uses_tool else None,
        needs_customer="ask" in name,
        next=tuple(Transition(to=identifier(to), when=to if len(targets) > 1 else "") for to in targets),
    )


@pytest.mark.skipif(not TASKS, reason=f"no task graphs at {FOLDER}; STAR_TASKS names another folder")
@pytest.mark.parametrize("task", TASKS, ids=lambda task: str(task["task"]))
def test_a_task_graph_is_a_sound_journey(task: dict[str, Any]) -> None:
    journey = journey_of(task)
    playbook = Playbook(agent="desk", profile=Profile(name="A"), journeys=(journey,))
    assert errors(check(playbook)) == ()
    assert mermaid(journey).count("-->") == 1 + sum(len(state.next) for state in journey.states)
    by_id = {state.id: state for state in journey.states}
    walked: set[str] = set()
    state = journey.states[0]
    while state.next and state.next[0].to != END and state.id not in walked:
        walked.add(state.id)
        state = by_id[state.next[0].to]
    assert len(walked) >= 2
