"""
From what the model said to what applies in a turn: choices, journeys, relationships, in this order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.matcher.domain import choices, journeys, matching
from services.matcher.domain.blueprints import FullAnswer, MatchAnswer
from services.matcher.domain.candidates import Candidate, journey_reference
from services.matcher.domain.compiled import Compiled
from services.matcher.domain.inquiry import Inquiry, Underway
from services.matcher.domain.journeys import Progress
from services.matcher.domain.prompts import mentioned
from services.matcher.domain.resolving import resolve
from services.matcher.domain.retrieval import Numbers
from shared.events.turns import Instruction, JourneyPosition, Match, Matching, TurnOpened
from shared.playbook.model import Criticality


@dataclass(frozen=True, slots=True)
class Heard:
    """An inquiry and the model's complete answer to it; None where it gave none."""

    inquiry: Inquiry
    answer: MatchAnswer | None

    @property
    def matches(self) -> tuple[Match, ...]:
        """The verdict on each candidate."""
        if self.answer is None:
            return matching.unknown(self.inquiry.candidates.values())
        return matching.verdicts(self.answer, self.inquiry.candidates)


def first_inquiry(desk: Compiled, opened: TurnOpened, similarity: Numbers | None = None) -> Inquiry:
    """
    What every turn asks: the candidates of all turns, and the journeys under way with their guidelines. *similarity* is
    that of the turn's meaning to each of the retriever's texts, where it is known.
    """
    underway = tuple(
        Underway(desk.journeys[name], position.path)
        for name, position in sorted(opened.journeys.items())
        if name in desk.journeys
    )
    chosen = desk.retriever.candidates(opened, similarity) if desk.retriever else ()
    return Inquiry(
        opened,
        desk.static,
        () if desk.retriever else desk.candidates,
        more=(*chosen, *_scoped(desk, underway)),
        underway=underway,
        terms=mentioned(desk.glossary, opened.transcript),
        with_situations=desk.has_situations,
    )


def second_inquiry(desk: Compiled, first: Sequence[Heard]) -> Inquiry | None:
    """
    What is asked of the journeys that begin in this turn, which may at once have come further than their first state;
    None where none begins. A journey that an open choice offers does not begin.
    """
    offered = choices.replaced([question for item in first for question in open_choices(item)])
    under_way = {item.journey.id for heard in first for item in heard.inquiry.underway}
    begun = {match.guideline_id for heard in first for match in heard.matches if match.verdict == "applies"}
    underway = tuple(
        Underway(journey)
        for name, journey in desk.journeys.items()
        if journey_reference(name) in begun - offered.keys() and name not in under_way
    )
    if not underway:
        return None
    return Inquiry(
        first[0].inquiry.opened,
        desk.rules,
        (),
        more=_scoped(desk, underway),
        underway=underway,
        terms=first[0].inquiry.terms,
        with_situations=True,
    )


def decide(desk: Compiled, opened: TurnOpened, heard: Sequence[Heard]) -> Matching:
    """The matcher's part of the turn's record, but for what it cost."""
    questions = [question for item in heard for question in open_choices(item)]
    replaced = choices.replaced(questions)
    progress = {name: found for item in heard for name, found in progress_of(item).items()}
    due = {name: found.due for name, found in progress.items() if found.due is not None}
    steps = {
        step.id: step for name, state in due.items() for step in (journeys.instruction(desk.journeys[name], state),)
    }
    applying = [name for item in heard for name in _applying(desk, item) if name not in replaced]
    resolved = resolve(desk.graph, [*applying, *steps], {name: desk.journeys[name].priority for name in due})
    asked = {question.instruction.id: question.instruction for question in questions}
    criticality = {name: guideline.criticality for name, guideline in desk.guidelines.items()}
    active = matching.by_importance((*asked, *resolved.active), criticality | dict.fromkeys(asked, Criticality.HIGH))
    matches = tuple(match for item in heard for match in item.matches)
    stands = {name: found for name, found in progress.items() if found.due is None or name in resolved.journeys}
    return Matching(
        active=active,
        matches=matches,
        resolutions=matching.resolutions(resolved, replaced),
        instructions=_instructions(active, asked | steps),
        journeys=positions(desk, opened, stands),
        candidates=len(matches),
    )


def open_choices(heard: Heard) -> list[choices.Question]:
    """The questions that the customer has to be asked."""
    if not isinstance(heard.answer, FullAnswer):
        return []
    numbered = heard.inquiry.candidates
    found = (choices.question(numbered[item.guideline], item, numbered) for item in heard.answer.choices)
    return [question for question in found if question is not None]


def _scoped(desk: Compiled, underway: Sequence[Underway]) -> tuple[Candidate, ...]:
    return tuple(candidate for item in underway for candidate in desk.scoped[item.journey.id])


def _applying(desk: Compiled, heard: Heard) -> list[str]:
    policy = desk.playbook.matching.unknown_applies
    names = matching.applying(heard.matches, heard.inquiry.candidates.values(), policy)
    return [name for name in names if name in desk.guidelines]


def progress_of(heard: Heard) -> dict[str, Progress]:
    """
    Where each journey of the inquiry stands. Without an answer one under way waits, and one that begins is at its first
    state.
    """
    checks = {}
    if isinstance(heard.answer, FullAnswer):
        checks = {item.journey: item for item in heard.answer.journeys}
    found: dict[str, Progress] = {}
    for number, item in heard.inquiry.journeys.items():
        journey = item.journey
        if (check := checks.get(number)) is not None:
            names = {name: state for state, name in heard.inquiry.numbers_of(journey).items()}
            found[journey.id] = journeys.progress(journey, item.path, check, names)
        else:
            found[journey.id] = Progress(item.path, None) if item.path else journeys.begun(journey)
    return found


def _instructions(active: Sequence[str], known: Mapping[str, Instruction]) -> tuple[Instruction, ...]:
    return tuple(known[name] for name in active if name in known)


def positions(
    desk: Compiled, opened: TurnOpened, progress: Mapping[str, Progress]
) -> dict[str, JourneyPosition] | None:
    """
    The positions after the turn, where they change: an ended journey has none, nor has one that is no longer known.
    """
    positions = {name: position for name, position in opened.journeys.items() if name in desk.journeys}
    for name, found in progress.items():
        if found.ended:
            positions.pop(name, None)
        elif found.path:
            positions[name] = JourneyPosition(path=found.path)
    return None if positions == opened.journeys else positions
