"""
What authors get wrong in journeys: states that nothing leads to, ways that lead nowhere.
"""

from collections.abc import Iterator

from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import END, Journey, Playbook, StateKind


def journey_findings(playbook: Playbook) -> Iterator[Finding]:
    """Everything that the rules find in the journeys of *playbook*."""
    for index, journey in enumerate(playbook.journeys):
        where: Path = ("journeys", index)
        yield from _transitions(journey, where)
        yield from _states(journey, where)
        yield from _unreachable(journey, where)
        yield from _endless(journey, where)
    known = {journey.id for journey in playbook.journeys}
    for path, name in _scopes(playbook):
        if name is not None and name not in known:
            yield _error("unknown_reference", path, f"there is no journey `{name}`", "name one that exists")


def _scopes(playbook: Playbook) -> Iterator[tuple[Path, str | None]]:
    for index, guideline in enumerate(playbook.guidelines):
        yield ("guidelines", index, "journey"), guideline.journey
    for index, reply in enumerate(playbook.canned_replies):
        yield ("canned_replies", index, "journey"), reply.journey


def _transitions(journey: Journey, where: Path) -> Iterator[Finding]:
    ids = {state.id for state in journey.states}
    for place, state in enumerate(journey.states):
        for number, transition in enumerate(state.next):
            path = (*where, "states", place, "next", number, "to")
            if transition.to != END and transition.to not in ids:
                yield _error("unknown_reference", path, f"there is no state `{transition.to}`", "name one, or `end`")
        always = [number for number, transition in enumerate(state.next) if not transition.when]
        if len(always) > 1 or (always and always[0] != len(state.next) - 1):
            path = (*where, "states", place, "next", always[0])
            reason = "this way is always open, so those after it are never needed"
            yield _warning("way_always_open", path, reason, "give it a `when`, or put it last")


def _states(journey: Journey, where: Path) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, state in enumerate(journey.states):
        path = (*where, "states", place)
        if state.id in seen:
            reason = f"`{state.id}` is already the id of another state of `{journey.id}`"
            yield _error("duplicate_id", (*path, "id"), reason, "give each state its own id")
        seen.add(state.id)
        if state.id == END:
            yield _error("reserved_id", (*path, "id"), f"`{END}` is where journeys end", "give the state another id")
        if state.kind is StateKind.TOOL and state.tool is None:
            yield _error("missing_tool", path, "a state of kind `tool` names none", "add `tool:`")
        if state.kind is StateKind.CHAT and not state.action:
            yield _error(
                "missing_action", path, "a state of kind `chat` says nothing", "add `action:`, or make it a fork"
            )
        if state.kind is StateKind.FORK and not state.next:
            yield _error("dead_end", path, "a fork leads nowhere", "add `next:`")


def _unreachable(journey: Journey, where: Path) -> Iterator[Finding]:
    states = {state.id: state for state in journey.states}
    reached, pending = set[str](), [journey.states[0].id]
    while pending:
        name = pending.pop()
        if name in states and name not in reached:
            reached.add(name)
            pending += [transition.to for transition in states[name].next]
    for place, state in enumerate(journey.states):
        if state.id not in reached:
            reason = f"no way leads from the first state to `{state.id}`"
            yield _warning("unreachable_state", (*where, "states", place), reason, "lead a way there, or remove it")


def _endless(journey: Journey, where: Path) -> Iterator[Finding]:
    """States from which no way leads out of the journey: it would go round for ever."""
    before: dict[str, list[str]] = {}
    for state in journey.states:
        for transition in state.next:
            before.setdefault(transition.to, []).append(state.id)
    ending = [END, *(state.id for state in journey.states if not state.next)]
    reached, pending = set[str](), ending
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += before.get(name, [])
    for place, state in enumerate(journey.states):
        if state.id not in reached:
            reason = f"from `{state.id}` no way leads to the journey's end"
            yield _warning("endless_journey", (*where, "states", place), reason, f"lead a way to `{END}`")


def _error(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, rule, path, reason, remedy)


def _warning(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, rule, path, reason, remedy)
