"""
`holdfast inputs`: tenants' own topics that the ledger has paused, and reading on in them.
"""

import asyncio
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from getpass import getuser
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.operator.adapters.inputs import PausedInput, read_paused, release_input
from services.operator.domain.showing import printable
from services.operator.settings import OperatorSettings
from shared.errors import Fatal
from shared.settings import read_settings

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Tenants' own topics that the ledger does not read on, as too many of their records were rejected.

    Nothing of them is lost. Mend what the tenant publishes first; then `holdfast inputs release TOPIC` lets the ledger
    read on in every partition.
    """,
)

AsJson = Annotated[bool, typer.Option("--json", help="as JSON, for programs")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List what is paused, by topic and partition: since when, and the first record that waits."""
    settings, console = read_settings(OperatorSettings, os.environ), Console()
    found = asyncio.run(read_paused(settings.kafka))
    if as_json:
        typer.echo(json.dumps({"count": len(found), "inputs": [asdict(one) for one in found]}, indent=2))
        return
    if not found:
        console.print("no tenant's topic is paused")
        return
    table = Table("topic", "partition", "next offset", "since", header_style="bold")
    for one in found:
        since = datetime.fromtimestamp(one.since_ms / 1_000, UTC).isoformat(timespec="seconds")
        table.add_row(escape(printable(one.topic)), str(one.partition), str(one.offset), since)
    console.print(table)


@app.command("release")
def release_(
    topic: Annotated[str, typer.Argument(help="as `holdfast inputs list` names it")],
    by: Annotated[str, typer.Option(help="who decides; by default the one who is logged in")] = "",
    reason: Annotated[str, typer.Option(help="for the record")] = "",
) -> None:
    """
    Let the ledger read a topic on, in every partition where it is paused, from where it stopped.

    Where as many of the next records are rejected again, it is paused again.
    """
    settings, console = read_settings(OperatorSettings, os.environ), Console()
    released = asyncio.run(_release(settings, topic, by or getuser(), reason))
    console.print(f"released in {len(released)} partitions; the ledger reads on", highlight=False)


async def _release(settings: OperatorSettings, topic: str, by: str, reason: str) -> list[PausedInput]:
    paused = [one for one in await read_paused(settings.kafka) if one.topic == topic]
    if not paused:
        raise Fatal(f"{topic} is not paused; `holdfast inputs list` names what is")
    await release_input(settings.kafka, paused, by=by, reason=reason)
    return paused
