"""
`holdfast replay FILE`: recorded turns decided anew by another playbook or model, and what changes.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from services.operator import tables
from services.operator.adapters import replay
from services.operator.adapters.replay import Recording, Run
from services.operator.adapters.stack import StackPlan, running
from services.operator.domain.replay import Aspect, Compared, Decision, RecordedTurn, compared, counts, word_changes
from services.operator.domain.showing import marked
from services.operator.settings import OperatorSettings
from shared.broker.clients import KafkaSettings
from shared.errors import Fatal
from shared.events.topics import DAY_MS
from shared.playbook.loading import load as load_playbook
from shared.playbook.model import Playbook
from shared.settings import read_settings

EXIT_CHANGED = 1
STAGES = ("matcher", "reasoner", "verifier")
BUDGET_SHARE = 0.9
"""Of a turn's time that the model may use: the rest is for the way there and back."""
_MARK = {"=": "{}", "-": "[red strike]{}[/]", "+": "[green]{}[/]"}


def command(
    file: Annotated[Path, typer.Argument(help="recorded turns, JSON a line")],
    record: Annotated[
        bool, typer.Option("--record", help="write FILE from the broker's topics, and decide nothing")
    ] = False,
    playbook: Annotated[Path | None, typer.Option(help="the candidate; without it, the recorded playbooks")] = None,
    model: Annotated[
        str, typer.Option(help="the candidate's model, at HOLDFAST_LLM_URL; else HOLDFAST_LLM_MODEL")
    ] = "",
    rehearsal: Annotated[bool, typer.Option(help="ask the rehearsal model, offline; no figure of quality")] = False,
    repeats: Annotated[
        int, typer.Option(help="decisions of each side a turn; 1 compares with the record", min=1, max=50)
    ] = 1,
    limit: Annotated[int, typer.Option(help="the newest so many turns", min=1, max=10_000)] = 200,
    tenant: Annotated[str, typer.Option(help="whose turns are recorded")] = "harbour",
    agent: Annotated[str, typer.Option(help="which playbook's turns are recorded")] = "bank",
    days: Annotated[float, typer.Option(help="how far back is recorded; turns.opened is kept a day", min=0.001)] = 1.0,
    open_max: Annotated[int, typer.Option(help="turns decided at once", min=1)] = 16,
    seconds: Annotated[float, typer.Option(help="that a turn may take", min=1)] = 60.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="write everything as JSON")] = None,
) -> None:
    """
    Decide recorded turns anew with another playbook or model, and show which change: before you publish it.

    `--record` first writes the turns of a running Holdfast to FILE, with the playbooks that decided them (what
    customers said is in it). Then matcher, reasoner and verifier run on a private broker in this machine's memory:
    nothing of it reaches your brokers or a customer. Tools that only read are called; those that change something
    never are, as no leave is given.

    A model answers differently each time. With `--repeats 3` each turn is decided three times by the recorded
    playbook and model and three times by the candidate, and only what lies further apart than the former do among
    themselves counts as changed.

    Exits with 0 if nothing changed, 1 if something did, 2 on an error.
    """
    settings = read_settings(OperatorSettings, os.environ)
    console = Console()
    if record:
        found = asyncio.run(
            replay.record(
                settings.kafka, tenant, agent, since_ms=round(time.time() * 1000 - days * DAY_MS), turns_max=limit
            )
        )
        replay.write(found, file)
        left_out = ", ".join(f"{number} {why}" for why, number in found.left_out.most_common()) or "none"
        console.print(f"{len(found.turns)} turns and {len(found.playbooks)} playbooks in {file}; left out: {left_out}")
        return
    recording = replay.read(file)
    recording.turns = recording.turns[-limit:]
    candidate = load_playbook(playbook).playbook if playbook else None
    if candidate:
        recording.turns = [one for one in recording.turns if one.opened.turn.agent == candidate.agent]
    if not recording.turns:
        raise Fatal(f"{file}: no recorded turn is of the agent {candidate.agent if candidate else agent}")
    shadow = _Shadow(console, settings, recording, rehearsal=rehearsal, open_max=open_max, seconds=seconds)
    baseline = [[one.decision] for one in recording.turns]
    if repeats > 1:
        baseline = shadow.decided("baseline", None, "", repeats)
    after = shadow.decided("candidate", candidate, model, repeats)
    done = [compared(*three) for three in zip(recording.turns, baseline, after, strict=True)]
    _show(console, done)
    if json_file:
        document: dict[str, Any] = {
            "counts": counts(done),
            "repeats": repeats,
            "turns": [one.document() for one in done],
        }
        json_file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    raise typer.Exit(EXIT_CHANGED if any(one.changes for one in done) else 0)


