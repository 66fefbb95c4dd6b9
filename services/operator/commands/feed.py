"""
`holdfast feed FILE`: play recorded dialogues against a running Holdfast, then report.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from services.operator import tables
from services.operator.adapters.drive import Pace, playing
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.watch import Watch
from services.operator.domain.dialogues import Dialogue, read_dialogues
from services.operator.domain.timing import Spread, breakdown
from services.operator.settings import OperatorSettings
from shared.broker.clients import KafkaSettings
from shared.settings import read_settings

CHECK_SECONDS = 0.5


def command(
    file: Annotated[Path, typer.Argument(help="dialogues, one JSON object a line", exists=True, dir_okay=False)],
    tenant: Annotated[str, typer.Option(help="whose playbook answers")] = "harbour",
    agent: Annotated[str, typer.Option(help="which playbook of the tenant answers")] = "bank",
    domain: Annotated[str, typer.Option(help="only dialogues of this domain")] = "",
    limit: Annotated[int, typer.Option(help="at most so many dialogues; 0 is all", min=0)] = 0,
    speed: Annotated[float, typer.Option(help="divides the recorded pauses; 0 leaves them out", min=0)] = 0.0,
    conversations: Annotated[int, typer.Option(help="conversations open at once", min=1)] = 100,
    take_turns: Annotated[bool, typer.Option(help="a customer reads the outcome before writing again")] = True,
    patience: Annotated[float, typer.Option(help="seconds that a customer waits for an outcome", min=1)] = 180.0,
) -> None:
    """
    Play recorded dialogues as customers and report what an independent reader of the topics found.

    Only what customers said is published. Conversations are named after the dialogue with a prefix of this run, so
    that a file can be fed again. Exits with 0 only if every message got its outcome and every promise held.
    """
    console = Console()
    settings = read_settings(OperatorSettings, os.environ)
    with file.open(encoding="utf-8") as rows:
        dialogues = list(read_dialogues(rows, domain=domain))
    if limit:
        dialogues = dialogues[:limit]
    if not dialogues:
        console.print(f"[red]no dialogue of domain {domain!r} in {file}[/]")
        raise typer.Exit(2)
    pace = Pace(speed, take_turns, conversations, patience)
    raise typer.Exit(asyncio.run(run(console, settings.kafka, _named(dialogues), tenant, agent, pace)))


async def run(
    console: Console, kafka: KafkaSettings, dialogues: list[Dialogue], tenant: str, agent: str, pace: Pace
) -> int:
    """Play and report; the exit code."""
    messages = sum(len(dialogue.lines) for dialogue in dialogues)
    console.print(f"{len(dialogues):,} dialogues, {messages:,} customer messages → {kafka.bootstrap_servers}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("messages with an outcome", total=messages)
        async with (
            Publisher(kafka) as publisher,
            Watch(kafka, tenant=tenant, start="end") as watch,
            playing(dialogues, tenant=tenant, agent=agent, pace=pace, publisher=publisher, watch=watch) as task,
        ):
            while not task.done():
                await asyncio.wait({task}, timeout=CHECK_SECONDS)
                watch.check()
                progress.update(bar, completed=messages - watch.waiting)
            task.result()
            await watch.settled()
    exchanges = list(watch.exchanges.values())
    whole = Spread.of([float(exchange.closed_ms - exchange.posted_ms) for exchange in exchanges])
    console.print(tables.timings(breakdown(exchange.hops() for exchange in exchanges), whole))
    report = watch.auditor.report()
    console.print(tables.audit(report))
    return 0 if report.passed and report.messages == messages else 1


def _named(dialogues: list[Dialogue]) -> list[Dialogue]:
    run_name = uuid4().hex[:6]
    return [Dialogue(f"{run_name}-{dialogue.name}", dialogue.domains, dialogue.lines) for dialogue in dialogues]
