"""
`holdfast chaos`: kills and faults on a whole Holdfast, judged by an independent reader of the topics.
"""

import asyncio
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.adapters import chaos
from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker, StackPlan, running
from services.operator.commands import canaries, effects, matrix
from services.operator.settings import OperatorSettings
from shared.settings import read_settings

REPEATS_A_KILL_GOAL = 200

app = typer.Typer(invoke_without_command=True)
app.command("matrix")(matrix.command)
app.command("effects")(effects.command)
app.command("canaries")(canaries.command)


@app.callback()
def command(
    context: typer.Context,
    broker: Annotated[Broker, typer.Option(help="kafka3 adds the death of a broker")] = Broker.KAFKA,
    runs: Annotated[int, typer.Option(help="runs, each from the next seed", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="of the first run")] = 1,
    events: Annotated[int, typer.Option(help="customer messages a run", min=100)] = 20_000,
    rate: Annotated[float, typer.Option(help="messages a second", min=0.001)] = 100.0,
    replicas: Annotated[int, typer.Option(help="processes of each stage", min=1)] = 3,
    latency: Annotated[float, typer.Option(help="seconds that the rehearsal model takes", min=0)] = 0.2,
    quiet: Annotated[float, typer.Option(help="seconds of the stretches without faults", min=0.001)] = 15.0,
    storm: Annotated[float, typer.Option(help="seconds of the rebalance storm", min=0)] = 15.0,
    report: Annotated[Path | None, typer.Option(help="write the results as JSON")] = None,
) -> None:
    """
    Kill processes and brokers under load and check every promise.

    Exits with 0 only if no run lost, doubled or reordered anything. `holdfast chaos matrix` goes through every kind of
    fault; `holdfast chaos effects` counts what tools were made to do; `holdfast chaos canaries` hunts words that only
    one tenant may see.
    """
    # Brokers die here on purpose; what the operator's own clients say of it would bury the verdict.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if context.invoked_subcommand is not None:
        return
    console = Console()
    settings = read_settings(OperatorSettings, os.environ)
    results = []
    for number in range(seed, seed + runs):
        plan = StackPlan(
            folder=Path(settings.operator.folder) / "chaos",
            tenant=chaos.TENANT,
            playbook=bank_playbook(),
            broker=broker,
            replicas=replicas,
            rehearsal={"base_latency_seconds": latency},
            environ={
                "HOLDFAST_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
                "HOLDFAST_KAFKA_HEARTBEAT_INTERVAL_SECONDS": "0.5",
            },
            ready_seconds_max=settings.operator.ready_seconds_max * 2,
        )
        details = chaos.ChaosPlan(
            seed=number, texts=sample_texts(), events=events, rate=rate, quiet_seconds=quiet, storm_seconds=storm
        )
        result = asyncio.run(_run(console, settings, plan, details))
        results.append(result)
        _show(console, result)
        if report:
            report.write_text(json.dumps([asdict(done) for done in results], indent=1), encoding="utf-8")
    console.print(_summary(broker, results))
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


async def _run(
    console: Console, settings: OperatorSettings, plan: StackPlan, details: chaos.ChaosPlan
) -> chaos.ChaosResult:
    async with running(plan, settings.kafka) as stack:
        console.print(f"[bold]seed {details.seed}[/]: {details.events:,} events at {details.rate:g}/s on {plan.broker}")
        return await chaos.run(details, stack, lambda phase: console.print(f"  [dim]{phase}[/]"))


def _show(console: Console, result: chaos.ChaosResult) -> None:
    console.print(tables.audit(result.audit))
    if result.unanswered:
        console.print(f"[bold red]{result.unanswered} messages had no outcome when the drain ended[/]")


def _summary(broker: Broker, results: list[chaos.ChaosResult]) -> object:
    header = (
        "seed",
        "verdict",
        "messages",
        "kills",
        "falls",
        "repeated outputs",
        "calls",
        f"a kill (≤ {REPEATS_A_KILL_GOAL})",
        "80 % again after a kill (≤ 15 s)",
        "after a broker (≤ 30 s)",
    )
    rows = [
        (
            str(result.seed),
            "held" if result.passed else "BROKEN",
            f"{result.audit.messages:,}",
            str(result.kills),
            str(result.falls),
            str(sum(result.repeats.values())),
            str(result.repeated_calls),
            f"{(sum(result.repeats.values()) + result.repeated_calls) / max(result.kills, 1):.0f}",
            _seconds(result.kill_recovery_seconds),
            _seconds(result.broker_recovery_seconds),
        )
        for result in results
    ]
    return tables.figures(f"chaos on {broker}", header, rows)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"
