"""
`holdfast demo`: the whole pipeline on sample conversations, from nothing, with what happened told at the end.
"""

import asyncio
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.operator import tables
from services.operator.adapters.drive import Pace, playing
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.stack import Broker, Stack, StackPlan, running
from services.operator.adapters.watch import Watch
from services.operator.domain.dialogues import Dialogue, read_dialogues
from services.operator.domain.timing import Spread, breakdown
from services.operator.settings import OperatorSettings
from shared.playbook.loading import load as load_playbook
from shared.settings import read_settings

SAMPLES = Path(str(files("services.operator"))) / "samples"
TENANT = "harbour"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How the stand-in model behaves in the demo."""

    latency_seconds: float
    hallucination_rate: float


def command(
    broker: Annotated[
        Broker, typer.Option(help="embedded, a local Apache Kafka, or the one that HOLDFAST_KAFKA_* names")
    ] = Broker.EMBEDDED,
    latency: Annotated[float, typer.Option(help="seconds that the rehearsal model takes for each call")] = 0.15,
    hallucination: Annotated[float, typer.Option(help="share of claims that the rehearsal model gets wrong")] = 0.15,
) -> None:
    """
    Run the whole pipeline on sample conversations and show what happened.

    Starts a broker, the rehearsal model (or uses the one that HOLDFAST_LLM_URL names) and every service as a
    process of its own, plays the samples, and exits with 0 only if every message got its outcome and every promise
    held.
    """
    console = Console()
    settings = read_settings(OperatorSettings, os.environ)
    raise typer.Exit(asyncio.run(run(console, settings, broker, Rehearsal(latency, hallucination))))


async def run(console: Console, settings: OperatorSettings, broker: Broker, rehearsal: Rehearsal) -> int:
    """The demo; the exit code."""
    playbook = load_playbook(SAMPLES / "bank.yaml").playbook
    dialogues = list(read_dialogues((SAMPLES / "conversations.jsonl").read_text(encoding="utf-8").splitlines()))
    plan = StackPlan(
        folder=Path(settings.operator.folder) / "demo",
        tenant=TENANT,
        playbook=playbook,
        broker=broker,
        model_url=settings.llm.url if "HOLDFAST_LLM_URL" in os.environ else "",
        rehearsal={
            "base_latency_seconds": rehearsal.latency_seconds,
            "hallucination_rate": rehearsal.hallucination_rate,
        },
        ready_seconds_max=settings.operator.ready_seconds_max,
    )
    status = console.status(f"starting the broker ({broker}), the model and the services")
    with status:
        async with running(plan, settings.kafka) as stack:
            status.stop()
            code = await _played(console, stack, dialogues, playbook.agent)
            status.update("stopping everything")
            status.start()
    return code


async def _played(console: Console, stack: Stack, dialogues: list[Dialogue], agent: str) -> int:
    messages = sum(len(dialogue.lines) for dialogue in dialogues)
    console.print(
        f"{len(dialogues)} conversations, {messages} messages; model: {stack.model_url}; logs: {stack.services.folder}"
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("turns answered", total=messages)
        async with (
            Publisher(stack.kafka) as publisher,
            Watch(stack.kafka, tenant=TENANT, on_exchange=lambda _: progress.advance(bar)) as watch,
            playing(dialogues, tenant=TENANT, agent=agent, pace=Pace(), publisher=publisher, watch=watch) as task,
        ):
            while not task.done():
                await asyncio.wait({task}, timeout=0.5)
                stack.check()
                watch.check()
            task.result()
    exchanges = list(watch.exchanges.values())
    console.print(tables.conversations(exchanges))
    whole = Spread.of([float(exchange.closed_ms - exchange.posted_ms) for exchange in exchanges])
    console.print(tables.timings(breakdown(exchange.hops() for exchange in exchanges), whole))
    report = watch.auditor.report()
    console.print(tables.audit(report))
    return 0 if report.passed and report.messages == messages else 1
