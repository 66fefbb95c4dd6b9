"""The walk through a journey: the model says what is completed, the journey says where that leads."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.domain.blueprints import JourneyCheck, Step
from services.matcher.domain.journeys import PATH_STATES_MAX, Progress, begun, instruction, progress
from shared.playbook.model import END, Journey, State, StateKind, Transition


def state(text: str) -> State:
    """`name->next,next?when`, a trailing `!` makes it a tool, `*` a fork."""
    name, _, following = text.partition("->")
    kind = {"!": StateKind.TOOL, "*": StateKind.FORK}.get(name[-1], StateKind.CHAT)
    ways = [way.partition("?") for way in following.split(",") if way]
    return State(
        id=name.rstrip("!*"),
        kind=kind,
        action="" if kind is StateKind.FORK else f"do {name}",
        tool="lookup" if kind is StateKind.TOOL else None,
        next=tuple(Transition(to=to, when=when) for to, _, when in ways),
    )


JOURNEY = Journey(
    id="return",
    title="Return an item",
    conditions=("The customer wants to return an item",),
    states=tuple(
        map(state, ["ask->when", "when->find", "find!->way", "way*->late?late,label?in-time", "late", "label->end"])
    ),
)
NAMES = {f"S{place}": item.id for place, item in enumerate(JOURNEY.states, start=1)}
NUMBERS = {name: number for number, name in NAMES.items()}


def check(course: str = "goes_on", *steps: tuple[str, str, str], back_to: str = "none") -> JourneyCheck:
    return JourneyCheck(
        journey="J1",
        situation="s",
        course=course,
        back_to=NUMBERS.get(back_to, back_to),
        steps=tuple(
            Step(state=NUMBERS.get(name, name), evidence="e", completed=status, leads_to=NUMBERS.get(to, to))
            for name, status, to in steps
        ),
    )


DONE = "completed"


def go(path: str, answer: JourneyCheck) -> tuple[str, str | None, bool]:
    found = progress(JOURNEY, path.split(), answer, NAMES)
    return " ".join(found.path), found.due.id if found.due else None, found.ended


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        ("", check(), ("ask", "ask", False)),
        ("ask", check("goes_on", ("ask", "needs_customer", "none")), ("ask", "ask", False)),
        ("ask", check("goes_on", ("ask", DONE, "when")), ("ask when", "when", False)),
        (
            "",
            check("goes_on", ("ask", DONE, "when"), ("when", DONE, "find"), ("find", "needs_tool", "none")),
            ("ask when find", "find", False),
        ),
        (
            "ask when find",
            check("goes_on", ("find", DONE, "way"), ("way", DONE, "late"), ("late", "needs_agent", "none")),
            ("ask when find way late", "late", False),
        ),
        ("ask when find way late", check("goes_on", ("late", DONE, "end")), ("ask when find way late", None, True)),
        ("ask when find way label", check("goes_on", ("label", DONE, "end")), ("ask when find way label", None, True)),
        ("ask when", check("set_aside"), ("ask when", None, False)),
        (
            "ask when find way label",
            check("revises", ("when", DONE, "find"), back_to="when"),
            ("ask when find", "find", False),
        ),
        ("ask when find", check("begins_anew", ("ask", DONE, "when")), ("ask when", "when", False)),
    ],
    ids=["begins", "waits", "advances", "several at once", "fork", "last", "to the end", "aside", "revises", "anew"],
)
def test_a_walk(path: str, answer: JourneyCheck, expected: tuple[str, str | None, bool]) -> None:
    assert go(path, answer) == expected


@pytest.mark.parametrize(
    ("path", "answer", "due"),
    [
        # A leap over states that nobody judged ends at the first of them.
        ("ask", check("goes_on", ("ask", DONE, "label")), "when"),
        # A fork without a clear way out is where the journey stands.
        ("ask when find", check("goes_on", ("find", DONE, "way"), ("way", DONE, "ask")), "way"),
        ("ask when find", check("goes_on", ("find", DONE, "way")), "way"),
        # A tool's state is not passed for what is said of the states after it.
        ("ask when find", check("goes_on", ("way", DONE, "late"), ("late", "needs_agent", "none")), "find"),
        # Going back to where one never was is going on.
        ("ask when", check("revises", back_to="label"), "when"),
        ("ask when", check("revises", back_to="S99"), "when"),
        ("ask gone", check("goes_on"), "ask"),
    ],
)
def test_where_the_model_goes_astray_the_last_sound_state_is_due(path: str, answer: JourneyCheck, due: str) -> None:
    assert go(path, answer)[1] == due


def test_a_circle_is_walked_once() -> None:
    journey = Journey(id="j", title="t", conditions=("c",), states=(state("a->b"), state("b->a")))
    names = {"S1": "a", "S2": "b"}
    steps = tuple(Step(state=n, evidence="e", completed=DONE, leads_to=to) for n, to in (("S1", "S2"), ("S2", "S1")))
    answer = JourneyCheck(journey="J1", situation="s", course="goes_on", back_to="none", steps=steps)
    assert progress(journey, (), answer, names) == Progress(("a", "b"), journey.states[1])


def test_a_long_path_keeps_its_newest_states() -> None:
    answer = check("goes_on", ("when", DONE, "find"))
    found = progress(JOURNEY, ("ask", "when") * 100, answer, NAMES)
    assert len(found.path) == PATH_STATES_MAX
    assert found.path[-3:] == ("ask", "when", "find")


def test_a_journey_begins_in_its_first_state() -> None:
    assert begun(JOURNEY) == Progress(("ask",), JOURNEY.states[0])


def test_a_steps_instruction_says_what_to_do_under_an_id_no_guideline_can_have() -> None:
    said = instruction(JOURNEY, JOURNEY.states[0])
    assert (said.id, said.action, said.tool) == ("return.ask", "do ask", "")
    used = instruction(JOURNEY, JOURNEY.states[2])
    assert (used.id, used.tool) == ("return.find", "lookup")


STATE = st.sampled_from([*NUMBERS, "S99"])
STEPS = st.lists(
    st.tuples(STATE, st.sampled_from([DONE, "needs_customer"]), st.sampled_from([*NUMBERS, "S99", END, "none"])),
    max_size=8,
)


@given(
    st.lists(st.sampled_from([*NUMBERS, "gone"]), max_size=8),
    st.sampled_from(["goes_on", "revises", "begins_anew", "set_aside"]),
    STEPS,
    STATE,
)
def test_whatever_the_model_says_the_walk_keeps_to_the_journey(
    path: list[str], course: Any, steps: Any, back: str
) -> None:
    found = progress(JOURNEY, path, check(course, *steps, back_to=back), NAMES)
    by_id = {item.id: item for item in JOURNEY.states}
    assert set(found.path) <= by_id.keys()
    if course == "set_aside":
        assert found.due is None
        return
    if found.due is not None:
        assert found.path[-1] == found.due.id
    judged = {name for name, status, _ in steps if status == DONE}
    known = [name for name in path if name in by_id]
    added = found.path[len(known) :] if found.path[: len(known)] == tuple(known) else ()
    for before, after in pairwise([*known[-1:], *added]):
        assert after in {way.to for way in by_id[before].next}
        assert before in judged or by_id[before].kind is StateKind.FORK
