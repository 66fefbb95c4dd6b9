"""
What is wrong with a playbook: a finding names the place, the reason and the remedy.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import Invalid

Path = tuple[str | int, ...]
"""Where in a playbook: keys and list indexes from its root, as in `("guidelines", 3, "condition")`."""

SHOWN_MAX = 20


class Severity(StrEnum):
    """An error refuses the playbook; a warning is likely a mistake; a note is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Basis(StrEnum):
    """What a finding rests on: a rule that is never wrong about it, wording that makes it likely, a model's answer."""

    RULE = "rule"
    HEURISTIC = "heuristic"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing found. `rule` is a stable snake_case name; `line` and `column` are 1-based, 0 where the playbook came from
    no file.
    """

    severity: Severity
    rule: str
    path: Path
    reason: str
    remedy: str
    file: str = ""
    line: int = 0
    column: int = 0
    by: Basis = Basis.RULE

    @property
    def place(self) -> str:
        """The position that people can go to: `file:line`, else the path within the playbook."""
        return f"{self.file}:{self.line}" if self.file else ".".join(map(str, self.path)) or "playbook"

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.reason}; {self.remedy} [{self.rule}]"


class PlaybookError(Invalid):
    """A playbook that cannot be used; `findings` says all that is wrong with it, in order of place."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: Sequence[Finding] = tuple(findings)
        shown = "\n".join(map(str, self.findings[:SHOWN_MAX]))
        more = len(self.findings) - SHOWN_MAX
        super().__init__("bad_playbook", f"{shown}\n… and {more} more" if more > 0 else shown)


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those of *findings* that refuse a playbook."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)
