"""
All that code alone has to say of a playbook beside the checks that refuse it (`shared.playbook.checking`).
"""

from collections.abc import Callable, Iterator

from services.operator.review.exposure import exposures
from services.operator.review.likeness import contradictions, near_duplicates
from services.operator.review.reach import unreachable
from services.operator.review.sizes import crowding
from shared.playbook.finding import Finding
from shared.playbook.model import Playbook

RULES: tuple[Callable[[Playbook], Iterator[Finding]], ...] = (
    near_duplicates,
    contradictions,
    unreachable,
    crowding,
    exposures,
)


def reviewed(playbook: Playbook) -> tuple[Finding, ...]:
    """Everything that the rules find in *playbook*."""
    return tuple(finding for rule in RULES for finding in rule(playbook))
