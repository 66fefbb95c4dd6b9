"""
`holdfast playbook check`: all that is wrong with playbooks, for people, programs and code hosts.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.syntax import Syntax

from services.operator.domain.showing import json_text
from services.operator.review import telling
from services.operator.review.asking import Reviewer, undeclared
from services.operator.review.blueprints import Kind
from services.operator.review.reviewing import reviewed
from services.operator.review.sarif import sarif
from services.operator.review.writing import declared, difference
from services.operator.settings import OperatorSettings
from shared.errors import Fatal
from shared.llm.client import build_model
from shared.llm.metrics import LlmMetrics
from shared.playbook.finding import Basis, Finding, PlaybookError, Severity
from shared.playbook.loading import Loaded, located, read
from shared.settings import read_settings

LLM_URL = "HOLDFAST_LLM_URL"
Kinds = Mapping[int, frozenset[Kind]]


class Format(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def command(
    files: Annotated[list[Path], typer.Argument(help="playbooks, in YAML")],
    style: Annotated[Format, typer.Option("--format", help="of the findings, on standard output")] = Format.TEXT,
    strict: Annotated[bool, typer.Option(help="warnings refuse a playbook too")] = False,
    with_model: Annotated[
        bool, typer.Option("--with-model", help=f"ask the model at {LLM_URL} for contradictions and kinds as well")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="put the proposed kinds into the files; with --with-model")
    ] = False,
) -> None:
    """
    Say what is wrong with playbooks: place, reason and remedy of each finding.

    With a model, findings of its own are marked `by: model`, and kinds (continuous, customer_dependent,
    agent_intention) are proposed for guidelines that declare none. Exits with 1 if an error refuses a playbook (with
    `--strict`, a warning too); notes leave it usable.
    """
    if write and not with_model:
        raise Fatal("--write puts in what the model proposes; give --with-model too")
    console = Console()
    checked = [_checked(file) for file in files]
    if with_model:
        checked = asyncio.run(_asked(checked, console if style is Format.TEXT else Console(stderr=True), write))
    found = [finding for _, findings in checked for finding in findings]
    if style is Format.TEXT:
        for file, (loaded, findings) in zip(files, checked, strict=True):
            telling.show(console, findings)
            console.print(telling.summary(str(file), loaded.playbook if loaded else None, findings), soft_wrap=True)
    elif style is Format.JSON:
        print(telling.document(found))
    else:
        print(json_text(sarif(found)))
    refusing = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    if any(finding.severity in refusing for finding in found):
        raise typer.Exit(1)


Checked = tuple[Loaded | None, Sequence[Finding]]


def _checked(file: Path) -> Checked:
    try:
        loaded = read(file)
    except PlaybookError as error:
        return None, error.findings
    return loaded, located(loaded.source, (*loaded.findings, *reviewed(loaded.playbook)))


async def _asked(checked: Sequence[Checked], console: Console, write: bool) -> list[Checked]:
    """*checked* with what the model that the settings name adds to it."""
    if not os.environ.get(LLM_URL):
        raise Fatal(f"--with-model asks the endpoint that {LLM_URL} names, and it is not set")
    settings = read_settings(OperatorSettings, os.environ)
    own = settings.operator
    seconds = own.review_seconds_max
    patient = settings.llm.model_copy(update={"first_byte_timeout_seconds": seconds, "total_timeout_seconds": seconds})
    found: list[Checked] = []
    async with build_model(patient, LlmMetrics(CollectorRegistry())) as model:
        reviewer = Reviewer(model, patient.model, Path(own.review_folder), seconds, own.review_pairs_max)
        for loaded, findings in checked:
            found.append((loaded, findings) if loaded is None else await _reviewed(reviewer, loaded, console, write))
    usage = reviewer.usage
    console.print(
        f"model {patient.model}: {usage.calls} calls, {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
    )
    return found


async def _reviewed(reviewer: Reviewer, loaded: Loaded, console: Console, write: bool) -> Checked:
    asked = undeclared(loaded.playbook)
    kinds = await reviewer.classified([guideline for _, guideline in asked])
    proposed = {index: found for (index, _), found in zip(asked, kinds, strict=True) if found}
    _propose(console, loaded, proposed, write)
    if write:
        proposed = {}
    current, findings = _checked(Path(loaded.source.file))
    if current is None:
        raise Fatal(f"{loaded.source.file} was changed while it was checked; check it again")
    notes = [_undeclared(current, index, found) for index, found in proposed.items()]
    contradictions = await reviewer.contradictions(current.playbook)
    return current, located(current.source, (*findings, *contradictions, *notes))


def _undeclared(loaded: Loaded, index: int, kinds: frozenset[Kind]) -> Finding:
    reason = f"`{loaded.playbook.guidelines[index].id}` seems to be {' and '.join(sorted(kinds))}"
    remedy = "declare it (`--write` does), or declare it false"
    return Finding(Severity.NOTE, "undeclared_kind", ("guidelines", index), reason, remedy, by=Basis.MODEL)


def _propose(console: Console, loaded: Loaded, kinds: Kinds, write: bool) -> None:
    """Show the difference that declaring *kinds* makes to the file, or make it."""
    file = Path(loaded.source.file)
    text = file.read_bytes().decode()
    proposed = declared(text, loaded.source.file, kinds)
    if proposed == text:
        return
    if write:
        file.write_bytes(proposed.encode())
        console.print(f"{file}: kinds declared")
    else:
        console.print(Syntax(difference(text, proposed, str(file)), "diff", background_color="default"))
