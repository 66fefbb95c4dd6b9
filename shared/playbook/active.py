"""
The guidelines of a turn: those of the playbook that apply, and the instructions of this turn only, in one form.
"""

from collections.abc import Mapping

from shared.events.turns import Instruction, Matching
from shared.playbook.model import Guideline


def active_guidelines(matching: Matching, known: Mapping[str, Guideline]) -> tuple[Guideline, ...]:
    """
    What *matching* says applies, most important first: *known* are the playbook's guidelines by id, and a journey's
    step that is due or a question that is open counts as a guideline.
    """
    instructions = {instruction.id: _guideline(instruction) for instruction in matching.instructions}
    found = (instructions.get(name) or known.get(name) for name in matching.active)
    return tuple(guideline for guideline in found if guideline is not None)


def _guideline(instruction: Instruction) -> Guideline:
    """Unvalidated: an instruction's id has a dot, so that no guideline of a playbook can have it."""
    return Guideline.model_construct(
        id=instruction.id, condition=instruction.condition, action=instruction.action, track=False
    )
