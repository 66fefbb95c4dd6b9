"""
`holdfast demo`: the whole pipeline on sample conversations, from nothing, with what happened told at the end.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.operator import tables
from services.operator.adapters.approvals import Approver
from services.operator.adapters.drive import Pace, playing
from services.operator.adapters.playbooks import publish_playbook
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.samples import bank_playbook, sample_dialogues, toolworld_dialogues, toolworld_playbook
from services.operator.adapters.stack import Broker, Stack, StackPlan, listening, running
from services.operator.adapters.watch import Watch
from services.operator.domain.dialogues import Dialogue
from services.operator.domain.showing import marked
from services.operator.domain.timing import Spread, breakdown
from services.operator.settings import OperatorSettings
from shared.broker.local import free_port_base
from shared.events.turns import ClosedBy
from shared.settings import read_settings

TENANT = "harbour"
TOLD_SECONDS_MAX = 60.0
POLL_SECONDS = 0.1


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
    port = free_port_base()
    plan = StackPlan(
        folder=Path(settings.operator.folder) / "demo",
        tenant=TENANT,
        playbook=bank_playbook(),
        broker=broker,
        model_url=settings.llm.url if "HOLDFAST_LLM_URL" in os.environ else "",
        rehearsal={
            "base_latency_seconds": rehearsal.latency_seconds,
            "hallucination_rate": rehearsal.hallucination_rate,
        },
        environ={"HOLDFAST_OUTGOING_PRIVATE_HOSTS": f"127.0.0.1:{port}"},
        ready_seconds_max=settings.operator.ready_seconds_max,
    )
    status = console.status(f"starting the broker ({broker}), the model and the services")
    with status:
        async with running(plan, settings.kafka) as stack:
            scripts = {plan.playbook.agent: sample_dialogues(), await _concierge(stack, port): toolworld_dialogues()}
            status.stop()
            code = await _played(console, stack, scripts)
            status.update("stopping everything")
            status.start()
    return code


async def _concierge(stack: Stack, port: int) -> str:
    """Start the tool world and publish the playbook that acts on it; the agent's name."""
    playbook = toolworld_playbook(f"http://127.0.0.1:{port}")
    world = await stack.aids.start("toolworld", "services.operator.toolworld", "--port", str(port))
    await listening(world, port, TOLD_SECONDS_MAX)
    await publish_playbook(stack.kafka, TENANT, playbook)
    return playbook.agent


async def _played(console: Console, stack: Stack, scripts: dict[str, list[Dialogue]]) -> int:
    messages = sum(len(dialogue.lines) for dialogues in scripts.values() for dialogue in dialogues)
    console.print(
        f"{sum(map(len, scripts.values()))} conversations, {messages} messages; model: {stack.model_url}; "
        f"logs: {stack.services.folder}"
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("turns closed", total=messages)
        async with (
            Publisher(stack.kafka) as publisher,
            Watch(stack.kafka, tenant=TENANT, on_exchange=lambda _: progress.advance(bar)) as watch,
            Approver(stack.kafka, TENANT).at_work() as approver,
        ):
            for agent, dialogues in scripts.items():
                async with playing(
                    dialogues, tenant=TENANT, agent=agent, pace=Pace(), publisher=publisher, watch=watch
                ) as task:
                    while not task.done():
                        await asyncio.wait({task}, timeout=0.5)
                        stack.check()
                        watch.check()
                    task.result()
            told = await _told(watch, approver)
            await watch.settled()
    return _shown(console, watch, approver, messages=messages, told=told)


async def _told(watch: Watch, approver: Approver) -> bool:
    """Whether every conversation that waited for a person's approval was told, in a later turn, what came of it."""
    until = asyncio.get_running_loop().time() + TOLD_SECONDS_MAX
    while asyncio.get_running_loop().time() < until:
        closed = [exchange.closed for exchange in watch.exchanges.values()]
        waiting = {turn.turn.id for turn in closed if turn.reason == ClosedBy.APPROVAL_REQUESTED}
        last = {turn.turn.conversation: turn.turn.id for turn in sorted(closed, key=lambda turn: turn.turn.epoch)}
        decided = {asked.turn_id for _, asked in approver.decided}
        if waiting == decided and waiting.isdisjoint(last.values()):
            return True
        watch.check()
        await asyncio.sleep(POLL_SECONDS)
    return False


def _shown(console: Console, watch: Watch, approver: Approver, *, messages: int, told: bool) -> int:
    exchanges = list(watch.exchanges.values())
    console.print(tables.conversations(exchanges))
    for address, asked in approver.decided:
        console.print(f"allowed by a person: {marked(f'{asked.tool} {asked.arguments} for {address.conversation}')}")
    console.print(tables.tool_calls(exchanges))
    said_ms = watch.acknowledged_ms
    known = [one for one in exchanges if one.closed.turn.id in said_ms and one.posted_ms]
    if known:
        early = Spread.of([float(said_ms[one.closed.turn.id] - one.posted_ms) for one in known])
        strict = sum(bool(one.closed.draft and one.closed.draft.composition == "strict") for one in known)
        console.print(
            f"{len(said_ms)} turns were acknowledged at once (p50 {early.p50_ms:,.0f} ms after the question); "
            f"{strict} were answered by approved texts alone"
        )
    whole = Spread.of([float(exchange.closed_ms - exchange.posted_ms) for exchange in exchanges])
    console.print(tables.timings(breakdown(exchange.hops() for exchange in exchanges), whole))
    report = watch.auditor.report()
    console.print(tables.audit(report))
    return 0 if report.passed and report.messages == messages and told else 1
