"""
`holdfast evaluate`: labelled scenarios through a live matcher, and how often it decides right.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from services.operator.adapters.stack import Broker, Stack, StackPlan, running
from services.operator.commands.report import needs_extra
from services.operator.evaluation.distractors import distractors
from services.operator.evaluation.endpoint import Answers, Model
from services.operator.evaluation.kept import append_result, drop_partial_line, read_results
from services.operator.evaluation.plays import TENANT, Plan, Play, in_modes, plays
from services.operator.evaluation.recorded import SCRIPTED_ONLY
from services.operator.evaluation.result import Result
from services.operator.evaluation.runner import by_stages, run
from services.operator.evaluation.scenario import Scenario, read_scenarios
from services.operator.evaluation.scripted import scripted_rules
from services.operator.settings import OperatorSettings
from shared.errors import Fatal
from shared.settings import read_settings

SAMPLES = Path(str(files("services.operator"))) / "samples" / "scenarios"
RESULTS = "evaluation.jsonl"
NAMESPACE = "evaluation."
SCRIPTED = "scripted"
EXIT_WRONG = 1
BUDGET_SHARE = 0.9
"""Of a turn's time that the model may use: the rest is for the way there and back."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write beside the tables."""

    json: Path | None
    junit: Path | None
    html: Path | None


def command(
    scenarios: Annotated[list[Path] | None, typer.Argument(help="files of scenarios: YAML, or recorded JSON")] = None,
    model: Annotated[
        Model,
        typer.Option(
            help="`endpoint`: HOLDFAST_LLM_*; `scripted`: answers made from the labels, which proves plumbing"
        ),
    ] = Model.ENDPOINT,
    repeats: Annotated[int, typer.Option(help="plays of each scenario, for pass^k", min=1, max=100)] = 1,
    guidelines: Annotated[
        list[int] | None, typer.Option(help="pad playbooks to so many guidelines; may be given several times", min=0)
    ] = None,
    area: Annotated[str, typer.Option(help="only areas that begin so")] = "",
    results: Annotated[
        Path | None, typer.Option(help="keeps finished plays, one a line; what it holds is not played again")
    ] = None,
    compare: Annotated[Path | None, typer.Option(help="the results of an earlier run, to compare with")] = None,
    arms: Annotated[
        str, typer.Option(help="modes to play each scenario in and to compare, such as `direct,cot,arq`")
    ] = "",
    record: Annotated[Path | None, typer.Option(help="a folder that keeps the model's answers and reuses them")] = None,
    replay: Annotated[Path | None, typer.Option(help="a folder of such answers; the model is not asked")] = None,
    answer_seconds_max: Annotated[float, typer.Option(help="for one turn's answers of the model", min=1)] = 60.0,
    open_max: Annotated[int, typer.Option(help="turns at once", min=1, max=1_000)] = 16,
    broker: Annotated[Broker, typer.Option(help="where the topics live")] = Broker.EMBEDDED,
    json_file: Annotated[Path | None, typer.Option("--json", help="write all figures and results there")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="write JUnit XML there")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="write a page with plots there")] = None,
) -> None:
    """
    Play scenarios through a live matcher and say how often it decides right, area by area (needs the extra `report`).

    Intervals are of 95 %, over scenarios. Exits with 1 unless every play was right.
    """
    needs_extra()
    settings = read_settings(OperatorSettings, os.environ)
    answers = Answers(model, record, replay)
    answers.check(settings.llm)
    console = Console()
    known, unfit = _read(scenarios or sorted(SAMPLES.glob("*.yaml")), area, model)
    if arms:
        known = in_modes(known, arms)
    sizes = tuple(dict.fromkeys(guidelines or [0]))
    label = settings.llm.model if model is Model.ENDPOINT else model.value
    plan = Plan(label, repeats, sizes, open_max, answer_seconds_max / BUDGET_SHARE)
    kept = results or Path(settings.operator.folder) / RESULTS
    kept.parent.mkdir(parents=True, exist_ok=True)
    drop_partial_line(kept)
    done = read_results(kept, Result)
    todo = plays(known, plan, done)
    wanted = {(play.fingerprint, play.repeat) for play in plays(known, plan, {})}
    console.print(
        f"{len(known)} scenarios, {len(unfit)} that do not fit; {len(wanted) - len(todo)} plays kept in {kept}"
    )
    if todo:
        asyncio.run(_play(answers, broker, settings, known, todo, plan, kept))
    found = [result for key, result in read_results(kept, Result).items() if key in wanted]
    written = Outputs(json_file, junit_file, html_file)
    if arms:
        _show_arms(console, found, plays(known, plan, {}), written)
    else:
        _show(console, found, sizes, unfit, compare, written)
    if not all(result.is_right for result in found):
        raise typer.Exit(EXIT_WRONG)


