"""
`holdfast chaos effects`: does every effect happen once, however often reasoners die?
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.adapters.effects import TENANT, EffectsPlan, EffectsResult, effects_playbook, run
from services.operator.adapters.stack import Broker, StackPlan, running
from services.operator.settings import OperatorSettings
from shared.broker.local import free_port_base
from shared.settings import read_settings


def command(
    broker: Annotated[Broker, typer.Option(help="where the topics live")] = Broker.KAFKA,
    turns: Annotated[int, typer.Option(help="each with one call that changes something", min=1)] = 2_000,
    rate: Annotated[float, typer.Option(help="turns a second", min=0.001)] = 25.0,
    kill: Annotated[float, typer.Option(help="seconds between two kills of a reasoner", min=0.1)] = 2.0,
    keys: Annotated[bool, typer.Option(help="whether the tool recognises a repeated call by its key")] = True,
    lost: Annotated[float, typer.Option(help="share of calls that are done but not answered", min=0, max=1)] = 0.02,
    latency: Annotated[float, typer.Option(help="seconds that a call takes the tool", min=0)] = 0.3,
    replicas: Annotated[int, typer.Option(help="processes of each stage", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="of victims and failures")] = 1,
) -> None:
    """
    Kill reasoners while every turn makes one consequential call; the tool server counts what was really done.

    Exits with 0 only if every effect happened once and every turn ended once. With `--no-keys` the tool cannot tell a
    repeated call from a new one: what a dead process may have done is then handed to a person, and never repeated.
    """
    console = Console()
    settings = read_settings(OperatorSettings, os.environ)
    details = EffectsPlan(
        port=free_port_base(),
        turns=turns,
        rate=rate,
        kill_seconds=kill,
        latency_seconds=latency,
        lost_answer_rate=lost,
        honours_keys=keys,
        seed=seed,
    )
    plan = stack_plan(details, Path(settings.operator.folder) / "effects", broker, replicas)
    result = asyncio.run(_run(console, settings, plan, details))
    console.print(tables.audit(result.audit))
    console.print(told(result))
    raise typer.Exit(0 if result.passed else 1)


def stack_plan(details: EffectsPlan, folder: Path, broker: Broker, replicas: int) -> StackPlan:
    """The stack that a run needs: reasoners that give up a dead member soon, and may reach the tool."""
    return StackPlan(
        folder=folder,
        tenant=TENANT,
        playbook=effects_playbook(details),
        broker=broker,
        replicas=replicas,
        rehearsal={"base_latency_seconds": 0.02},
        environ={
            "HOLDFAST_OUTGOING_PRIVATE_HOSTS": f"127.0.0.1:{details.port}",
            "HOLDFAST_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
            "HOLDFAST_KAFKA_HEARTBEAT_INTERVAL_SECONDS": "0.5",
        },
        ready_seconds_max=120.0,
    )


async def _run(console: Console, settings: OperatorSettings, plan: StackPlan, details: EffectsPlan) -> EffectsResult:
    async with running(plan, settings.kafka) as stack:
        console.print(
            f"{details.turns:,} turns at {details.rate:g}/s on {plan.broker}, a kill every {details.kill_seconds:g} s"
        )
        return await run(details, stack, lambda phase: console.print(f"  [dim]{phase}[/]"))


def told(result: EffectsResult) -> str:
    """The run in one line."""
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(result.audit.outcomes.items()))
    return (
        f"{'held' if result.passed else 'BROKEN'}: {result.audit.messages:,} turns ({outcomes}), {result.kills} kills; "
        f"{len(result.effects):,} effects by {result.deliveries:,} deliveries, {result.doubled} doubled, "
        f"{result.claimed} claimed but not done, {result.unknown} of unknown outcome handed to a person"
    )
