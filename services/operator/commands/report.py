"""
`holdfast report`: what production says about the error hazard of replies.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.status import Status

from services.operator.adapters.claims import recorded_claims
from services.operator.domain.showing import marked
from services.operator.hazard.records import AuditLabel, RecordedClaim, read_claims, read_labels, to_line
from services.operator.settings import OperatorSettings
from shared.broker.clients import KafkaSettings
from shared.errors import Fatal
from shared.settings import read_settings

if TYPE_CHECKING:
    from services.operator.hazard.answers import Answers
    from services.operator.hazard.report import Report

TOPICS = "topics"
PICTURE, FIGURES = "hazard.png", "hazard.json"

app = typer.Typer(no_args_is_help=True, help="Report what the recorded claims show (needs the extra `report`).")

DrawsOption = Annotated[int, typer.Option(help="resamples behind each interval", min=100, max=100_000)]
SeedOption = Annotated[int, typer.Option(help="of the resampling: the same seed gives the same intervals", min=0)]
OutOption = Annotated[
    Path | None, typer.Option(help=f"a folder for {PICTURE} and {FIGURES}; made if it is missing", file_okay=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="print the figures as JSON and nothing else")]
BorderOption = Annotated[
    int,
    typer.Option(help="answers of more claims are long, and predicted from the others; 0: the longest quarter", min=0),
]


@app.command("hazard")
def hazard(
    source: Annotated[str, typer.Option("--from", help="`topics`, or a file of `holdfast report record`")] = TOPICS,
    arm: Annotated[list[str] | None, typer.Option(help="only this arm; may be given several times")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="labels of an audit, one JSON object a line", exists=True, dir_okay=False)
    ] = None,
    border: BorderOption = 0,
    draws: DrawsOption = 2_000,
    seed: SeedOption = 0,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    E(k) by position, the constant-hazard test, and whether (1-E)^N predicts long answers, with and without correction.

    Says in words what the data show and what they do not. docs/hazard.md tells how each figure is made.
    """
    needs_extra()
    from services.operator.hazard.answers import assemble  # noqa: PLC0415  (the extra is optional)

    console = Console(stderr=as_json)
    with console.status("reading claims") as status:
        records = _read(source)
        labels = _labels(audit)
        answers = _of_arms(assemble(records), arm or [])
        if not len(answers):
            raise Fatal(f"no claims in {source}: replies that verification accepted leave them on claims.judged")
        report = analysed(answers, labels, status, border=border, draws=draws, seed=seed)
    show(console, report, source=f"claims from {source}", out=out, as_json=as_json)


@app.command("record")
def record(
    out: Annotated[Path, typer.Option(help="the file to write, one claim a line", dir_okay=False)],
) -> None:
    """
    Write the claims that `claims.judged` holds to a file, for `holdfast report hazard --from FILE`.

    The file holds conversation names, and claim texts where the playbook lets them be recorded.
    """
    settings = read_settings(OperatorSettings, os.environ)
    # Written beside and put in place at the end: an interrupted run leaves no file that looks whole.
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            count = asyncio.run(_write(settings.kafka, file.write))
        partial.replace(out)
    except OSError as error:
        raise Fatal(f"{out} cannot be written: {error.strerror}") from None
    Console().print(f"{count:,} claims → {marked(str(out))}")


def needs_extra() -> None:
    """
    Check that the libraries of the extra `report` are there.

    Raises:
        Fatal: one is missing.

    """
    try:
        import lifelines  # noqa: F401, PLC0415
        import matplotlib as mpl  # noqa: F401, PLC0415
        import numpy as np  # noqa: F401, PLC0415
        import scipy  # noqa: F401, PLC0415
        import statsmodels  # noqa: F401, PLC0415
    except ImportError as error:
        raise Fatal(
            f"{error.name} is missing: install Holdfast with its extra, pip install 'holdfast[report]'"
        ) from None


def analysed(
    answers: "Answers", labels: list[AuditLabel], status: Status, *, border: int, draws: int, seed: int
) -> "Report":
    """The report on *answers*, its steps told on *status*."""
    from services.operator.hazard.report import analyse  # noqa: PLC0415  (the extra is optional)

    return analyse(
        answers,
        labels,
        short_max=border or None,
        draws=draws,
        seed=seed,
        on_step=lambda step: status.update(marked(step)),
    )


def show(console: Console, report: "Report", *, source: str, out: Path | None, as_json: bool) -> None:
    """Print *report*, and write its picture and figures to the folder *out* where one is given."""
    from services.operator import hazard_tables  # noqa: PLC0415  (the extra is optional)
    from services.operator.hazard import pictures  # noqa: PLC0415

    if as_json:
        typer.echo(report.to_json())
    else:
        for part in hazard_tables.report(report):
            console.print(part, highlight=False)
    if out:
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / FIGURES).write_text(report.to_json() + "\n", encoding="utf-8")
            pictures.draw(report, out / PICTURE, source=source)
        except OSError as error:
            _unwritable(out, error)
        console.print(f"→ {marked(str(out / PICTURE))}, {marked(str(out / FIGURES))}", highlight=False)


def _unwritable(out: Path, error: OSError) -> NoReturn:
    raise Fatal(f"{error.filename or out} cannot be written: {error.strerror}") from None


def _read(source: str) -> Iterable[RecordedClaim]:
    if source == TOPICS:
        settings = read_settings(OperatorSettings, os.environ)
        return asyncio.run(_collected(settings.kafka))
    try:
        with Path(source).open(encoding="utf-8") as rows:
            return list(read_claims(rows))
    except OSError as error:
        raise Fatal(f"{source} cannot be read: {error.strerror}; --from takes `topics` or a file") from None
    except UnicodeDecodeError:
        raise Fatal(f"{source} is not UTF-8 text") from None


def _labels(audit: Path | None) -> list[AuditLabel]:
    if audit is None:
        return []
    try:
        with audit.open(encoding="utf-8") as rows:
            return list(read_labels(rows))
    except UnicodeDecodeError:
        raise Fatal(f"{audit} is not UTF-8 text") from None


def _of_arms(answers: "Answers", names: list[str]) -> "Answers":
    if not names:
        return answers
    if unknown := sorted(set(names) - set(answers.arms)):
        raise Fatal(f"no arm {', '.join(unknown)} among the claims; there are: {', '.join(answers.arms) or 'none'}")
    numbers = {answers.arms.index(name) for name in names}
    import numpy as np  # noqa: PLC0415  (the extra is optional)

    return answers.where(np.isin(answers.arm, sorted(numbers)))


async def _collected(kafka: KafkaSettings) -> list[RecordedClaim]:
    return [claim async for claim in recorded_claims(kafka)]


async def _write(kafka: KafkaSettings, write: Callable[[str], int]) -> int:
    count = 0
    async for claim in recorded_claims(kafka):
        write(to_line(claim))
        count += 1
    return count