def _read(paths: Sequence[Path], area: str, model: Model) -> tuple[list[Scenario], dict[str, str]]:
    known: dict[str, Scenario] = {}
    unfit: dict[str, str] = {}
    for path in paths:
        scenarios, left_out = read_scenarios(path)
        if twice := known.keys() & {scenario.id for scenario in scenarios}:
            raise Fatal(f"{path}: another file has the scenarios {', '.join(sorted(twice)[:5])} as well; rename one")
        given = {one.id for one in scenarios if one.area in SCRIPTED_ONLY} if model is not Model.SCRIPTED else set()
        unfit |= dict.fromkeys(given, "the model's verdicts are given; it is played with `--model scripted`")
        known |= {one.id: one for one in scenarios if one.area.startswith(area) and one.id not in given}
        unfit |= left_out
    if not known:
        raise Fatal("no scenario to play: none fits, or `--area` leaves all of them out")
    return list(known.values()), unfit


async def _play(
    answers: Answers,
    broker: Broker,
    settings: OperatorSettings,
    known: Sequence[Scenario],
    todo: Sequence[Play],
    plan: Plan,
    kept: Path,
) -> None:
    seconds = plan.turn_seconds_max
    environ = {
        "HOLDFAST_TELEMETRY_LOG_LEVEL": "warning",
        "HOLDFAST_LLM_FIRST_BYTE_TIMEOUT_SECONDS": f"{seconds:g}",
        "HOLDFAST_LLM_TOTAL_TIMEOUT_SECONDS": f"{seconds:g}",
        "HOLDFAST_MATCHER_MODEL_SHARE": f"{BUDGET_SHARE:g}",
        "HOLDFAST_MATCHER_MODEL_WAIT_MAX_SECONDS": f"{seconds:g}",
        "HOLDFAST_REASONER_MODEL_SHARE": f"{BUDGET_SHARE:g}",
    }
    async with answers.url(settings.llm, partial(scripted_rules, known), seconds) as url:
        # Topics of its own: a running Holdfast must not answer these turns.
        kafka = settings.kafka.model_copy(update={"namespace": settings.kafka.namespace + NAMESPACE})
        for stages, group in by_stages(todo).items():
            first = group[0]
            stack_plan = StackPlan(
                folder=Path(settings.operator.folder) / "evaluate",
                tenant=TENANT,
                playbook=first.scenario.playbook(first.agent, distractors(first.scenario, first.guidelines)),
                broker=broker,
                stages=stages,
                model_url=url,
                environ=environ,
                ready_seconds_max=settings.operator.ready_seconds_max,
            )
            async with running(stack_plan, kafka) as stack:
                await _played(settings, stack, group, plan, kept)


async def _played(settings: OperatorSettings, stack: Stack, todo: Sequence[Play], plan: Plan, kept: Path) -> None:
    seconds = plan.turn_seconds_max
    with Progress(transient=True) as progress:
        task = progress.add_task("playing", total=len(todo))

        def keep(result: Result) -> None:
            append_result(kept, result)
            progress.advance(task)

        llm = settings.llm.model_copy(
            update={
                "url": stack.model_url,
                "first_byte_timeout_seconds": seconds,
                "total_timeout_seconds": seconds,
            }
        )
        await stack.guard(run(stack.kafka, llm, todo, plan, keep))


def _show_arms(console: Console, found: Sequence[Result], wanted: Sequence[Play], written: Outputs) -> None:
    # Imported here, as in `_show`.
    from services.operator.evaluation.arms import arm_scores, arms_document, arms_table, by_arm  # noqa: PLC0415

    arms = by_arm(found, wanted)
    scored = arm_scores(arms)
    console.print(arms_table(scored))
    if written.json:
        written.json.write_text(json.dumps(arms_document(scored, arms), indent=2) + "\n", encoding="utf-8")


def _show(
    console: Console,
    found: Sequence[Result],
    sizes: Sequence[int],
    unfit: dict[str, str],
    compare: Path | None,
    written: Outputs,
) -> None:
    # Imported here: these need the extra `report`, and the other verbs start faster without it.
    from services.operator.evaluation import report  # noqa: PLC0415
    from services.operator.evaluation.compare import compared  # noqa: PLC0415
    from services.operator.evaluation.page import page  # noqa: PLC0415
    from services.operator.evaluation.scoring import scores  # noqa: PLC0415

    grouped = report.by_size(found, sizes)
    for size, results in grouped.items():
        title = f"padded to {size:,} guidelines" if size else "as written"
        figures = scores(results)
        console.print(report.score_table(f"right decisions, {title}", figures))
        console.print(report.cost_table(f"cost of a play, {title}", figures))
    if unfit:
        console.print(report.unfit_table(unfit))
    comparison = compared(read_results(compare, Result).values(), found) if compare else None
    if comparison:
        console.print(report.comparison_table(comparison))
    if written.json:
        figures_and_all = json.dumps(report.document(grouped, unfit, comparison), indent=2)
        written.json.write_text(figures_and_all + "\n", encoding="utf-8")
    if written.junit:
        written.junit.write_text(report.junit(found), encoding="utf-8")
    if written.html:
        written.html.write_text(page(grouped, unfit, comparison), encoding="utf-8")
