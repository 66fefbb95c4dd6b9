"""
Findings for people (text) and for programs (JSON).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from services.operator.domain.showing import json_text, printable
from shared.playbook.finding import Basis, Finding, Severity
from shared.playbook.model import Playbook

STYLE: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_NOUNS: Final = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.NOTE: "notes"}


def show(console: Console, findings: Iterable[Finding]) -> None:
    """Print *findings* in order, each with its place, reason and remedy."""
    for file, listed in groupby(findings, key=lambda finding: finding.file):
        if file:
            console.print(Text(printable(file), style="bold underline"))
        for finding in listed:
            console.print(_line(finding), soft_wrap=True)
            console.print(Text(f"          {printable(finding.remedy)}", style="dim"), soft_wrap=True)


def summary(file: str, playbook: Playbook | None, findings: Sequence[Finding]) -> Text:
    """One line on a file: whether it is usable, what it holds, and how many findings there are."""
    counts = Counter(finding.severity for finding in findings)
    told = ", ".join(f"{counts[severity]} {noun}" for severity, noun in _NOUNS.items() if counts[severity])
    file = printable(file)
    if playbook is None or counts[Severity.ERROR]:
        return Text(f"{file} is refused: {told}", style="bold red")
    held = f"agent {playbook.agent}, {len(playbook.guidelines):,} guidelines, {len(playbook.journeys):,} journeys"
    return Text.assemble((f"{file} is usable", "green"), f": {held}, {told or 'nothing to remark'}")


def document(findings: Iterable[Finding]) -> str:
    """*findings* as JSON: a list of objects."""
    return json_text({"findings": [_object(finding) for finding in findings]})


def _line(finding: Finding) -> Text:
    place = f"{finding.line}:{finding.column}" if finding.line else ".".join(map(str, finding.path))
    by = "" if finding.by is Basis.RULE else f", by: {finding.by}"
    return Text.assemble(
        (f"{place:>9} ", "bold"),
        (f"{finding.severity}", STYLE[finding.severity]),
        f" {printable(finding.reason)} ",
        (f"[{finding.rule}{by}]", "dim"),
    )


def _object(finding: Finding) -> Mapping[str, Any]:
    return {
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "path": list(finding.path),
        "code": finding.rule,
        "severity": str(finding.severity),
        "by": str(finding.by),
        "reason": finding.reason,
        "remedy": finding.remedy,
    }
