"""
`holdfast erase TENANT CONVERSATION`: forget a conversation, and prove it.
"""

import asyncio
import json
import os
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.adapters.erasure import erase
from services.operator.domain.erasure import Certificate, Remaining
from services.operator.domain.showing import marked
from services.operator.settings import OperatorSettings
from shared.errors import Fatal
from shared.events.envelope import Address
from shared.settings import read_settings


def command(
    tenant: Annotated[str, typer.Argument(help="whose conversation it is")],
    conversation: Annotated[str, typer.Argument(help="which conversation, as the platform names it")],
    reason: Annotated[str, typer.Option(help="for the record, such as the request's number; no personal data")] = "",
    agent: Annotated[str, typer.Option(help="whose playbook the probe names")] = "bank",
    probe: Annotated[
        bool, typer.Option(help="send a message after it, which must be refused; nothing is proven without")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask; there is no way back")] = False,
    wait: Annotated[float, typer.Option(help="seconds that the ledger may take", min=1)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="the certificate, as JSON")] = False,
) -> None:
    """
    Forget a conversation for good, and prove it (GDPR Art. 17).

    Publishes conversation.erased; an open turn ends, the ledger replaces the conversation's state by a marker, refuses
    what is still under way or comes later, and dead letters of the conversation are never driven again. It looks in
    every partition of every topic, as a platform may partition by a rule of its own. The certificate shows for each
    partition the marker and the refusal of a probe, and how long records of the past still lie on topics, which cannot
    be edited: until their retention, a log's segment more at most. Backups of the brokers, the platform, and the
    model's provider are yours to see to. Exits with 0 only if it is proven; else the certificate says why not.
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
            told=lambda step: None if as_json else console.print(f"[dim]{marked(step)}[/]"),
        )
    )
    if as_json:
        typer.echo(json.dumps(certificate.document(), indent=2))
    else:
        _show(console, certificate)
    raise typer.Exit(0 if certificate.proven else 1)


def _show(console: Console, certificate: Certificate) -> None:
    header = ("what topics still hold", "records", "newest (UTC)", "gone by (UTC)")
    console.print(tables.figures("", header, [_row(held) for held in _by_topic(certificate)]))
    for one in certificate.erased:
        holds = ", ".join(one.state.names) if one.state else "nothing (a tombstone)"
        probe = f"; a message was {one.probe.outcome}, {one.probe.reason}" if one.probe else ""
        console.print(f"partition {one.partition}: the state holds {holds}{probe}", highlight=False)
    for doubt in certificate.doubts:
        console.print(f"[bold red]not proven:[/] {marked(doubt)}", highlight=False)
    if certificate.proven:
        console.print("[bold green]erased, and proven[/]")


def _by_topic(certificate: Certificate) -> list[list[Remaining]]:
    return [list(found) for _, found in groupby(certificate.remains, key=lambda one: one.topic)]


def _row(found: list[Remaining]) -> tuple[str, str, str, str]:
    gone = [one.gone_by for one in found]
    last = max((by for by in gone if by), default=None)
    newest = max(one.taken for one in found)
    told = "never: the topic keeps everything" if None in gone or last is None else f"{last:%Y-%m-%d %H:%M}"
    return found[0].topic, f"{len(found):,}", f"{newest:%Y-%m-%d %H:%M}", told
