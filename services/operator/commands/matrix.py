"""
`holdfast chaos matrix`: every kind of fault, one row each.
"""

import asyncio
import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker
from services.operator.faults.matrix import ROWS, chosen
from services.operator.faults.post import LoadPlan
from services.operator.faults.running import MatrixPlan, RowResult, run_row
from services.operator.faults.world import Row
from services.operator.settings import OperatorSettings
from shared.settings import read_settings


def command(
    names: Annotated[list[str] | None, typer.Argument(help="rows to run; all without", metavar="ROW...")] = None,
    broker: Annotated[Broker, typer.Option(help="rows of the brokers need kafka3")] = Broker.KAFKA3,
    events: Annotated[int, typer.Option(help="customer messages a row", min=100)] = 20_000,
    rate: Annotated[float, typer.Option(help="messages a second", min=0.001)] = 100.0,
    replicas: Annotated[int, typer.Option(help="processes of each stage", min=1)] = 2,
    latency: Annotated[float, typer.Option(help="seconds that the rehearsal model takes", min=0)] = 0.1,
    seed: Annotated[int, typer.Option(help="of loads and faults")] = 1,
    report: Annotated[Path | None, typer.Option(help="write the results as JSON")] = None,
    show: Annotated[bool, typer.Option("--list", help="only list the rows")] = False,
) -> None:
    """
    Go through the fault matrix: a whole Holdfast under load for each kind of fault.

    Each row is judged by an independent reader: nothing lost, doubled or out of order (I1–I3), no word of one tenant
    with the other's records, in logs or in metrics (I4), only vouched text (I5), bounded model calls (I8), counters
    that agree with the topics (I9), at rest within a minute (I10), processes that leave with 0 (I12); dead letters
    byte for byte (I6) and replays (I7) in rows of their own. Exits with 0 only if every row held.
    """
    console = Console()
    rows = chosen(names or [])
    if show:
        console.print(_listing())
        return
    settings = read_settings(OperatorSettings, os.environ)
    plan = MatrixPlan(
        folder=Path(settings.operator.folder) / "matrix",
        playbook=bank_playbook(),
        load=LoadPlan(sample_texts(), events, max(50, events // 4), seed),
        rate=rate,
        broker=broker,
        replicas=replicas,
        latency_seconds=latency,
        ready_seconds_max=settings.operator.ready_seconds_max * 2,
    )
    results: list[RowResult] = []
    for row in rows:
        with console.status(f"[bold]{row.name}[/]: {row.what}") as status:
            result = asyncio.run(run_row(row, plan, settings.kafka, partial(_tell, status, row)))
        results.append(result)
        console.print(line(result), highlight=False)
        if report:
            report.write_text(json.dumps([asdict(done) for done in results], indent=1), encoding="utf-8")
    held = sum(not result.broken for result in results)
    console.print(f"[bold]{held} of {len(results)} rows held[/]")
    raise typer.Exit(0 if held == len(results) else 1)


def line(result: RowResult) -> str:
    """A row's result in one line; what is broken on lines of its own."""
    outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(result.outcomes.items()))
    more = "".join(f" · {name}: {value}" for name, value in result.figures.items())
    verdict = "[bold red]BROKEN[/]" if result.broken else "[green]held[/]"
    head = (
        f"{verdict} [bold]{result.row}[/] · {result.messages:,} messages · {result.turns:,} turns ({outcomes}) · "
        f"{result.faults:,} faults · {result.calls_a_turn:.2f} calls a turn · "
        f"at rest after {result.quiet_seconds:.1f} s · left within {result.stop_seconds:.1f} s{more}"
    )
    return "\n".join([head, *(f"    [red]{finding}[/]" for finding in result.broken)])


def _tell(status: Status, row: Row, phase: str) -> None:
    status.update(f"[bold]{row.name}[/]: {phase}")


def _listing() -> Table:
    table = Table("row", "fault", header_style="bold", title="the fault matrix")
    for row in ROWS.values():
        table.add_row(row.name, row.what)
    return table
