"""
`holdfast lab`: known processes, to see what the reports make of them.
"""

import asyncio
import os
import time
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.operator import tables
from services.operator.adapters.stack import Broker
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
from services.operator.domain.showing import marked
from services.operator.hazard.records import AuditLabel, RecordedClaim, to_line
from services.operator.settings import OperatorSettings
from services.operator.verification.drafts import read_domains
from shared.errors import Fatal
from shared.settings import read_settings

if TYPE_CHECKING:
    from services.operator.hazard.check import Goal

app = typer.Typer(no_args_is_help=True, help="Simulate what is known, and see what the reports make of it.")

CLAIMS, LABELS = "claims.jsonl", "audit.jsonl"
EXIT_MISSED = 1
LABELLED = Path(str(files("services.operator"))) / "samples" / "verification"


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


@app.command("verification")
def verification(
    turns: Annotated[int, typer.Option(help="of the whole pipeline, for each hallucination rate", min=10)] = 600,
    broker: Annotated[Broker, typer.Option(help="where the topics live")] = Broker.EMBEDDED,
) -> None:
    """
    Set error rates, and see whether they come back as measured and nothing leaves that the verifier was not set to
    miss: the whole pipeline on a rehearsal model that invents 0, 5 and 20 % of its claims, with a right and an erring
    verifier, and the verifier on a scripted model.

    Exits with 1 where a rate does not agree, or something left that nobody let pass.
    """
    needs_extra()
    from services.operator.verification import lab as laboratory  # noqa: PLC0415  (the extra is optional)
    from services.operator.verification.tables import share  # noqa: PLC0415

    settings = read_settings(OperatorSettings, os.environ)
    domains = read_domains(sorted(LABELLED.glob("*.yaml")))
    console = Console()
    failed = 0
    trials = [
        *(
            laboratory.rehearsed(
                settings, hallucination=hallucination, miss=miss, false_alarm=alarm, turns=turns, broker=broker
            )
            for hallucination in (0.0, 0.05, 0.2)
            for miss, alarm in ((0.0, 0.0), (0.3, 0.1))
        ),
        *(
            laboratory.scripted(settings, domains, miss=miss, false_alarm=alarm, seed=1, broker=broker)
            for miss, alarm in ((0.0, 0.0), (0.3, 0.1))
        ),
    ]
    for trial in map(asyncio.run, trials):
        failed += not trial.holds
        rows = [
            (one.name, f"{one.set:.1%}", share(one.measured), "agrees" if one.agrees else "DOES NOT")
            for one in trial.expected
        ]
        rows.append(("wrong claims that left", "", share(trial.rates.residual), ""))
        rows.append(("of them not passed by the model", "0", f"{trial.unexplained}", _good(not trial.unexplained)))
        console.print(tables.figures(trial.name, ("", "set", "measured (95 %)", ""), rows))
    console.print(
        f"{failed} trials do not hold" if failed else "every trial holds",
        style="bold red" if failed else "bold green",
    )
    raise typer.Exit(EXIT_MISSED if failed else 0)


def _good(held: bool) -> str:
    return "holds" if held else "DOES NOT"


def _save(out: Path, records: list[RecordedClaim], labels: list[AuditLabel]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, lines in ((CLAIMS, records), (LABELS, labels)):
            with (out / name).open("w", encoding="utf-8") as file:
                file.writelines(to_line(line) for line in lines)
    except OSError as error:
        raise Fatal(f"{error.filename or out} cannot be written: {marked(str(error.strerror))}") from None


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
