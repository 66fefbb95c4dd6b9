"""
What no part of a playbook may hold, wherever it stands: numbers that are not finite, characters that nobody sees.
"""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import Playbook
from shared.text.visible import hidden

WEIGHT_MAX = 1_000_000.0
CODES_NAMED_MAX = 5


def value_findings(playbook: Playbook) -> Iterator[Finding]:
    """Everything that is found in the single values of *playbook*."""
    for path, value in _values(playbook.model_dump(exclude_defaults=True)):
        if isinstance(value, float) and not isfinite(value):
            reason = f"`{value}` is no finite number"
            yield Finding(Severity.ERROR, "bad_number", path, reason, "write one that is")
        elif isinstance(value, str) and (codes := hidden(value)):
            effect = "is left out when the text is sent" if _is_sent(path) else "nobody sees who reads the text"
            reason = f"the text holds {', '.join(codes[:CODES_NAMED_MAX])}, which {effect}"
            yield Finding(Severity.WARNING, "hidden_characters", path, reason, "delete it, or type the text anew")
    arms = playbook.experiment.arms if playbook.experiment else {}
    for name, arm in arms.items():
        if isfinite(arm.weight) and arm.weight > WEIGHT_MAX:
            path = ("experiment", "arms", name, "weight")
            reason = f"the weight is beyond {WEIGHT_MAX:,.0f}"
            yield Finding(Severity.ERROR, "bad_number", path, reason, "write smaller weights of the same proportion")


def _is_sent(path: Path) -> bool:
    return path[0] in {"canned_replies", "fallbacks", "acknowledgement"}


def _values(whole: Any) -> Iterator[tuple[Path, Any]]:
    """Each text and number within *whole*, and each key of a mapping, with its path."""
    pending: list[tuple[Path, Any]] = [((), whole)]
    while pending:
        path, part = pending.pop()
        if isinstance(part, dict):
            pending += [((*path, key), value) for key, value in part.items()]
            yield from (((*path, key), key) for key in part)
        elif isinstance(part, list | tuple):
            pending += [((*path, index), value) for index, value in enumerate(part)]
        else:
            yield path, part
