"""
Approved texts in a turn: how strict the wording has to be, which texts may be used, and what fills their fields.

The reasoner fills texts by this, and the verifier fills them again to compare.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from shared.events.composition import Composition, FilledField
from shared.events.tools import ToolResult, ToolStatus
from shared.events.turns import Matching, TurnOpened
from shared.playbook.model import CannedReply, Guideline, Playbook
from shared.playbook.templates import AGENT_NAME, CUSTOMER_NAME, FACTS, ROOTS, VARIABLES
from shared.playbook.variables import variables_of

_STRICTNESS = {Composition.FLUID: 0, Composition.COMPOSED: 1, Composition.STRICT: 2}


class Known(NamedTuple):
    """A value that a field may take, and the fact that it is, if it is one."""

    value: JsonValue
    fact_id: str = ""


def composition_of(playbook: Playbook, active: Iterable[Guideline]) -> Composition:
    """The strictest of what the playbook and its *active* guidelines ask for."""
    asked = [playbook.composition, *(g.composition for g in active if g.composition is not None)]
    return max(asked, key=_STRICTNESS.__getitem__)


def eligible(playbook: Playbook, opened: TurnOpened, matching: Matching) -> tuple[CannedReply, ...]:
    """The approved texts that may be used now: whose journey is under way, and one of whose guidelines is active."""
    under_way = opened.journeys.keys() | (matching.journeys or {}).keys()
    active = frozenset(matching.active)
    return tuple(
        reply
        for reply in playbook.canned_replies
        if (reply.journey is None or reply.journey in under_way)
        and (not reply.guidelines or not active.isdisjoint(reply.guidelines))
    )


def known_values(playbook: Playbook, opened: TurnOpened, results: Sequence[ToolResult]) -> dict[str, Known]:
    """
    What fields may be filled with by code: names, variables, the playbook's facts, and the fields that tools brought;
    of two tools that bring the same field, the later one counts.
    """
    known = {AGENT_NAME: Known(playbook.profile.name)}
    if opened.customer_name.strip():
        known[CUSTOMER_NAME] = Known(opened.customer_name.strip())
    for name, value in variables_of(opened, playbook).current.items():
        known[f"{VARIABLES}{name}"] = Known(value, f"variable.{name}")
    known |= {f"{FACTS}{fact.id}": Known(fact.text, fact.id) for fact in playbook.facts}
    for result in results:
        if result.status is ToolStatus.DONE:
            brought = {name: value for name, value in result.fields.items() if name.partition(".")[0] not in ROOTS}
            known |= {name: Known(value) for name, value in brought.items()}
    return known


def filled(names: Iterable[str], known: Mapping[str, Known]) -> tuple[FilledField, ...]:
    """*names* with their values, as the record keeps them."""
    return tuple(FilledField(name=name, value=known[name].value, fact_id=known[name].fact_id) for name in names)
