"""
Journeys: from the model's walk to the state that is due. The model says what is completed; the way itself is checked
here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.matcher.domain.blueprints import JourneyCheck, Step
from shared.events.turns import Instruction
from shared.playbook.model import END, Journey, State, StateKind

PATH_STATES_MAX = 64
"""Of a position, newest kept: it is for backtracking, and travels with every turn."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a journey stands: its path, and the state that is due this turn (None: set aside, or at an end)."""

    path: tuple[str, ...]
    due: State | None
    ended: bool = False


def begun(journey: Journey) -> Progress:
    """A journey at its beginning, nothing yet known."""
    first = journey.states[0]
    return Progress((first.id,), first)


def progress(journey: Journey, path: Sequence[str], check: JourneyCheck, names: Mapping[str, str]) -> Progress:
    """
    Where *journey* stands after *check*; *names* maps the prompt's state numbers to ids.

    The walk keeps to the journey's transitions: where the model leaps, it is followed only along a way that leaves no
    choice; where it goes astray, the last sound state is due. A tool's state is never passed without its result.
    """
    states = {state.id: state for state in journey.states}
    known = tuple(name for name in path if name in states)
    if check.course == "set_aside":
        return Progress(known, None)
    start = _start(journey, known, check, names)
    kept = known[: _last_index(known, start)] if check.course != "begins_anew" else ()
    steps = {names[step.state]: step for step in check.steps if step.state in names}
    walked, ended = _walk(states, start, steps, names)
    full = (*kept, *walked)[-PATH_STATES_MAX:]
    return Progress(full, None if ended else states[walked[-1]], ended)


def instruction(journey: Journey, state: State) -> Instruction:
    """What the reply has to do in *state*."""
    return Instruction(
        id=step_id(journey.id, state.id),
        condition=f"{journey.title}: the step “{state.id}” is due",
        action=state.action or f"Use the tool {state.tool}",
        tool=state.tool or "",
    )


def step_id(journey: str, state: str) -> str:
    """A state's id among a turn's active guidelines."""
    return f"{journey}.{state}"


def _start(journey: Journey, known: Sequence[str], check: JourneyCheck, names: Mapping[str, str]) -> str:
    """Where the walk begins: the current state, the one that is revised, or the first."""
    back_to = names.get(check.back_to, "")
    if check.course == "revises" and back_to in known:
        return back_to
    if check.course == "begins_anew" or not known:
        return journey.states[0].id
    return known[-1]


def _last_index(known: Sequence[str], name: str) -> int:
    return len(known) - 1 - list(reversed(known)).index(name) if name in known else len(known)


def _walk(
    states: Mapping[str, State], start: str, steps: Mapping[str, Step], names: Mapping[str, str]
) -> tuple[list[str], bool]:
    """The states from *start* to the one that is due, and whether the way ended there; no state is entered twice."""
    walked = [start]
    while (following := _following(states[walked[-1]], steps.get(walked[-1]), names)) is not None:
        if following == END:
            return walked, True
        if following in walked or following not in states:
            break
        walked.append(following)
    return walked, False


def _following(state: State, step: Step | None, names: Mapping[str, str]) -> str | None:
    """Where *state* leads: None while it is due, `end` after a journey's last state."""
    if not _is_completed(state, step):
        return None
    allowed = [transition.to for transition in state.next]
    if not allowed:
        return END
    chosen = "" if step is None else names.get(step.leads_to, step.leads_to)
    if chosen in allowed:
        return chosen
    return allowed[0] if len(allowed) == 1 else None


def _is_completed(state: State, step: Step | None) -> bool:
    if state.kind is StateKind.FORK:
        return step is not None or (len(state.next) == 1 and not state.next[0].when)
    return step is not None and step.completed == "completed"
