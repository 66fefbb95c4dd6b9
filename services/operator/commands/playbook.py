"""
`holdfast playbook`: check a playbook's file, publish it, list what is in force, print the schema for editors.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.adapters.playbooks import known_playbooks, publish_playbook
from services.operator.commands import playbook_check, recall
from services.operator.review import telling
from services.operator.settings import OperatorSettings
from shared.playbook.finding import PlaybookError
from shared.playbook.loading import Loaded, load
from shared.playbook.schema import json_schema
from shared.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Check, publish and list playbooks.")
app.command("recall")(recall.command)

File = Annotated[Path, typer.Argument(help="a playbook, in YAML")]


app.command("check")(playbook_check.command)


@app.command()
def publish(file: File, tenant: Annotated[str, typer.Option(help="whose playbook it is")] = "harbour") -> None:
    """
    Put a playbook in force. Turns that are open keep the version they began with; the services need no restart.
    """
    console = Console()
    playbook = _loaded(console, file).playbook
    settings = read_settings(OperatorSettings, os.environ)
    published = asyncio.run(publish_playbook(settings.kafka, tenant, playbook))
    state = "is in force" if published.changed else "was in force already"
    console.print(f"{tenant}:{playbook.agent} version [bold]{published.version}[/] {state}")
    if published.retired:
        console.print(f"retired: {', '.join(published.retired)}")


@app.command("list")
def list_() -> None:
    """List the playbooks in force on the broker."""
    settings = read_settings(OperatorSettings, os.environ)
    Console().print(
        tables.figures("playbooks in force", ("agent", "version", "guidelines"), asyncio.run(_known(settings)))
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of a playbook, for editors (`# yaml-language-server: $schema=…`)."""
    print(json.dumps(json_schema(), indent=2))


async def _known(settings: OperatorSettings) -> list[tuple[str, str, str]]:
    rows = []
    async with known_playbooks(settings.kafka) as known:
        for tenant, agent in sorted(known.agents()):
            if found := known.current(tenant, agent):
                rows.append((f"{tenant}:{agent}", found[0], str(len(found[1].guidelines))))
    return rows


def _loaded(console: Console, file: Path) -> Loaded:
    try:
        loaded = load(file)
    except PlaybookError as error:
        telling.show(console, error.findings)
        raise typer.Exit(1) from None
    telling.show(console, loaded.findings)
    return loaded
