"""
Whether a reply gives away what its draft was instructed.
"""

from services.reasoner.domain.rules import rules
from services.reasoner.domain.task import Task
from shared.arq.leakage import repeats_instruction, repeats_rules


def leaks(text: str, task: Task) -> bool:
    """Whether *text* repeats the rules of the prompt or one of its guidelines, word by word."""
    shown = (*task.follow, *task.principles, *task.observed)
    instructions = [part for guideline in shown for part in (guideline.condition, guideline.action) if part]
    facts = (record.text for record in task.facts.records)
    return repeats_rules(text, rules(task.mode, task.composition)) or repeats_instruction(text, instructions, facts)
