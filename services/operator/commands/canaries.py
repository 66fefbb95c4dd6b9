"""
`holdfast chaos canaries`: is any tenant's word ever seen where it does not belong?
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker
from services.operator.commands.matrix import line
from services.operator.faults.matrix import ROWS
from services.operator.faults.post import LoadPlan
from services.operator.faults.running import MatrixPlan, run_row
from services.operator.settings import OperatorSettings
from shared.settings import read_settings


def command(
    events: Annotated[int, typer.Option(help="customer messages, the tenants by turns", min=100)] = 100_000,
    rate: Annotated[float, typer.Option(help="messages a second at most", min=0.001)] = 500.0,
    waiting: Annotated[int, typer.Option(help="messages without an outcome at once; paces it", min=1)] = 200,
    broker: Annotated[Broker, typer.Option(help="where the topics live")] = Broker.EMBEDDED,
    replicas: Annotated[int, typer.Option(help="processes of each stage", min=1)] = 1,
    latency: Annotated[float, typer.Option(help="seconds that the rehearsal model takes", min=0)] = 0.0,
    seed: Annotated[int, typer.Option(help="of the load")] = 1,
) -> None:
    """
    Give each tenant words of its own, in what customers write and in its playbook, and hunt them.

    Looked at are every request to the model, every record on every topic (keys, headers, dead letters, states), and
    every process's log and metrics. One record in a hundred is poison, so that dead letters are written too. It is the
    row `canaries` of `holdfast chaos matrix`, at a volume of its own. Exits with 0 only if nothing was found.
    """
    console = Console()
    settings = read_settings(OperatorSettings, os.environ)
    row = ROWS["canaries"]
    plan = MatrixPlan(
        folder=Path(settings.operator.folder) / "canaries",
        playbook=bank_playbook(),
        load=LoadPlan(sample_texts(), events, max(50, events // 4), seed),
        rate=rate,
        broker=broker,
        replicas=replicas,
        latency_seconds=latency,
        waiting_max=waiting,
        ready_seconds_max=settings.operator.ready_seconds_max * 2,
    )
    with console.status(f"[bold]{row.name}[/]: {row.what}") as status:
        result = asyncio.run(
            run_row(row, plan, settings.kafka, lambda phase: status.update(f"[bold]{row.name}[/]: {phase}"))
        )
    console.print(line(result), highlight=False)
    raise typer.Exit(1 if result.broken else 0)
