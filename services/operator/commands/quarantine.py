"""
`holdfast quarantine`: conversations that the ledger has set apart, and letting them out.
"""

import asyncio
import json
import os
from datetime import UTC, datetime
from getpass import getuser
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.operator.adapters.quarantine import Wish, let_out, read_held, read_set_apart
from services.operator.commands.progress import reading
from services.operator.domain.letters import Letter
from services.operator.domain.quarantine import SetApart, lost_of
from services.operator.domain.showing import printable
from services.operator.settings import OperatorSettings
from shared.errors import Fatal
from shared.settings import read_settings

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Conversations in quarantine: the ledger failed at them, so that nothing of them takes effect.

    Their records are held on dead.letters. Mend the cause first; then `holdfast quarantine release acme:chat-2041`
    tells what it would do, and `--yes` does it.
    """,
)

Name = Annotated[str, typer.Argument(help="tenant:conversation, as `holdfast quarantine list` names it")]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON, for programs")]
_TITLES = {
    "conversation": "conversation",
    "since": "since",
    "where": "failed at",
    "error": "with",
    "held": "held",
    "released": "applied since",
}


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the conversations in quarantine, the oldest first: where the ledger failed at each, and what is held."""
    settings, console = read_settings(OperatorSettings, os.environ), Console()
    with reading(console, "conversations.state", quiet=as_json) as progress:
        found = [summary(apart) for apart in asyncio.run(read_set_apart(settings.kafka, None, progress)).values()]
    if as_json:
        typer.echo(json.dumps({"count": len(found), "conversations": found}, indent=2))
        return
    if not found:
        console.print("no conversation is in quarantine")
        return
    table = Table(header_style="bold")
    for title in _TITLES.values():
        table.add_column(title, overflow="fold")
    for one in found:
        table.add_row(*[escape(printable(str(one[name]))) for name in _TITLES])
    console.print(table)


@app.command()
def show(conversation: Name, as_json: AsJson = False) -> None:
    """Show one: why it is set apart, how far its release is, and which dead letters hold its records."""
    settings = read_settings(OperatorSettings, os.environ)
    apart, held = asyncio.run(_one(settings, conversation))
    document = summary(apart) | {"letters": {number: letter.name for number, letter in held.items()}}
    document["lost"] = lost_of(held, apart)
    if as_json:
        typer.echo(json.dumps(document, indent=2))
        return
    table = Table(show_header=False, box=None)
    for name, value in document.items():
        shown = ", ".join(f"{number} as {name}" for number, name in value.items()) if name == "letters" else value
        table.add_row(f"[bold]{escape(name.replace('_', ' '))}[/]", escape(printable(str(shown))))
    Console().print(table)


@app.command("release")
def release_(
    conversation: Name,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without it, only what would be done is told")] = False,
    discard_state: Annotated[
        bool,
        typer.Option(
            "--discard-state",
            help="begin with an empty state; lost: transcript, variables, journeys, mode, open turn, pending calls",
        ),
    ] = False,
    without_lost: Annotated[
        bool, typer.Option("--without-lost", help="give up the held records that dead.letters holds no more")
    ] = False,
    wait_seconds: Annotated[float, typer.Option(help="how long the ledger may take for a step", min=1)] = 60.0,
    by: Annotated[str, typer.Option(help="who decides; by default the one who is logged in")] = "",
    reason: Annotated[str, typer.Option(help="for the record")] = "",
) -> None:
    """
    Let a conversation out: the records that are held are applied in the order in which they came, and what comes
    meanwhile after them.

    Where the ledger fails again the conversation stays in quarantine: nothing is lost and the order is kept. Run again,
    it goes on where it stands.
    """
    settings, console = read_settings(OperatorSettings, os.environ), Console()
    apart, held = asyncio.run(_one(settings, conversation))
    if not yes:
        console.print(
            f"{len(held):,} records would be handed on; {len(lost_of(held, apart)):,} are lost", highlight=False
        )
        if discard_state:
            console.print(f"its state of {apart.state_bytes:,} bytes would be discarded", highlight=False)
        console.print("nothing was written; `--yes` does it")
        return
    wish = Wish(discard_state, without_lost, by or getuser(), reason, wait_seconds)
    asyncio.run(let_out(settings.kafka, apart.key, wish, lambda said: console.print(said, highlight=False)))


def summary(apart: SetApart) -> dict[str, Any]:
    """What tells one from another, without what anybody said."""
    mark = apart.mark
    since = datetime.fromtimestamp(mark.since_ms / 1_000, UTC).isoformat(timespec="seconds") if mark.since_ms else ""
    return {
        "conversation": apart.key.decode(errors="backslashreplace"),
        "since": since,
        "where": mark.where,
        "error": mark.error,
        "held": mark.held,
        "released": mark.released,
        "releasing": mark.releasing,
        "refused": mark.refused,
        "partition": apart.partition,
        "state_bytes": apart.state_bytes,
        "quarantine": mark.id,
    }


async def _one(settings: OperatorSettings, conversation: str) -> tuple[SetApart, dict[int, Letter]]:
    key = conversation.encode()
    apart = (await read_set_apart(settings.kafka, key)).get(key)
    if apart is None:
        raise Fatal(f"{conversation} is not in quarantine; `holdfast quarantine list` names those that are")
    return apart, await read_held(settings.kafka, apart)
