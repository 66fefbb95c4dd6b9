"""
`holdfast say`: a chat in the terminal with one conversation; the turn's stages are shown as they pass.
"""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from services.operator import tables
from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import Seen, TopicReader
from services.operator.domain.showing import marked
from services.operator.settings import OperatorSettings
from shared.broker.clients import KafkaSettings
from shared.events import topics
from shared.events.base import Body
from shared.events.conversation import AcknowledgementSent, ApprovalRequested, ResponseSent
from shared.events.envelope import Address
from shared.events.turns import TurnClosed, TurnDrafted, TurnFinished, TurnMatched, TurnOpened
from shared.settings import read_settings

FOLLOWED = (
    topics.TURNS_OPENED,
    topics.TURNS_MATCHED,
    topics.TURNS_DRAFTED,
    topics.TURNS_FINISHED,
    topics.TURNS_VERIFIED,
    topics.CONVERSATION_RESPONSES,
    topics.TURNS_CLOSED,
)
PATIENCE_SECONDS = 120.0


def command(
    text: Annotated[str, typer.Argument(help="what to say; without it, a chat opens (an empty line ends it)")] = "",
    tenant: Annotated[str, typer.Option(help="whose playbook answers")] = "harbour",
    agent: Annotated[str, typer.Option(help="which playbook of the tenant answers")] = "bank",
    conversation: Annotated[str, typer.Option(help="the conversation to continue; a new one by default")] = "",
    stages: Annotated[bool, typer.Option(help="show the stages of each turn")] = True,
) -> None:
    """
    Talk to a running Holdfast: type, watch the turn pass its stages, read the reply.
    """
    console = Console()
    settings = read_settings(OperatorSettings, os.environ)
    address = Address(tenant, conversation or f"say-{uuid4().hex[:8]}")
    raise typer.Exit(asyncio.run(_chat(console, settings.kafka, address, agent, text, stages=stages)))


async def _chat(
    console: Console, kafka: KafkaSettings, address: Address, agent: str, text: str, *, stages: bool
) -> int:
    console.print(f"[dim]{marked(f'{address.tenant}:{address.conversation} with {agent}')}; an empty line ends[/]")
    async with TopicReader(kafka, FOLLOWED, start="end") as reader, Publisher(kafka) as publisher:
        while said := text or await asyncio.to_thread(_ask, console):
            event = posted(address, agent, said)
            await publisher.publish([(address, event)])
            if not await _follow(console, reader, address, Ending(event.id), stages=stages):
                console.print(f"[red]no outcome within {PATIENCE_SECONDS:g} s; are the services running?[/]")
                return 1
            if text:
                break
    return 0


def _ask(console: Console) -> str:
    while True:
        try:
            said = console.input("[bold blue]you[/] › ").strip()
            said.encode()
        except EOFError:
            return ""
        except UnicodeError:
            console.print("[red]that is not UTF-8, so it was not sent; set the terminal to UTF-8[/]")
        else:
            return said


@dataclass(slots=True)
class Ending:
    """
    Whether the turn about *message* has ended and all that it sent has been seen. Its reply and its record are
    committed at once, and read from two topics in any order.
    """

    message: str
    _closed: TurnClosed | None = None
    _answered: set[str] = field(default_factory=set)

    def reached(self, body: Body) -> bool:
        """Whether with *body* everything has been seen."""
        if isinstance(body, ResponseSent):
            self._answered.add(body.turn_id)
        elif isinstance(body, TurnClosed) and self.message in body.covers:
            self._closed = body
        closed = self._closed
        return closed is not None and (not closed.response_sha256 or closed.turn.id in self._answered)


async def _follow(console: Console, reader: TopicReader, address: Address, ending: Ending, *, stages: bool) -> bool:
    """Show what happens until *ending* is reached; False if that takes too long."""
    until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < until:
        ended = False
        for seen in await reader.read():
            if seen.address == address:
                _show(console, seen, stages=stages)
                ended = ending.reached(seen.event.data) or ended
        if ended:
            return True
    return False


def _show(console: Console, seen: Seen, *, stages: bool) -> None:
    body = seen.event.data
    if isinstance(body, AcknowledgementSent):
        console.print(f"[green]{marked(body.agent)}[/] › [dim]{marked(body.text)}[/]")
    elif isinstance(body, ResponseSent):
        console.print(f"[bold green]{marked(body.agent)}[/] › {marked(body.text)}")
    elif isinstance(body, ApprovalRequested):
        console.print(
            f"[yellow]waiting[/] for approval of {marked(body.tool)}: holdfast approve give {marked(body.approval_id)}"
        )
    elif stages:
        console.print(f"[dim]{marked(_told(body))}[/]", highlight=False)


def _told(body: object) -> str:
    match body:
        case TurnOpened():
            turn = body.turn
            leg = f", leg {turn.leg}" if turn.leg > 1 else ""
            seen = f"{len(body.transcript)} messages, playbook {turn.playbook_version}"
            return f"  opened   turn {turn.epoch}{leg}, {seen}"
        case TurnMatched():
            return f"  matched  {', '.join(body.matching.active) or 'no guideline'} of {body.matching.candidates}"
        case TurnDrafted():
            return f"  drafted  {body.draft.mode}: {body.draft.text}"
        case TurnFinished():
            return f"  finished {body.result} by the {body.stage}{': ' + body.reason if body.reason else ''}"
        case TurnClosed():
            found = "; ".join(tables.caught(body))
            return (
                f"  closed   {body.outcome}{': ' + body.reason if body.reason else ''}{' · ' + found if found else ''}"
            )
        case _:
            return f"  {type(body).__name__}"
