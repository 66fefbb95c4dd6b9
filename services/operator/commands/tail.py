"""
`holdfast tail`: outcomes as they happen, a line for each closed turn.
"""

import asyncio
import os
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.adapters.reader import TopicReader
from services.operator.domain.showing import marked
from services.operator.settings import OperatorSettings
from shared.broker.clients import KafkaSettings
from shared.events import topics
from shared.events.turns import TurnClosed
from shared.settings import read_settings


def command(
    tenant: Annotated[str, typer.Option(help="only this tenant's turns")] = "",
    past: Annotated[bool, typer.Option(help="begin with what the topic still holds, not with now")] = False,
    number: Annotated[int, typer.Option("-n", "--number", help="stop after so many turns; 0 never stops", min=0)] = 0,
) -> None:
    """
    Show outcomes as they happen: time, conversation, how the turn ended, guidelines, what verification caught.
    Ctrl-C ends.
    """
    settings = read_settings(OperatorSettings, os.environ)
    asyncio.run(_tail(Console(), settings.kafka, tenant, number, past=past))


async def _tail(console: Console, kafka: KafkaSettings, tenant: str, number: int, *, past: bool) -> None:
    shown = 0
    async with TopicReader(kafka, [topics.TURNS_CLOSED], start="beginning" if past else "end") as reader:
        while not number or shown < number:
            for seen in await reader.read():
                if isinstance(seen.event.data, TurnClosed) and (not tenant or seen.address.tenant == tenant):
                    console.print(_line(seen.event.data), highlight=False)
                    shown += 1
                    if shown == number:
                        return


def _line(closed: TurnClosed) -> str:
    seconds = (closed.closed_at - closed.turn.opened_at).total_seconds()
    style = tables.OUTCOME_STYLE.get(closed.outcome, "red")
    guidelines = ", ".join(closed.matching.active) if closed.matching else ""
    parts = [
        f"[dim]{closed.closed_at:%H:%M:%S}[/]",
        marked(f"{closed.turn.tenant}:{closed.turn.conversation}#{closed.turn.epoch}"),
        f"[{style}]{closed.outcome}[/]{' (' + marked(closed.reason) + ')' if closed.reason else ''}",
        f"{seconds:.2f} s",
        f"[magenta]{marked(guidelines)}[/]",
        f"[yellow]{marked('; '.join(tables.caught(closed)))}[/]",
    ]
    return "  ".join(parts)
