"""
`holdfast playbook recall`: how often what applies is among what the matcher asks about.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.commands.report import needs_extra
from services.operator.domain.showing import marked
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

    By words, and by meaning too where HOLDFAST_EMBEDDINGS_URL is set; no other model is asked. Intervals are Wilson's,
    of 95 %.
    """
    needs_extra()
    from services.operator.evaluation import recall as measuring  # noqa: PLC0415 - needs the extra
    from services.operator.evaluation.report import unfit_table  # noqa: PLC0415 - needs the extra

    read = [read_scenarios(path) for path in scenarios]
    known, unfit = measuring.labelled(one for fit, _ in read for one in fit if one.area.startswith(area))
    for _, left_out in read:
        unfit |= left_out
    sizes = dict.fromkeys(guidelines or SIZES)
    found = [asyncio.run(measuring.measured(known, size)) for size in sizes]
    console = Console()
    rows = [
        (f"{one.guidelines:,}", str(len(one.labels)), *(_interval(one.at(k)) for k in SHOWN), f"{one.asked:.3f}")
        for one in found
    ]
    header = ("guidelines", "labels", *(f"recall@{k}" for k in SHOWN), "asked about")
    means = "words and meaning" if os.environ.get("HOLDFAST_EMBEDDINGS_URL") else "words"
    title = f"retriever, by {means} and what is always asked about (goal @24 ≥ 0.99)"
    console.print(tables.figures(title, header, rows))
    for one in found:
        for label in one.missed(SHOWN[-2]):
            where = f"{label.scenario} at {one.guidelines:,}"
            console.print(f"missed: {marked(where)}: {marked(label.condition)} [dim]({label.reason})[/]")
    if unfit:
        console.print(unfit_table(unfit))
    if json_file:
        json_file.write_text(json.dumps([one.document() for one in found], indent=2), encoding="utf-8")
    if plot:
        measuring.draw(found, plot)


def _interval(estimate: tuple[float, float, float]) -> str:
    return f"{estimate[0]:.3f} [{estimate[1]:.2f}, {estimate[2]:.2f}]"
