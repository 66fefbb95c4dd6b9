"""
`holdfast plan`: partitions, processes, turns in flight, model quota and cost, from rates and latencies.
"""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.domain.capacity import Load, Means, Need, Role, plan
from shared.errors import Fatal

EXIT_WARNED = 1
# Measured by `holdfast bench pipeline` (docs/performance.md); yours may differ with the machine and the playbook.
CPU_MS = "conversations=1.6,matcher=1.8,reasoner=2.0,verifier=1.6"


def command(
    rate: Annotated[float, typer.Option(help="customer messages a second, on average", min=0.001)],
    peak: Annotated[float, typer.Option(help="the peak, as a multiple of the average", min=1)] = 3.0,
    turns: Annotated[float, typer.Option(help="turns a message; below 1 where bursts settle into one", min=0.01)] = 1.0,
    answered: Annotated[float, typer.Option(help="share of turns that are answered", min=0.01, max=1)] = 1.0,
    latency: Annotated[
        str, typer.Option(help="seconds of a model call, p50/p95, by stage")
    ] = "matcher=0.8/2,reasoner=2/5,verifier=0.8/2",
    calls: Annotated[str, typer.Option(help="calls a turn, by stage")] = "matcher=1,reasoner=1,verifier=1",
    tokens: Annotated[
        str, typer.Option(help="tokens a turn, input/output, by stage")
    ] = "matcher=2000/300,reasoner=2500/400,verifier=1500/300",
    price: Annotated[str, typer.Option(help="of a million tokens, input/output, in your currency")] = "0/0",
    cpu_ms: Annotated[
        str, typer.Option(help="milliseconds of CPU a turn, by stage; `holdfast bench pipeline`")
    ] = CPU_MS,
    utilisation: Annotated[float, typer.Option(help="of a process's core, at the peak", min=0.05, max=1)] = 0.6,
    in_flight_max: Annotated[int, typer.Option(help="HOLDFAST_STAGE_IN_FLIGHT_MAX", min=1)] = 2_000,
    processes_min: Annotated[int, typer.Option(help="of each stage; 2 survives the loss of one", min=1)] = 2,
    deadline: Annotated[float, typer.Option(help="seconds, the playbook's deadline", min=1)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """
    Plan a deployment: what a load needs, before there is one.

    By Little's law, turns in flight = turns a second × seconds that a turn stays in the stage. Nothing else is
    assumed about arrivals for the means; the high mark takes them to be independent. The latency that counts is your
    model's (dashboard *models and cost*, or a trial), the CPU what `holdfast bench pipeline` measures on your machine,
    the tokens what `turns.closed` records as spent. `holdfast bench plan` holds the plan against a measured run.
    Exits with 1 where the load cannot keep the deadline.
    """
    stay, use, spent = _pairs("--latency", latency), _numbers("--calls", calls), _pairs("--tokens", tokens)
    if set(stay) != set(use) or set(stay) != set(spent):
        raise Fatal("--latency, --calls and --tokens must name the same stages")
    roles = {
        stage: Role(p50, p95, use[stage], input_tokens=spent[stage][0], output_tokens=spent[stage][1])
        for stage, (p50, p95) in stay.items()
    }
    input_price, output_price = _pair("--price", price)
    means = Means(_numbers("--cpu-ms", cpu_ms), utilisation, in_flight_max, processes_min, input_price, output_price)
    need = plan(Load(rate, peak, turns, answered), roles, means, deadline_seconds=deadline)
    if as_json:
        typer.echo(json.dumps(asdict(need), indent=2))
    else:
        _show(Console(), need)
    raise typer.Exit(EXIT_WARNED if need.warnings else 0)


def _show(console: Console, need: Need) -> None:
    rows = [
        (
            stage,
            f"{one.in_flight:,.1f}",
            f"{one.in_flight_high:,.0f}",
            f"{one.cores:.2f}",
            str(one.processes),
            f"{one.utilisation:.0%}",
            one.bound_by,
        )
        for stage, one in need.stages.items()
    ]
    header = ("at the peak", "turns in flight", "99.9 %", "cores", "processes", "of a core each", "because of")
    console.print(tables.figures("stages", header, rows))
    quota = [
        ("partitions (HOLDFAST_TOPICS_PARTITIONS; never changed later)", f"{need.partitions:,}"),
        ("model calls in flight at the peak, all processes", f"{need.calls_in_flight:,.1f}"),
        ("model requests a minute at the peak", f"{need.requests_per_minute:,.0f}"),
        ("model tokens a minute at the peak", f"{need.tokens_per_minute:,.0f}"),
        ("seconds of model time a turn, mean", f"{need.model_seconds:.2f}"),
        ("cost of 1,000 replies", f"{need.cost_per_1000_replies:,.2f}"),
        ("cost a day", f"{need.cost_per_day:,.2f}"),
    ]
    console.print(tables.figures("all of it", ("", "figure"), quota))
    for warning in need.warnings:
        console.print(f"[bold yellow]{warning}[/]")


def _numbers(option: str, text: str) -> dict[str, float]:
    return {stage: _number(option, value) for stage, value in _parts(option, text).items()}


def _pairs(option: str, text: str) -> dict[str, tuple[float, float]]:
    return {stage: _pair(option, value) for stage, value in _parts(option, text).items()}


def _parts(option: str, text: str) -> dict[str, str]:
    parts = [part.partition("=") for part in text.split(",")]
    found = {stage.strip(): value for stage, _, value in parts}
    if unknown := sorted(found.keys() - {"conversations", "matcher", "reasoner", "verifier"}):
        raise Fatal(f"{option}: {', '.join(unknown) or text!r} is no stage; give stage=value by commas")
    return found


def _pair(option: str, text: str) -> tuple[float, float]:
    first, _, second = text.partition("/")
    low, high = _number(option, first), _number(option, second)
    if option == "--latency" and not 0 < low <= high:
        raise Fatal(f"{option}: {text!r}: the 95th percentile is no less than the median, and both are above 0")
    return low, high


def _number(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise Fatal(f"{option}: {text!r} is no number of at least 0")
    return value
