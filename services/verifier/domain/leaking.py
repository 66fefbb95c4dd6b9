"""
Whether a reply gives away the guidelines that it was drafted by.
"""

from services.verifier.domain.case import Case
from shared.arq.leakage import repeats_instruction


def tells_instructions(text: str, case: Case) -> bool:
    """Whether *text* repeats a guideline's condition or action that no fact and no approved text has."""
    instructions = [part for g in case.active for part in (g.condition, g.action) if part]
    allowed = [fact.text for fact in case.drafted.draft.facts]
    allowed += [reply.text for reply in case.playbook.canned_replies]
    return repeats_instruction(text, instructions, allowed)
