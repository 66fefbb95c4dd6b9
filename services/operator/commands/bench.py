"""
`holdfast bench`: the figures that speed is judged by, each printed with its goal.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from services.operator import tables
from services.operator.adapters.stack import STAGES, Broker, Stack, StackPlan, running
from services.operator.benchmarks import ledger, matching, pipeline, planning, prompts, scale, verification
from services.operator.domain.dialogues import read_dialogues
from services.operator.domain.workload import Message
from services.operator.settings import OperatorSettings
from services.operator.verification.drafts import read_domains
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.loading import load as load_playbook
from shared.playbook.model import Playbook, Variant
from shared.settings import read_settings

app = typer.Typer(no_args_is_help=False, help="Measure speed, as ratios inside one run; without a name, everything.")
SAMPLES = Path(str(files("services.operator"))) / "samples"
TENANT = "bench"

Figures = TypeVar("Figures")

BrokerOption = Annotated[Broker, typer.Option(help="where the topics live")]


@app.callback(invoke_without_command=True)
def everything(context: typer.Context) -> None:
    """Measure everything, one after another."""
    if context.invoked_subcommand is None:
        bench_ledger()
        bench_pipeline()
        bench_latency()
        bench_inflight()
        bench_verification()
        bench_matching()
        bench_prompts()


@app.command("ledger")
def bench_ledger(
    broker: BrokerOption = Broker.EMBEDDED, messages: Annotated[int, typer.Option(min=100)] = 10_000
) -> None:
    """Events per CPU-second through the conversations service, against a bare consume → produce chain."""
    load = _load(messages, messages)
    figures = _measured(
        broker, lambda stack: ledger.measure(stack, load, tenant=TENANT, agent="bank"), stages=("conversations",)
    )
    rows = [
        ("bare chain", f"{1e6 / figures.chain_us:,.0f}", f"{figures.chain_us:.0f}", ""),
        (
            "conversations",
            f"{1e6 / figures.service_us:,.0f}",
            f"{figures.service_us:.0f}",
            f"1/{1 / figures.share:.1f}",
        ),
    ]
    header = ("", "events per CPU-second", "µs of CPU an event", "share (goal ≥ 1/6)")
    Console().print(tables.figures(f"ledger, {broker}, {figures.events:,} events", header, rows))


@app.command("pipeline")
def bench_pipeline(
    broker: BrokerOption = Broker.EMBEDDED,
    turns: Annotated[int, typer.Option(min=100)] = 3_000,
    open_max: Annotated[int, typer.Option(help="conversations at once", min=1)] = 64,
) -> None:
    """Turns per CPU-second of all services with a model that answers at once, and model calls and tokens a reply."""
    warm, load = _load(300, 300), _load(turns, turns, seed=2)

    async def run(stack: Stack) -> pipeline.Throughput:
        await pipeline.throughput(stack, warm, tenant=TENANT, agent="bank", open_max=open_max)
        return await pipeline.throughput(stack, load, tenant=TENANT, agent="bank", open_max=open_max)

    found = _measured(broker, run)
    rows = [(stage, f"{milliseconds:.2f}") for stage, milliseconds in found.cpu_ms.items()]
    rows += [
        ("all services, ms of CPU a turn", f"{sum(found.cpu_ms.values()):.2f}"),
        ("turns per CPU-second (goal ≥ 120)", f"{found.turns_per_cpu_second:.0f}"),
        ("model calls a reply (goal ≤ 3)", f"{found.calls_per_reply:.2f}"),
        ("input tokens a reply, characters/4 (goal ≤ 6,000)", f"{found.input_tokens_per_reply:,.0f}"),
        ("output tokens a reply, characters/4", f"{found.output_tokens_per_reply:,.0f}"),
    ]
    title = f"pipeline, {broker}, {found.turns:,} turns, 20 guidelines, model at 0 ms"
    Console().print(tables.figures(title, ("", "figure"), rows))


@app.command("latency")
def bench_latency(
    broker: BrokerOption = Broker.EMBEDDED,
    rate: Annotated[float, typer.Option(help="messages a second", min=0.001)] = 20.0,
    seconds: Annotated[float, typer.Option(help="measured, after the warm-up", min=0.001)] = 30.0,
    warm_up: Annotated[float, typer.Option(help="seconds", min=0)] = 20.0,
) -> None:
    """
    What Holdfast adds to a turn beyond the model's time, hop by hop (goal p50 ≤ 60 ms embedded, ≤ 150 ms one node).
    """
    count = round(rate * (seconds + warm_up))
    load = _load(count, count)
    parts, whole = _measured(
        broker,
        lambda stack: pipeline.latency(stack, load, tenant=TENANT, agent="bank", rate=rate, warm_up_seconds=warm_up),
    )
    console = Console()
    console.print(f"latency, {broker}, {rate:g} turns a second, model at 0 ms")
    console.print(tables.timings(parts, whole))


@app.command("inflight")
def bench_inflight(
    broker: BrokerOption = Broker.EMBEDDED,
    turns: Annotated[int, typer.Option(min=100)] = 2_500,
    model_seconds: Annotated[float, typer.Option(min=0.001)] = 2.0,
) -> None:
    """Turns in flight on one matcher process with a slow model, and its memory (goal ≥ 2,000 within 400 MB)."""
    load = _load(turns, turns)
    found = _measured(
        broker,
        lambda stack: pipeline.in_flight(stack, load, tenant=TENANT, agent="bank"),
        rehearsal={"base_latency_seconds": model_seconds},
        environ={"HOLDFAST_LLM_IN_FLIGHT_MAX": str(turns), "HOLDFAST_STAGE_IN_FLIGHT_MAX": str(turns)},
    )
    rows = [
        ("turns in flight", f"{found.turns_max:,}"),
        ("resident memory, MB", f"{found.resident_bytes_max / 1e6:.0f}"),
    ]
    Console().print(tables.figures(f"one matcher, model at {model_seconds:g} s", ("", "figure"), rows))


@app.command("verification")
def bench_verification(
    broker: BrokerOption = Broker.EMBEDDED,
    replies: Annotated[int, typer.Option(help="in each variant", min=10)] = 300,
    claims: Annotated[int, typer.Option(help="of a reply", min=1, max=20)] = 8,
    error_share: Annotated[float, typer.Option(help="of the claims", min=0, max=1)] = 0.05,
) -> None:
    """
    Model calls and tokens that verifying a reply takes beyond its draft, in each variant, with a verifier model that is
    never wrong; and drafts that the code gate decides in a second of one core (goal ≥ 1,000).
    """
    settings = read_settings(OperatorSettings, os.environ)
    domains = read_domains(sorted((SAMPLES / "verification").glob("*.yaml")))

    def costs(variant: Variant) -> verification.Cost:
        measuring = verification.cost(
            settings, domains, variant, claims=claims, error_share=error_share, replies=replies, broker=broker
        )
        return asyncio.run(measuring)

    rows = [
        (
            found.variant.value,
            f"{found.calls:.2f}",
            f"{found.calls_p95}",
            f"{found.calls_all_right:.2f}",
            "–" if found.calls_unflagged is None else f"{found.calls_unflagged:.2f}",
            f"{found.input_tokens:,.0f}",
            f"{found.output_tokens:,.0f}",
            f"{found.cpu_ms:.1f}",
        )
        for found in map(costs, Variant)
    ]
    header = ("variant", "calls", "p95", "nothing wrong", "nothing flagged", "tokens in", "tokens out", "ms of CPU")
    title = f"verifying a reply of {claims} claims, {error_share:.0%} of them wrong; {replies} replies a variant"
    console = Console()
    console.print(tables.figures(title, header, rows))
    gate = asyncio.run(verification.gate_speed(settings, domains))
    console.print(
        f"the gate decides {gate.per_second:,.0f} drafts of {gate.claims / gate.drafts:.1f} claims a second of one core"
        " (goal ≥ 1,000)",
        highlight=False,
    )


@app.command("matching")
def bench_matching(
    broker: BrokerOption = Broker.EMBEDDED,
    turns: Annotated[int, typer.Option(min=20)] = 200,
    guidelines: Annotated[list[int] | None, typer.Option(help="of the playbook; may be given several times")] = None,
) -> None:
    """
    Model calls, input tokens, CPU and memory of the matcher a turn, by the size of the playbook, and of resolving.

    Exits with 1 unless all goals are reached.
    """
    sample = load_playbook(SAMPLES / "bank.yaml").playbook
    found = []
    for size in guidelines or matching.SIZES:
        book, warm, load = matching.playbook(sample, size), _load(20, 20), _load(turns, turns, seed=2)

        async def run(
            stack: Stack, size: int = size, warm: list[Message] = warm, load: list[Message] = load
        ) -> matching.Cost:
            return await matching.measure(stack, warm, load, agent="bank", guidelines=size)

        found.append(_measured(broker, run, playbook=book))
    resolving = asyncio.run(matching.resolving())
    console = Console()
    console.print(tables.figures("matching, model at 0 ms", matching.HEADER, matching.rows(found)))
    for count, milliseconds in resolving.items():
        console.print(f"resolving, {count} of 10,000 guidelines, 20,000 relationships: {milliseconds:.1f} ms of CPU")
    missed = [f"{cost.guidelines:,} guidelines: {', '.join(cost.missed)}" for cost in found if cost.missed]
    if resolving["10000"] > matching.RESOLVE_MS_MAX:
        missed.append(f"resolving: {resolving['10000']:.0f} ms")
    console.print(f"goals missed: {'; '.join(missed)}" if missed else "all goals are reached")
    if missed:
        raise typer.Exit(1)


@app.command("plan")
def bench_plan(
    broker: BrokerOption = Broker.EMBEDDED,
    rate: Annotated[float, typer.Option(help="messages a second; three times that is predicted", min=0.1)] = 8.0,
    seconds: Annotated[float, typer.Option(help="of each of three runs", min=10)] = 30.0,
    model_seconds: Annotated[float, typer.Option(help="that a model call takes", min=0.01)] = 0.5,
    tolerance: Annotated[float, typer.Option(help="how far a prediction may be off", min=0.01)] = 0.25,
) -> None:
    """What `holdfast plan` predicts of a run at three times a measured rate, against that run."""
    counts = [round(times * rate * seconds) for times in (1, 2, 3)]
    loads = [_load(count, count, seed=seed) for seed, count in enumerate(counts, start=3)]
    found = _measured(
        broker,
        lambda stack: planning.held(stack, loads, tenant=TENANT, agent="bank", rate=rate, model_seconds=model_seconds),
        rehearsal={"base_latency_seconds": model_seconds},
    )
    rows = [
        (f"{one.stage}, {one.what}", f"{one.predicted:.3g}", f"{one.measured:.3g}", f"{one.error:.0%}") for one in found
    ]
    title = f"plan against a run, {broker}, {3 * rate:g} messages a second, model at {model_seconds:g} s"
    Console().print(tables.figures(title, ("", "predicted", "measured", f"off by (≤ {tolerance:.0%})"), rows))
    raise typer.Exit(1 if any(one.error > tolerance for one in found) else 0)


@app.command("prompts")
def bench_prompts(
    broker: BrokerOption = Broker.EMBEDDED,
    guidelines: Annotated[int, typer.Option(help="of the playbook", min=20)] = 100,
) -> None:
    """
    Model calls and input tokens before verification, at ten turns of history, without tools (goal 2 calls) and with
    three (3 calls, ≤ 9,000 tokens), and what of each prompt was sent before and may come from a provider's cache.

    Exits with 1 unless all goals are reached.
    """
    console = Console()
    missed = []
    for tools in (False, True):
        found = asyncio.run(_prompts(broker, guidelines, tools=tools))
        title = f"prompts, {guidelines} guidelines, {prompts.TURNS - 1} turns of history, {3 if tools else 0} tools"
        console.print(tables.figures(title, prompts.HEADER, prompts.rows(found)))
        missed += found.missed(tools=tools)
    console.print(f"goals missed: {'; '.join(missed)}" if missed else "all goals are reached")
    if missed:
        raise typer.Exit(1)


async def _prompts(broker: Broker, guidelines: int, *, tools: bool) -> prompts.Figures:
    settings = read_settings(OperatorSettings, os.environ)
    heard = prompts.Heard()
    async with RehearsalServer(RehearsalSettings(), on_question=heard.take) as server:
        plan = StackPlan(
            folder=Path(settings.operator.folder) / "bench",
            tenant=TENANT,
            playbook=prompts.playbook(load_playbook(SAMPLES / "bank.yaml").playbook, guidelines, tools=tools),
            broker=broker,
            model_url=server.url,
            environ={"HOLDFAST_TELEMETRY_LOG_LEVEL": "warning"},
            ready_seconds_max=settings.operator.ready_seconds_max,
        )
        async with running(plan, settings.kafka) as stack:
            return await prompts.measure(stack, heard, prompts.ASKED, tenant=TENANT, agent="bank")


@app.command("scale")
def bench_scale(
    broker: BrokerOption = Broker.EMBEDDED,
    processes: Annotated[list[int] | None, typer.Option(help="of each stage; may be given several times")] = None,
    in_flight: Annotated[int, typer.Option(help="turns that a process may hold", min=1)] = 4,
    model_seconds: Annotated[float, typer.Option(help="that a model call takes", min=0.01)] = 0.5,
    seconds: Annotated[float, typer.Option(help="of each run, measured", min=1)] = 30.0,
    warm_up: Annotated[float, typer.Option(help="seconds", min=0)] = 15.0,
) -> None:
    """
    Turns a second at saturation with 1, 2 and 4 processes of each stage, as a share of linear (goal ≥ 85 %).

    A run that takes more than 80 % of the machine's CPU is not judged: there the cores are the limit. Exits with 1 if
    a share is missed.
    """
    points = []
    for number in processes or [1, 2, 4]:
        count = scale.conversations(number, in_flight, model_seconds, warm_up + seconds)
        texts = [message.text for message in _load(count, count)]

        async def run(stack: Stack, number: int = number, texts: list[str] = texts) -> scale.Point:
            return await scale.measure(
                stack,
                texts,
                tenant=TENANT,
                agent="bank",
                processes=number,
                open_max=scale.open_max(number, in_flight),
                warm_up_seconds=warm_up,
                seconds=seconds,
            )

        points.append(
            _measured(
                broker,
                run,
                rehearsal={"base_latency_seconds": model_seconds},
                environ={"HOLDFAST_STAGE_IN_FLIGHT_MAX": str(in_flight)},
                replicas=number,
                partitions=scale.PARTITIONS,
            )
        )
    found = scale.judged(points)
    title = f"scale, {broker}, {in_flight} turns a process, model at {model_seconds:g} s"
    Console().print(tables.figures(title, scale.HEADER, scale.rows(found)))
    raise typer.Exit(1 if any(one.verdict is scale.Verdict.MISSED for one in found) else 0)


def _load(count: int, conversations: int, *, seed: int = 1) -> list[Message]:
    rows = (SAMPLES / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [line.text for dialogue in read_dialogues(rows) for line in dialogue.lines]
    return [Message(f"b{seed}-{number % conversations}", texts[number % len(texts)]) for number in range(count)]


def _measured(
    broker: Broker,
    run: Callable[[Stack], Awaitable[Figures]],
    *,
    stages: tuple[str, ...] = STAGES,
    rehearsal: dict[str, float] | None = None,
    environ: dict[str, str] | None = None,
    playbook: Playbook | None = None,
    replicas: int = 1,
    partitions: int = 8,
) -> Figures:
    settings = read_settings(OperatorSettings, os.environ)
    plan = StackPlan(
        folder=Path(settings.operator.folder) / "bench",
        tenant=TENANT,
        playbook=playbook or load_playbook(SAMPLES / "bank.yaml").playbook,
        broker=broker,
        stages=stages,
        replicas=replicas,
        partitions=partitions,
        rehearsal=rehearsal or {},
        environ={"HOLDFAST_TELEMETRY_LOG_LEVEL": "warning"} | (environ or {}),
        ready_seconds_max=settings.operator.ready_seconds_max,
    )

    async def measured() -> Figures:
        async with running(plan, settings.kafka) as stack:
            return await run(stack)

    return asyncio.run(measured())
