"""
Guidelines that can never be active, whatever a customer says.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from shared.playbook.finding import Basis, Finding, Severity
from shared.playbook.model import Guideline, Playbook, RelationshipKind
from shared.playbook.references import Reference, ReferenceKind, reference
from shared.text.plain import folded

_UNCONDITIONAL: Final = frozenset(
    ("always", "always true", "true", "in every case", "at all times", "in any case", "in all cases")
)


def unreachable(playbook: Playbook) -> Iterator[Finding]:
    """Guidelines that nothing can match, or that always fall to another, each with the cause."""
    causes = {index: _by_itself(guideline, playbook) for index, guideline in enumerate(playbook.guidelines)}
    dead = {playbook.guidelines[index].id: cause for index, cause in causes.items() if cause}
    dead |= {one.id: "it is disabled" for one in playbook.guidelines if not one.enabled}
    _spread(playbook, dead)
    outranked = _outranked(playbook)
    for index, guideline in enumerate(playbook.guidelines):
        cause = dead.get(guideline.id) or outranked.get(guideline.id)
        if guideline.enabled and cause:
            yield Finding(
                Severity.WARNING,
                "unreachable_guideline",
                ("guidelines", index),
                f"`{guideline.id}` can never be active: {cause}",
                "remove it, or remove the cause",
                by=Basis.HEURISTIC if cause.startswith("always") else Basis.RULE,
            )


def _by_itself(guideline: Guideline, playbook: Playbook) -> str:
    disabled = {journey.id for journey in playbook.journeys if not journey.enabled}
    if guideline.journey in disabled:
        return f"its journey `{guideline.journey}` is disabled"
    if not any(char.isalnum() for char in guideline.condition):
        return "its condition has no word that could hold"
    return ""


def _spread(playbook: Playbook, dead: dict[str, str]) -> None:
    """Add to *dead* what depends on it, until nothing is added."""
    tagged = _tagged(playbook)
    journeys = {journey.id for journey in playbook.journeys if not journey.enabled}
    needs = [
        (source, one.kind, [_members(reference(target), tagged, journeys, dead) for target in one.targets])
        for one in playbook.relationships
        if one.kind in {RelationshipKind.DEPENDENCY, RelationshipKind.DEPENDENCY_ANY}
        for source in _sources(reference(one.source), tagged)
    ]
    grew = True
    while grew:
        before = len(dead)
        for source, kind, targets in needs:
            missing = [_missing(members, any_suffices, dead) for members, any_suffices in targets]
            unmet = all(missing) if kind is RelationshipKind.DEPENDENCY_ANY else any(missing)
            if unmet and source not in dead:
                dead[source] = f"it depends on `{next(filter(None, missing))}`, which can never be active"
        grew = len(dead) > before


def _members(
    target: Reference, tagged: Mapping[str, list[str]], journeys: set[str], dead: dict[str, str]
) -> tuple[list[str], bool]:
    """The guidelines behind *target*, and whether one of them suffices."""
    if target.kind is ReferenceKind.JOURNEY:
        if target.name in journeys:
            dead.setdefault(f"journey:{target.name}", "it is disabled")
        return [f"journey:{target.name}"], False
    if target.kind is ReferenceKind.GUIDELINE:
        return [target.name], False
    return tagged.get(target.name, []), target.kind is ReferenceKind.ANY


def _sources(source: Reference, tagged: Mapping[str, list[str]]) -> list[str]:
    if source.kind is ReferenceKind.GUIDELINE:
        return [source.name]
    return tagged.get(source.name, []) if source.kind is not ReferenceKind.JOURNEY else []


def _missing(members: list[str], any_suffices: bool, dead: Mapping[str, str]) -> str:
    gone = [name for name in members if name in dead]
    return gone[0] if gone and (not any_suffices or len(gone) == len(members)) else ""


def _tagged(playbook: Playbook) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for guideline in playbook.guidelines:
        for tag in guideline.tags:
            found.setdefault(tag, []).append(guideline.id)
    return found


def _outranked(playbook: Playbook) -> dict[str, str]:
    """Guidelines that a relationship or a number drops whenever they match."""
    found: dict[str, str] = {}
    conditions = {one.id: folded(one.condition).rstrip(".") for one in playbook.guidelines if one.enabled}
    always = [one for one in playbook.guidelines if one.enabled and conditions[one.id] in _UNCONDITIONAL]
    unscoped = [one for one in always if one.journey is None]
    for guideline in playbook.guidelines:
        higher = next((one for one in unscoped if one.priority > guideline.priority), None)
        if higher:
            found[guideline.id] = f"always does `{higher.id}` apply too, with the higher priority {higher.priority}"
    needed = {
        (one.source, target)
        for one in playbook.relationships
        if one.kind is RelationshipKind.DEPENDENCY
        for target in one.targets
    }
    for one in playbook.relationships:
        for target in one.targets if one.kind is RelationshipKind.PRIORITY else ():
            source = conditions.get(one.source)
            if (target, one.source) in needed:
                found[target] = f"it depends on `{one.source}`, which takes priority over it"
            elif source is not None and source in {conditions.get(target), *(_UNCONDITIONAL)} and target in conditions:
                found[target] = f"always when it holds, so does `{one.source}`, which takes priority over it"
    return found
