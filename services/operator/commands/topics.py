"""
`holdfast topics`: create what is missing on a broker, or tell where it differs from what is declared.
"""

import asyncio
import os

import typer
from rich.console import Console

from services.operator.settings import OperatorSettings
from shared.broker import topics
from shared.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Create and compare topics.")


@app.command("apply")
def apply_() -> None:
    """Create the topics that are missing; those that exist are left as they are, and differences told."""
    settings = read_settings(OperatorSettings, os.environ)
    _told(asyncio.run(topics.create_topics(settings.kafka, settings.topics)), "created")


@app.command()
def diff() -> None:
    """
    Tell what `apply` would create and where the broker differs from what is declared; exits with 1 if anything
    does.
    """
    settings = read_settings(OperatorSettings, os.environ)
    found = asyncio.run(topics.diff(settings.kafka, settings.topics))
    _told(found, "missing")
    raise typer.Exit(1 if found.create or found.differences else 0)


def _told(plan: topics.Plan, verb: str) -> None:
    console = Console()
    for topic in plan.create:
        console.print(
            f"[green]{verb}[/] {topic.name}: {topic.partitions} partitions, {topic.replication_factor} copies"
        )
    for difference in plan.differences:
        console.print(f"[yellow]differs[/] {difference}")
    if not plan.create and not plan.differences:
        console.print("every topic is as declared")
