"""
`holdfast playbook check`: all that is wrong with playbooks, for people, programs and code hosts.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operator.review import telling
from services.operator.review.reviewing import reviewed
from services.operator.review.sarif import sarif
from shared.playbook.finding import Finding, PlaybookError, Severity
from shared.playbook.loading import Loaded, located, read


class Format(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def command(
    files: Annotated[list[Path], typer.Argument(help="playbooks, in YAML")],
    style: Annotated[Format, typer.Option("--format", help="of the findings, on standard output")] = Format.TEXT,
    strict: Annotated[bool, typer.Option(help="warnings refuse a playbook too")] = False,
) -> None:
    """
    Say what is wrong with playbooks: place, reason and remedy of each finding.

    Exits with 1 if an error refuses one of them (with `--strict`, a warning too); notes leave it usable.
    """
    console = Console()
    found: list[Finding] = []
    for file in files:
        loaded, findings = _findings(file)
        found += findings
        if style is Format.TEXT:
            telling.show(console, findings)
            console.print(telling.summary(str(file), loaded.playbook if loaded else None, findings), soft_wrap=True)
    if style is Format.JSON:
        print(telling.document(found))
    elif style is Format.SARIF:
        print(json.dumps(sarif(found), indent=2, ensure_ascii=False))
    refusing = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    if any(finding.severity in refusing for finding in found):
        raise typer.Exit(1)


def _findings(file: Path) -> tuple[Loaded | None, Sequence[Finding]]:
    try:
        loaded = read(file)
    except PlaybookError as error:
        return None, error.findings
    remarks = located(loaded.source, (*loaded.findings, *reviewed(loaded.playbook)))
    return loaded, remarks
