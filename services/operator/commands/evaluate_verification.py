"""
`holdfast evaluate verification`: labelled drafts through a live verifier, and how good its verdicts and repairs are.
"""

import asyncio
import json
import os
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from services.operator.adapters.stack import Broker
from services.operator.commands.report import needs_extra
from services.operator.evaluation.endpoint import Answers, Model
from services.operator.evaluation.kept import append_result, drop_partial_line, read_results
from services.operator.settings import OperatorSettings
from services.operator.verification.drafts import Domain, read_domains
from services.operator.verification.result import Result, by_variant
from services.operator.verification.runner import Plan, plays
from services.operator.verification.scripted import Rates, scripted_rules
from services.operator.verification.session import BUDGET_SHARE, verify
from shared.errors import Fatal
from shared.playbook.model import Variant
from shared.settings import read_settings

SAMPLES = Path(str(files("services.operator"))) / "samples" / "verification"
RESULTS = "verification.jsonl"
EXIT_INCOMPLETE = 1


def command(
    drafts: Annotated[list[Path] | None, typer.Argument(help="files of labelled drafts: YAML, a domain each")] = None,
    model: Annotated[
        Model,
        typer.Option(
            help="`endpoint`: HOLDFAST_LLM_*; `scripted`: one that knows the labels and errs as told, which proves"
            " plumbing; `rehearsal`: by words alone"
        ),
    ] = Model.ENDPOINT,
    variant: Annotated[list[Variant] | None, typer.Option(help="may be given several times; two_step")] = None,
    repeats: Annotated[int, typer.Option(help="of each draft", min=1, max=100)] = 1,
    miss: Annotated[float, typer.Option(help="scripted: of wrong claims, those taken for right", min=0, max=1)] = 0.0,
    false_alarm: Annotated[float, typer.Option(help="scripted: of right claims, the reverse", min=0, max=1)] = 0.0,
    seed: Annotated[int, typer.Option(help="scripted: which claims")] = 0,
    results: Annotated[Path | None, typer.Option(help="keeps verdicts, one a line; none is asked for again")] = None,
    record: Annotated[Path | None, typer.Option(help="a folder that keeps the model's answers and reuses them")] = None,
    replay: Annotated[Path | None, typer.Option(help="a folder of such answers; the model is not asked")] = None,
    answer_seconds_max: Annotated[float, typer.Option(help="for one draft's answers of the model", min=1)] = 60.0,
    open_max: Annotated[int, typer.Option(help="drafts at once", min=1, max=1_000)] = 16,
    broker: Annotated[Broker, typer.Option(help="where the topics live")] = Broker.EMBEDDED,
    json_file: Annotated[Path | None, typer.Option("--json", help="write all figures and results there")] = None,
) -> None:
    """
    Verify labelled drafts with a live verifier: what it catches, what it spoils, what that costs, and whether to ship
    it (needs the extra `report`).

    Exits with 1 where drafts have no verdict, as the model gave no usable answer in time.
    """
    needs_extra()
    settings = read_settings(OperatorSettings, os.environ)
    answers, rates = Answers(model, record, replay), Rates(miss, false_alarm, seed)
    answers.check(settings.llm)
    if model is not Model.SCRIPTED and (rates.miss or rates.false_alarm):
        raise Fatal("--miss and --false-alarm are the scripted verifier's; add `--model scripted`")
    console = Console()
    domains = read_domains(drafts or sorted(SAMPLES.glob("*.yaml")))
    labels = {Model.ENDPOINT: settings.llm.model, Model.SCRIPTED: f"{model}:{rates}"}
    label = labels.get(model, model.value)
    variants = tuple(dict.fromkeys(variant or [Variant.TWO_STEP]))
    plan = Plan(label, variants, repeats, open_max, answer_seconds_max / BUDGET_SHARE)
    kept = results or Path(settings.operator.folder) / RESULTS
    kept.parent.mkdir(parents=True, exist_ok=True)
    drop_partial_line(kept)
    todo = plays(domains, plan, read_results(kept, Result))
    wanted = {(play.fingerprint, play.repeat) for play in plays(domains, plan, {})}
    console.print(f"{len(wanted)} verifications of {len(domains)} domains; {len(wanted) - len(todo)} kept in {kept}")
    if todo:
        asyncio.run(_verify(answers, rates, broker, settings, domains, plan, kept))
    found = [result for key, result in read_results(kept, Result).items() if key in wanted]
    _show(console, found, json_file)
    if unfinished := [result for result in found if not result.is_final]:
        told = ", ".join(sorted({result.failure for result in unfinished}))
        console.print(f"{len(unfinished)} without a verdict ({told}); run again to ask for these alone")
        raise typer.Exit(EXIT_INCOMPLETE)


async def _verify(
    answers: Answers,
    rates: Rates,
    broker: Broker,
    settings: OperatorSettings,
    domains: tuple[Domain, ...],
    plan: Plan,
    kept: Path,
) -> None:
    todo = plays(domains, plan, read_results(kept, Result))
    async with answers.url(settings.llm, partial(scripted_rules, domains, rates), plan.turn_seconds_max) as url:
        with Progress(transient=True) as progress:
            task = progress.add_task("verifying", total=len(todo))

            def keep(result: Result) -> None:
                append_result(kept, result)
                progress.advance(task)

            await verify(settings, todo, plan, keep, broker=broker, model_url=url)


def _show(console: Console, found: list[Result], json_file: Path | None) -> None:
    # Imported here: these need the extra `report`, and the other verbs start faster without it.
    from services.operator.verification import tables  # noqa: PLC0415
    from services.operator.verification.measures import measured  # noqa: PLC0415

    rates = {variant: measured(results) for variant, results in by_variant(found).items()}
    if rates:
        console.print(tables.rate_table(rates))
        console.print(tables.label_table(rates))
        for line in tables.rulings(rates):
            console.print(line, highlight=False)
    if json_file:
        json_file.write_text(json.dumps(tables.document(rates, found), indent=2) + "\n", encoding="utf-8")
