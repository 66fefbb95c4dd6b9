"""
`holdfast trace CONVERSATION`: what every stage decided in each turn, and how long it took.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console

from services.operator.adapters.tracing import read_trace
from services.operator.commands.progress import reading
from services.operator.domain.showing import json_text, marked
from services.operator.domain.tracing import Trace, TracedTurn
from services.operator.settings import OperatorSettings
from services.operator.tables import OUTCOME_STYLE
from shared.errors import Fatal
from shared.events.claims import Correction
from shared.events.conversation import Decision
from shared.events.envelope import Address
from shared.events.topics import DAY_MS
from shared.events.turns import MatchVerdict
from shared.settings import read_settings


def command(
    conversation: Annotated[str, typer.Argument(help="which conversation; `tenant:conversation` names the tenant too")],
    tenant: Annotated[str, typer.Option(help="whose conversation it is")] = "harbour",
    turn: Annotated[int, typer.Option(help="only the turn of this epoch; 0 is all", min=0)] = 0,
    days: Annotated[float, typer.Option(help="how far back topics are read", min=0.001)] = 7.0,
    rejected: Annotated[bool, typer.Option(help="show the guidelines that do not apply, with their evidence")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="everything, as JSON")] = False,
) -> None:
    """
    Show each turn of a conversation: what was asked, which guidelines matched on what evidence, what was drafted on
    which facts, what verification found and mended, what left, and where the time went.

    Only the conversation's own partition of each topic is read. turns.opened to turns.finished are kept a day and
    turns.closed thirty: of an older turn the record of its decisions is there, its transcript is not.
    """
    name, _, rest = conversation.partition(":")
    address = Address.from_key(Address(name, rest).key if rest else Address(tenant, conversation).key)
    settings = read_settings(OperatorSettings, os.environ)
    console = Console()
    since_ms = round(time.time() * 1000 - days * DAY_MS)
    with reading(console, f"{address.tenant}:{address.conversation}", quiet=as_json) as progress:
        trace = asyncio.run(read_trace(settings.kafka, address, since_ms=since_ms, progress=progress))
    turns = [traced for traced in trace.ordered() if not turn or traced.turn.epoch == turn]
    if not turns:
        what = f"turn {turn}" if turn else "turn"
        raise Fatal(
            f"the topics hold no {what} of {address.tenant}:{address.conversation} of the last {days:g} days "
            f"({trace.records} records); look at --tenant and --days"
        )
    if as_json:
        rows = [row for row in trace.document() if not turn or row["turn"]["epoch"] == turn]
        typer.echo(json_text(rows))
        return
    for traced in turns:
        for line in lines(trace, traced, rejected=rejected):
            console.print(line, highlight=False, soft_wrap=True)
    if trace.unreadable:
        console.print(f"[yellow]{trace.unreadable} records of it cannot be read; see `holdfast dlq list`[/]")


def lines(trace: Trace, traced: TracedTurn, *, rejected: bool = False) -> Iterator[str]:
    """One turn, as lines for a terminal (rich's markup)."""
    turn = traced.turn
    legs = f", {traced.legs} legs" if traced.legs > 1 else ""
    yield (
        f"[bold blue]turn {turn.epoch}[/] {_(turn.id)} [dim]{turn.opened_at:%Y-%m-%d %H:%M:%S} · {_(turn.agent)} · "
        f"playbook {_(turn.playbook_version[:20])}{legs}[/]"
    )
    yield from (f"  [bold]asked[/]     {_(text)}" for text in trace.question(traced))
    yield from _transcript(traced)
    yield from _matching(traced, rejected=rejected)
    yield from _draft(traced)
    yield from _verification(traced)
    yield from _end(traced)
    if parts := trace.hops(traced):
        told = "  ".join(f"{_(name)} {milliseconds:.0f}" for name, milliseconds in parts.items())
        yield f"  [dim]ms        {told}  = {sum(parts.values()):.0f}[/]"
    yield ""


def _transcript(traced: TracedTurn) -> Iterator[str]:
    if traced.opened is None:
        return
    before = [one for one in traced.opened.transcript if one.id not in traced.covers]
    omitted = f" ({traced.opened.omitted} more before)" if traced.opened.omitted else ""
    if before or omitted:
        yield f"  [dim]before    {len(before)} messages{omitted}[/]"
        yield from (f"  [dim]            {one.author}: {_(one.text)}[/]" for one in before)


def _matching(traced: TracedTurn, *, rejected: bool) -> Iterator[str]:
    matching = traced.matching
    if matching is None:
        return
    calls = f"[dim]({matching.spent.calls} calls)[/]"
    yield f"  [bold]matched[/]   {len(matching.active)} of {matching.candidates} guidelines {calls}"
    for match in matching.matches:
        if match.verdict is MatchVerdict.APPLIES or rejected:
            yield f"            [magenta]{_(match.guideline_id)}[/] {match.verdict}: {_(match.evidence)}"
    for one in matching.resolutions:
        if one.active or rejected:
            yield f"            [dim]{_(one.guideline_id)} {'stays' if one.active else 'goes'}: {_(one.reason)}[/]"


def _draft(traced: TracedTurn) -> Iterator[str]:
    draft = traced.draft
    if draft is None:
        return
    yield f"  [bold]drafted[/]   {draft.mode} [dim]({draft.spent.calls} calls, {draft.spent.output_tokens} tokens)[/]"
    for segment in draft.segments:
        facts = f" [dim]← {_(', '.join(segment.fact_ids))}[/]" if segment.fact_ids else ""
        yield f"            {segment.kind}: {_(segment.text)}{facts}"
    yield from (f"            [cyan]tool {_(one.call.tool)}: {one.status}[/]" for one in draft.results)


def _verification(traced: TracedTurn) -> Iterator[str]:
    found = traced.verification
    if found is None:
        return
    passed = "[green]passed[/]" if found.passed else "[red]refused[/]"
    calls = f"[dim]({found.spent.calls} calls)[/]"
    yield f"  [bold]verified[/]  {passed} by {found.verified_by}, {found.rounds} rounds {calls}"
    for claim in found.claims:
        mended = "" if claim.correction is Correction.NONE else f" → {claim.correction}, {claim.final_verdict}"
        why = f" [dim]{_(claim.reason)}[/]" if claim.reason else ""
        verdict = f"[yellow]{claim.draft_verdict}{mended}[/]"
        yield f"            {claim.position}. {verdict} ({claim.judge}) {_(claim.text)}{why}"
    for one in found.adherence:
        yield f"            [magenta]{_(one.guideline_id)}[/] {one.verdict} ({one.judge})"
    yield from (f"            [yellow]{_(complaint)}[/]" for complaint in found.complaints)


def _end(traced: TracedTurn) -> Iterator[str]:
    if traced.closed is None:
        last = traced.last
        said = f"{last.result} by the {_(last.stage)}: {_(last.reason)}" if last else "not closed yet"
        yield f"  [bold]open[/]      {said}"
        return
    closed = traced.closed
    style = OUTCOME_STYLE.get(closed.outcome, "red")
    yield from map(_decision, closed.decisions)
    yield f"  [bold]closed[/]    [{style}]{closed.outcome}[/] {_(closed.reason)}".rstrip()
    if traced.response is not None:
        origin = f" [dim](fallback {_(traced.response.fallback)})[/]" if traced.response.fallback else ""
        yield f"  [bold]replied[/]   [green]{_(traced.response.text)}[/]{origin}"


def _decision(one: Decision) -> str:
    verdict = "[green]allowed[/]" if one.granted else "[red]refused[/]"
    lapsed = ", [yellow]lapsed: the tool was declared anew[/]" if one.lapsed else ""
    reason = f": {_(one.reason)}" if one.reason else ""
    when = f"[dim]{one.decided_at:%Y-%m-%d %H:%M:%S}[/]"
    return f"  [bold]decided[/]   {_(one.tool)} {verdict} by {_(one.by or 'somebody')}{reason}{lapsed} {when}"


def _(text: str) -> str:
    return marked(text)