class _Shadow:
    """The private stacks that decide: one for each side, one after another."""

    def __init__(
        self,
        console: Console,
        settings: OperatorSettings,
        recording: Recording,
        *,
        rehearsal: bool,
        open_max: int,
        seconds: float,
    ) -> None:
        self._console = console
        self._settings = settings
        self._recording = recording
        self._rehearsal = rehearsal
        self._open_max = open_max
        self._seconds = seconds

    def decided(self, side: str, playbook: Playbook | None, model: str, repeats: int) -> list[list[Decision]]:
        """
        The decisions on every turn by *playbook* (None: the recorded ones) and *model* (empty: that of the settings).

        Raises:
            Fatal: a recorded playbook is missing, or a process of the stack ended.

        """
        return asyncio.run(self._decided(Run(side, repeats, self._open_max, self._seconds), playbook, model))

    async def _decided(self, run: Run, playbook: Playbook | None, model: str) -> list[list[Decision]]:
        turns = self._recording.turns

        def playbook_of(turn: RecordedTurn) -> Playbook:
            return playbook or self._recorded(turn)

        share = f"{self._seconds:g}"
        environ = {
            "HOLDFAST_TELEMETRY_LOG_LEVEL": "warning",
            "HOLDFAST_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "HOLDFAST_LLM_FIRST_BYTE_TIMEOUT_SECONDS": share,
            "HOLDFAST_LLM_TOTAL_TIMEOUT_SECONDS": share,
            "HOLDFAST_MATCHER_MODEL_SHARE": f"{BUDGET_SHARE:g}",
        }
        plan = StackPlan(
            folder=Path(self._settings.operator.folder) / "replay",
            tenant=turns[0].opened.turn.tenant,
            playbook=playbook_of(turns[0]),
            stages=STAGES,
            model_url="" if self._rehearsal else self._settings.llm.url,
            environ=environ | ({"HOLDFAST_LLM_MODEL": model} if model else {}),
            ready_seconds_max=self._settings.operator.ready_seconds_max,
        )
        # The broker is a new one, so the settings of the real one (its name, its secrets) are not to be used.
        async with running(plan, KafkaSettings()) as stack:
            with Progress(console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task(run.side, total=len(turns) * run.repeats)
                return await replay.decide(stack, turns, playbook_of, run, lambda: bar.advance(task))

    def _recorded(self, turn: RecordedTurn) -> Playbook:
        named = turn.opened.turn
        found = self._recording.playbooks.get((named.tenant, named.agent, named.playbook_version))
        if found is None:
            raise Fatal(
                f"the recording lacks playbook {named.playbook_version} of {named.tenant}/{named.agent}, which decided "
                f"turn {named.id}; without --repeats, and with --playbook, it is not needed"
            )
        return found


def _show(console: Console, done: list[Compared]) -> None:
    for one in done:
        if one.changes:
            for line in lines(one):
                console.print(line, highlight=False, soft_wrap=True)
    found = counts(done)
    rows = [(name, f"{number:,}", f"{number / max(found['turns'], 1):.0%}") for name, number in found.items()]
    console.print(tables.figures("what changed", ("", "turns", "share"), rows))


def lines(one: Compared) -> Iterator[str]:
    """A turn that changed, as lines for a terminal (rich's markup)."""
    turn = one.turn.opened.turn
    before, after = one.shown()
    yield f"[bold blue]{_(turn.tenant)}:{_(turn.conversation)}#{turn.epoch}[/] {_(one.question)}"
    for aspect, distance in one.changes.items():
        yield f"  [bold]{aspect:<9}[/] {_told(aspect, before, after)} [dim]({distance:.2f})[/]"
    yield ""


def _told(aspect: Aspect, before: Decision, after: Decision) -> str:
    match aspect:
        case Aspect.OUTCOME:
            return f"[red]{_(before.outcome)}[/] → [green]{_(after.outcome)}[/]"
        case Aspect.REPLY:
            return " ".join(_MARK[kind].format(_(words)) for kind, words in word_changes(before.reply, after.reply))
        case _:
            old, new = (
                (before.matches, after.matches) if aspect is Aspect.MATCHES else (before.verdicts, after.verdicts)
            )
            gone = [f"[red]-{_(name)}[/]" for name in _surplus(old, new)]
            come = [f"[green]+{_(name)}[/]" for name in _surplus(new, old)]
            return " ".join([*gone, *come]) or "varies otherwise than before"


def _surplus(names: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    return sorted((Counter(names) - Counter(others)).elements())


def _(text: str) -> str:
    return marked(text)
