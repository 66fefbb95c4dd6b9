"""
`holdfast approve`: what waits for a person's approval, and the decision about it.
"""

import asyncio
import json
import os
from datetime import UTC, datetime
from getpass import getuser
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.operator.adapters.publisher import Publisher, event
from services.operator.adapters.reader import TopicReader
from services.operator.domain.approvals import Approvals, Request
from services.operator.domain.showing import printable
from services.operator.settings import OperatorSettings
from shared.broker.clients import KafkaSettings
from shared.events.conversation import ApprovalGiven
from shared.events.topics import CONVERSATION_DECISIONS, CONVERSATION_EVENTS, CONVERSATION_RESPONSES
from shared.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Calls of tools that wait for a person: list, give, refuse.")

Identifier = Annotated[str, typer.Argument(help="as `holdfast approve list` shows it")]
By = Annotated[str, typer.Option(help="who decides; by default the one who is logged in")]
Reason = Annotated[str, typer.Option(help="for the record")]


@app.command("list")
def list_(tenant: Annotated[str, typer.Option(help="only this tenant's")] = "") -> None:
    """
    Show what waits for approval: asked for on `conversation.responses`, not decided and not expired.
    """
    waiting = asyncio.run(_waiting(_kafka())).waiting(datetime.now(UTC), tenant=tenant)
    console = Console()
    if not waiting:
        console.print("nothing waits for approval")
        return
    console.print(_table(waiting))


@app.command()
def give(approval: Identifier, by: By = "", reason: Reason = "") -> None:
    """
    Allow a call: a turn performs it, once, and replies. Exits with 1 where it does not wait (any more).
    """
    asyncio.run(_decide(_kafka(), approval, granted=True, by=by or getuser(), reason=reason))


@app.command()
def refuse(approval: Identifier, by: By = "", reason: Reason = "") -> None:
    """
    Refuse a call: nothing is done, and a turn says so. Exits with 1 where it does not wait (any more).
    """
    asyncio.run(_decide(_kafka(), approval, granted=False, by=by or getuser(), reason=reason))


def _kafka() -> KafkaSettings:
    return read_settings(OperatorSettings, os.environ).kafka


async def _waiting(kafka: KafkaSettings) -> Approvals:
    """The approvals that the topics tell of now."""
    approvals = Approvals()
    async with TopicReader(kafka, [CONVERSATION_EVENTS, CONVERSATION_DECISIONS, CONVERSATION_RESPONSES]) as reader:
        while (read := await reader.read()) or await reader.behind():
            for seen in read:
                approvals.take(seen.address, seen.event.data, seen.event.time)
    return approvals


async def _decide(kafka: KafkaSettings, approval: str, *, granted: bool, by: str, reason: str) -> None:
    known = await _waiting(kafka)
    waiting = known.waiting(datetime.now(UTC))
    found = next((request for request in waiting if request.asked.approval_id == approval), None)
    if found is None:
        decided = known.decision(approval)
        why = _decided(decided) if decided else "it has expired, or was never asked for"
        typer.echo(printable(f"no approval {approval} waits: {why}"), err=True)
        raise typer.Exit(1)
    body = ApprovalGiven(approval_id=approval, granted=granted, digest=found.asked.digest, by=by, reason=reason)
    async with Publisher(kafka) as publisher:
        await publisher.publish([(found.address, event(found.address, "approval.given", body))])
    verb = "allowed" if granted else "refused"
    typer.echo(printable(f"{verb}: {found.asked.tool} for {found.address.tenant}:{found.address.conversation}"))


def _decided(decision: ApprovalGiven) -> str:
    reason = f" ({decision.reason})" if decision.reason else ""
    return f"{decision.by or 'somebody'} {'allowed' if decision.granted else 'refused'} it{reason}"


def _table(waiting: list[Request]) -> Table:
    table = Table(header_style="bold")
    for name in ("approval", "conversation", "tool", "what it does", "arguments", "expires"):
        table.add_column(name, overflow="fold")
    for request in waiting:
        asked = request.asked
        table.add_row(
            Text(printable(asked.approval_id)),
            Text(printable(f"{request.address.tenant}:{request.address.conversation}")),
            Text(printable(asked.tool)),
            Text(printable(asked.description)),
            Text(printable(json.dumps(asked.arguments, ensure_ascii=False))),
            f"{asked.expires_at:%Y-%m-%d %H:%M:%S}Z",
        )
    return table
