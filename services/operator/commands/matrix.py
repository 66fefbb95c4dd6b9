"""
`holdfast chaos matrix`: every kind of fault, one row each.
"""

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker
from services.operator.faults import upgrade_rows
from services.operator.faults.matrix import ROWS, chosen
from services.operator.faults.post import LoadPlan
from services.operator.faults.report import read_results, write_results
from services.operator.faults.running import MatrixPlan, RowResult, run_row
from services.operator.faults.world import Row
from services.operator.settings import OperatorSettings
from shared.settings import read_settings


def command(
    names: Annotated[list[str] | None, typer.Argument(help="rows to run; all without", metavar="ROW...")] = None,
    broker: Annotated[Broker, typer.Option(help="rows of the brokers need kafka3")] = Broker.KAFKA3,
    events: Annotated[int, typer.Option(help="customer messages a row; see --list", min=100)] = 20_000,
    rate: Annotated[float, typer.Option(help="messages a second", min=0.001)] = 100.0,
    waiting: Annotated[
        int, typer.Option(help="so many messages without an outcome pause the load; 0: nothing does", min=0)
    ] = 500,
    replicas: Annotated[int, typer.Option(help="processes of each stage", min=1)] = 2,
    latency: Annotated[float, typer.Option(help="seconds that the rehearsal model takes", min=0)] = 0.1,
    seed: Annotated[int, typer.Option(help="of loads and faults")] = 1,
    report: Annotated[
        Path | None, typer.Option(help="JSON file of results; a row that is run takes the place of what it has there")
    ] = None,
    resume: Annotated[bool, typer.Option(help="do not run rows again that held by the report, at that volume")] = False,
    former: Annotated[
        str, typer.Option("--from", help="commit whose processes release-upgrade begins with")
    ] = upgrade_rows.FORMER,
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
    rows = [upgrade_rows.row(former) if row.name == upgrade_rows.NAME else row for row in chosen(names or [])]
    if show:
        console.print(_listing(events))
        return
    if resume and report is None:
        raise typer.BadParameter("--resume goes on with a file that --report names", param_hint="--resume")
    known = read_results(report) if report else {}
    settings = read_settings(OperatorSettings, os.environ)
    plan = partial(
        MatrixPlan,
        folder=Path(settings.operator.folder) / "matrix",
        playbook=bank_playbook(),
        rate=rate,
        broker=broker,
        replicas=replicas,
        latency_seconds=latency,
        waiting_max=waiting,
        ready_seconds_max=settings.operator.ready_seconds_max * 2,
    )
    if not upgrade_rows.is_known(former) and any(row.name == upgrade_rows.NAME for row in rows):
        console.print(f"skipped [bold]{upgrade_rows.NAME}[/]: there is no history here that holds {former}")
        rows = [row for row in rows if row.name != upgrade_rows.NAME]
    held = 0
    for row in rows:
        asked = events * row.volumes
        result = known.get(row.name) if resume else None
        if result is None or result.broken or result.asked < asked:
            load = LoadPlan(sample_texts(), asked, max(50, asked // 4), seed)
            with console.status(f"[bold]{row.name}[/]: {row.what}") as status:
                result = asyncio.run(run_row(row, plan(load=load), settings.kafka, partial(_tell, status, row)))
            known[row.name] = result
            if report:
                write_results(report, known)
        held += not result.broken
        console.print(line(result), highlight=False)
    console.print(f"[bold]{held} of {len(rows)} rows held[/]")
    raise typer.Exit(0 if held == len(rows) else 1)


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


def _listing(events: int) -> Table:
    table = Table("row", "fault", header_style="bold", title="the fault matrix")
    table.add_column("messages", justify="right")
    for row in ROWS.values():
        table.add_row(row.name, row.what, f"{events * row.volumes:,}")
    return table
