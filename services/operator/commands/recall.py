"""
`holdfast playbook recall`: how often what applies is among what the matcher asks about.
"""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from services.operator import tables
from services.operator.commands.report import needs_extra
from services.operator.evaluation.scenario import read_scenarios

SIZES = (10, 50, 100, 1_000, 10_000)
SHOWN = (1, 5, 10, 24, 50)


def command(
    scenarios: Annotated[list[Path], typer.Argument(help="labelled scenarios: YAML, or recorded JSON")],
    guidelines: Annotated[
        list[int] | None, typer.Option(help="pad to so many guidelines; may be given several times", min=1)
    ] = None,
    area: Annotated[str, typer.Option(help="only areas that begin so")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="write all figures there")] = None,
    plot: Annotated[Path | None, typer.Option(help="draw recall@k there, as PNG")] = None,
) -> None:
    """
    Measure how often what applies is among what the matcher asks about, on labelled scenarios (extra `report`).

    No model is asked. Intervals are Wilson's, of 95 %.
    """
    needs_extra()
    from services.operator.evaluation import recall as measuring  # noqa: PLC0415 - needs the extra

    known = [one for path in scenarios for one in read_scenarios(path)[0] if one.area.startswith(area)]
    sizes = dict.fromkeys(guidelines or SIZES)
    found = [asyncio.run(measuring.measured(known, size)) for size in sizes]
    console = Console()
    rows = [
        (f"{one.guidelines:,}", str(len(one.labels)), *(_interval(one.at(k)) for k in SHOWN), f"{one.asked:.3f}")
        for one in found
    ]
    header = ("guidelines", "labels", *(f"recall@{k}" for k in SHOWN), "asked about")
    console.print(tables.figures("retriever, by words and what is always asked about (goal @24 ≥ 0.99)", header, rows))
    for one in found:
        for label in one.missed(SHOWN[-2]):
            where = f"{label.scenario} at {one.guidelines:,}"
            console.print(f"missed: {escape(where)}: {escape(label.condition)} [dim]({label.reason})[/]")
    if json_file:
        json_file.write_text(json.dumps([one.document() for one in found], indent=2), encoding="utf-8")
    if plot:
        measuring.draw(found, plot)


def _interval(estimate: tuple[float, float, float]) -> str:
    return f"{estimate[0]:.3f} [{estimate[1]:.2f}, {estimate[2]:.2f}]"
