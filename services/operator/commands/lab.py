"""
`holdfast lab`: known processes, to see what the reports make of them.
"""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.operator import tables
from services.operator.commands.report import (
    BorderOption,
    DrawsOption,
    JsonOption,
    OutOption,
    SeedOption,
    analysed,
    needs_extra,
    show,
)
from services.operator.hazard.records import AuditLabel, RecordedClaim, to_line
from shared.errors import Fatal

if TYPE_CHECKING:
    from services.operator.hazard.check import Goal

app = typer.Typer(no_args_is_help=True, help="Simulate what is known, and see what the reports make of it.")

CLAIMS, LABELS = "claims.jsonl", "audit.jsonl"
EXIT_MISSED = 1


class ProcessName(StrEnum):
    """How simulated answers err."""

    CONSTANT = "constant"
    FALLING = "falling"
    RISING = "rising"
    MIXED = "mixed"
    CORRECTING = "correcting"
    RECOVERING = "recovering"


@app.command("hazard")
def hazard(
    process: Annotated[
        ProcessName,
        typer.Option(
            help="`constant` E; `falling` with position (β = 0.6); `rising` after every error of the answer; `mixed`"
            " easy and hard answers; `correcting`: a verifier that errs, half of the conversations corrected;"
            " `recovering`: answers that take errors back later"
        ),
    ] = ProcessName.CONSTANT,
    answers: Annotated[int, typer.Option(help="how many", min=10, max=1_000_000)] = 10_000,
    audited: Annotated[float, typer.Option(help="share of the answers that an audit labels", min=0, max=1)] = 0.1,
    check: Annotated[
        bool, typer.Option("--check", help="hold the report to its goals over thousands of data sets (~2 minutes)")
    ] = False,
    border: BorderOption = 0,
    draws: DrawsOption = 2_000,
    seed: SeedOption = 0,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Simulate answers of a known process and report on them, the truth beside what was found.

    With --out the folder also gets the simulated claims and audit labels, as `holdfast report hazard` reads them. With
    --check nothing else is done; exits with 1 if a goal is missed.
    """
    needs_extra()
    if check:
        raise typer.Exit(_check(Console(), seed))
    import numpy as np  # noqa: PLC0415  (the extra is optional)

    from services.operator import hazard_tables  # noqa: PLC0415
    from services.operator.hazard import simulate, truth  # noqa: PLC0415
    from services.operator.hazard.answers import assemble  # noqa: PLC0415

    console = Console(stderr=as_json)
    known = simulate.PROCESSES[process.value]
    begun = time.monotonic()
    with console.status("simulating") as status:
        rng = np.random.default_rng(seed)
        simulated = simulate.simulate(known, answers, rng)
        records = list(simulate.to_records(simulated))
        labels = list(simulate.to_labels(simulated, rng, share=audited)) if audited else []
        report = analysed(assemble(records), labels, status, border=border, draws=draws, seed=seed)
    if out:
        _save(out, records, labels)
    source = f"{answers:,} simulated answers, process {process.value}, seed {seed}"
    show(console, report, source=source, out=out, as_json=as_json)
    if not as_json:
        console.print(hazard_tables.truths(truth.recovered(known, report)))
        console.print(f"{len(records):,} claims, {time.monotonic() - begun:.1f} s", style="dim", highlight=False)


def _save(out: Path, records: list[RecordedClaim], labels: list[AuditLabel]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, lines in ((CLAIMS, records), (LABELS, labels)):
            with (out / name).open("w", encoding="utf-8") as file:
                file.writelines(to_line(line) for line in lines)
    except OSError as error:
        raise Fatal(f"{error.filename or out} cannot be written: {escape(str(error.strerror))}") from None


def _check(console: Console, seed: int) -> int:
    from services.operator import hazard_tables  # noqa: PLC0415  (the extra is optional)
    from services.operator.hazard.check import Effort, goals  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("simulating")

        def told(one: "Goal") -> None:
            progress.update(task, description=f"{one.name}: {one.share:.1%}")

        found = goals(Effort(), seed=seed, on_goal=told)
    header = ("share of simulated data sets in which …", "measured", "goal", "data sets", "")
    console.print(tables.figures("does the report recover the truth?", header, map(hazard_tables.goal, found)))
    missed = sum(not one.met for one in found)
    console.print(
        f"{missed} goals missed" if missed else "every goal is met", style="bold red" if missed else "bold green"
    )
    return EXIT_MISSED if missed else 0
