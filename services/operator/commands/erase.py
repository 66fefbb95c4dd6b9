"""
`holdfast erase TENANT CONVERSATION`: forget a conversation, and prove it.
"""

import asyncio
import json
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from services.operator import tables
from services.operator.adapters.erasure import erase
from services.operator.domain.erasure import Certificate
from services.operator.settings import OperatorSettings
from shared.errors import Fatal
from shared.events.envelope import Address
from shared.settings import read_settings


def command(
    tenant: Annotated[str, typer.Argument(help="whose conversation it is")],
    conversation: Annotated[str, typer.Argument(help="which conversation, as the platform names it")],
    reason: Annotated[str, typer.Option(help="for the record, such as the request's number; no personal data")] = "",
    agent: Annotated[str, typer.Option(help="whose playbook the probe names")] = "bank",
    probe: Annotated[bool, typer.Option(help="send a message after it, which must be refused")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask; there is no way back")] = False,
    wait: Annotated[float, typer.Option(help="seconds that the ledger may take", min=1)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="the certificate, as JSON")] = False,
) -> None:
    """
    Forget a conversation for good, and prove it (GDPR Art. 17).

    Publishes conversation.erased; an open turn ends, the ledger replaces the conversation's state by a marker, refuses
    what is still under way or comes later, and dead letters of the conversation are never driven again. The
    certificate shows the marker, the refusal of a probe, and how long records of the past still lie on topics, which
    cannot be edited: until their retention, a log's segment more at most. Backups of the brokers, the platform, and the
    model's provider are yours to see to. Exits with 0 only if it is proven.
    """
    address = Address.from_key(Address(tenant, conversation).key)
    if not yes and not typer.confirm(f"Forget {tenant}:{conversation} for good?", err=True):
        raise Fatal("nothing was erased")
    settings = read_settings(OperatorSettings, os.environ)
    console = Console()
    certificate = asyncio.run(
        erase(
            settings.kafka,
            address,
            reason=reason,
            agent=agent,
            probe=probe,
            seconds_max=wait,
            told=lambda step: None if as_json else console.print(f"[dim]{escape(step)}[/]"),
        )
    )
    if as_json:
        typer.echo(json.dumps(certificate.document(), indent=2))
    else:
        _show(console, certificate)
    raise typer.Exit(0 if certificate.proven else 1)


def _show(console: Console, certificate: Certificate) -> None:
    rows = [
        (
            one.topic,
            f"{one.records:,}",
            f"{one.newest:%Y-%m-%d %H:%M}",
            f"{one.gone_by:%Y-%m-%d %H:%M}" if one.gone_by else "never: the topic keeps everything",
        )
        for one in certificate.remains
    ]
    header = ("what topics still hold", "records", "newest (UTC)", "gone by (UTC)")
    console.print(tables.figures("", header, rows))
    state = certificate.state
    holds = ", ".join(state.names) if state else "nothing (a tombstone)"
    console.print(f"state, conversations.state {certificate.state_place}: {holds}", highlight=False)
    if certificate.probe:
        console.print(f"probe: {certificate.probe.outcome}, {certificate.probe.reason}", highlight=False)
    console.print("[bold green]erased, and proven[/]" if certificate.proven else "[bold red]NOT proven[/]")
