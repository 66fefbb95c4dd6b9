"""
What is to be verified, by which rules: everything that the procedure needs to know, and nothing that changes on the
way.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.verifier.domain.gate import TOOL_PREFIX, Ground
from shared.events.conversation import Author
from shared.events.tools import ToolStatus
from shared.events.turns import Draft, FactRecord, TurnDrafted
from shared.playbook.active import active_guidelines
from shared.playbook.model import Criticality, Guideline, Playbook, Variant
from shared.text.words import words

_SHARES = 1 << 32
UNVOUCHED = "unvouched"
"""The source of a fact that names a tool of which no call was done."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a playbook version fixes for verifying: made once a version."""

    guidelines: dict[str, Guideline]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Case:
    """
    A draft and how to verify it. `active` are the guidelines that apply, `guidelines` those that the reply has to
    perform; `corrects` says whether
    failures are mended or only recorded; `calibrates` that the blind check is made even where code settled all.
    """

    drafted: TurnDrafted
    playbook: Playbook
    ground: Ground
    known_guidelines: Mapping[str, Guideline]
    guidelines: tuple[Guideline, ...]
    active: tuple[Guideline, ...]
    corrects: bool
    calibrates: bool
    variant: Variant


def rules_of(playbook: Playbook) -> Rules:
    """What follows from *playbook* for every draft: the guidelines by id, and the names that need no fact."""
    named = [playbook.profile.name, *(name for term in playbook.glossary for name in (term.term, *term.synonyms))]
    return Rules({g.id: g for g in playbook.guidelines}, frozenset(word for name in named for word in words(name)))


def case_of(drafted: TurnDrafted, playbook: Playbook, rules: Rules) -> Case:
    """The case that *drafted* makes."""
    opened, matching, draft = drafted.opened, drafted.matching, drafted.draft
    said = "\n".join(message.text for message in opened.transcript if message.author is Author.CUSTOMER)
    ground = Ground(
        facts={fact.id: fact for fact in _vouched(draft)},
        names=rules.names.union(words(opened.customer_name)),
        customer=said,
        forbidden=playbook.phrases.forbidden,
    )
    active = active_guidelines(matching, rules.guidelines)
    to_perform = tuple(g for g in active if g.action and g.criticality is not Criticality.LOW)
    return Case(
        drafted=drafted,
        playbook=playbook,
        ground=ground,
        known_guidelines=rules.guidelines | {guideline.id: guideline for guideline in active},
        guidelines=to_perform,
        active=active,
        corrects=corrects(playbook, opened.turn.arm),
        variant=variant(playbook, opened.turn.arm),
        calibrates=falls_within(opened.turn.id, playbook.verification.calibration_share),
    )


def _vouched(draft: Draft) -> Iterator[FactRecord]:
    """The facts of *draft*; what says that it is a tool's, and of which no call was done, vouches for no action."""
    done = {f"{TOOL_PREFIX}{result.call.tool}" for result in draft.results if result.status is ToolStatus.DONE}
    for fact in draft.facts:
        claimed = fact.source.startswith(TOOL_PREFIX) and fact.source not in done
        yield fact.model_copy(update={"source": UNVOUCHED}) if claimed else fact


def corrects(playbook: Playbook, arm: str) -> bool:
    """Whether failures are mended: as the experiment's *arm* says, else as the playbook does."""
    if playbook.experiment is not None and arm in playbook.experiment.arms:
        own = playbook.experiment.arms[arm].corrects
        return playbook.verification.corrects if own is None else own
    return playbook.verification.corrects


def variant(playbook: Playbook, arm: str) -> Variant:
    """How claims are checked: as the experiment's *arm* says, else as the playbook does."""
    if playbook.experiment is not None and arm in playbook.experiment.arms:
        return playbook.experiment.arms[arm].variant or playbook.verification.variant
    return playbook.verification.variant


def falls_within(turn_id: str, share: float) -> bool:
    """Whether *turn_id* belongs to the *share* of turns that its hash picks: the same turns whoever asks."""
    digest = hashlib.sha256(f"calibration\x1f{turn_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * _SHARES
