"""
Replies of approved texts, checked again from the record: each part is a text of the playbook that may be used now, and
filling its fields anew gives the very same bytes, without what they hide.
"""

from collections.abc import Mapping, Sequence

from services.verifier.domain.case import Case
from services.verifier.domain.claims import Piece
from shared.arq.wording import contains_phrase
from shared.events.composition import Composition
from shared.events.turns import FactRecord, Segment
from shared.playbook.approved import Known, composition_of, eligible, known_values
from shared.playbook.model import CannedReply
from shared.playbook.templates import GENERATIVE, TemplateFault, Unfilled, fields_of, render
from shared.text.visible import cleaned

CANNED = "canned"


def is_strict(case: Case) -> bool:
    """Whether only approved texts may be sent, by the playbook and the guidelines that apply."""
    return composition_of(case.playbook, case.active) is Composition.STRICT


def unapproved(case: Case, pieces: Sequence[Piece]) -> tuple[str, ...]:
    """What of a reply that has to be strict is no approved text, each as `rule: what`, without any of its text."""
    drafted = case.drafted
    offered = {reply.id: reply for reply in eligible(case.playbook, drafted.opened, drafted.matching)}
    known = known_values(case.playbook, drafted.opened, drafted.draft.results)
    return tuple(
        f"composition: part {place} is {fault}"
        for place, piece in enumerate(pieces, start=1)
        if not piece.dropped and (fault := _fault(piece.segment, offered, known, case.ground.facts))
    )


def _fault(
    segment: Segment,
    offered: Mapping[str, CannedReply],
    known: Mapping[str, Known],
    facts: Mapping[str, FactRecord],
) -> str:
    reply = offered.get(segment.canned_id)
    if reply is None:
        return "no approved text that may be used now"
    try:
        wanted = {name for name in fields_of(reply.text) if name.startswith(GENERATIVE)}
        found = {field.name: field for field in segment.fields if field.name in wanted}
        for field in found.values():
            fact = facts.get(field.fact_id)
            stands = fact is not None and fact.source != CANNED and contains_phrase(fact.text, str(field.value))
            if not stands:
                return "filled with words that no fact has"
        values = {name: held.value for name, held in known.items()}
        filled = render(reply.text, values | {name: field.value for name, field in found.items()})
    except (TemplateFault, Unfilled):
        return "a text that cannot be filled"
    return "" if cleaned(filled) == segment.text else "not the approved text"
