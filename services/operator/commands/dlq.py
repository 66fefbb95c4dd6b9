"""
`holdfast dlq`: what could not be handled, why, and driving it again once the cause is mended.
"""

import asyncio
import json
import os
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from services.operator.adapters.letters import read_box, redrive, refusals
from services.operator.commands.progress import reading
from services.operator.domain.letters import Filter, Letter
from services.operator.domain.showing import Form, marked, printable, shown
from services.operator.settings import OperatorSettings
from shared.errors import Fatal
from shared.settings import read_settings

LETTERS_MAX = 1_000

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Dead letters: list them, look into one, drive them again.

    A letter is named `partition:offset`, its place on `dead.letters`. Mend the cause first (docs/events.md says what
    each reason asks for); then `holdfast dlq redrive --reason bad_body` tells what it would drive, and `--yes` does it.
    """,
)

Tenant = Annotated[str, typer.Option(help="only of this tenant, as the record's key names it")]
Topic = Annotated[str, typer.Option(help="only what came from this topic, such as conversation.events")]
Reason = Annotated[str, typer.Option(help="only of this reason, such as bad_body")]
Stage = Annotated[str, typer.Option(help="only what this stage gave up")]
Conversation = Annotated[str, typer.Option(help="only of this conversation")]
Since = Annotated[datetime | None, typer.Option(help="only letters of this time (UTC) or later")]
Until = Annotated[datetime | None, typer.Option(help="only letters before this time (UTC)")]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON, for programs")]
Limit = Annotated[int, typer.Option(help="the oldest so many", min=1)]


@app.command("list")
def list_(
    tenant: Tenant = "",
    topic: Topic = "",
    reason: Reason = "",
    stage: Stage = "",
    conversation: Conversation = "",
    since: Since = None,
    until: Until = None,
    pending: Annotated[
        bool | None, typer.Option("--pending/--driven", help="only those not driven again yet, or only those that were")
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """
    List dead letters, oldest first, with counts by topic and reason. Nothing of what customers said is shown.
    """
    driven = None if pending is None else not pending
    wanted = Filter(tenant, topic, reason, stage, conversation, _ms(since), _ms(until), driven=driven)
    settings = read_settings(OperatorSettings, os.environ)
    console = Console()
    with reading(console, "dead.letters", quiet=as_json) as progress:
        letters = asyncio.run(read_box(settings.kafka, progress)).found(wanted)
    counts = Counter((letter.topic, letter.reason) for letter in letters)
    if as_json:
        document = {
            "count": len(letters),
            "counts": [{"topic": t, "reason": r, "count": n} for (t, r), n in counts.most_common()],
            "letters": [summary(letter) for letter in letters[:limit]],
        }
        typer.echo(json.dumps(document, indent=2))
        return
    console.print(_table(letters[:limit]))
    for (from_topic, why), number in counts.most_common():
        console.print(f"{number:>7,}  {marked(from_topic) or '?'}  [yellow]{marked(why) or '?'}[/]")
    more = f"; the oldest {limit} are shown" if len(letters) > limit else ""
    console.print(f"[bold]{len(letters):,}[/] dead letters{more}")


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="partition:offset on dead.letters, as `dlq list` names it")],
    reveal: Annotated[bool, typer.Option(help="show what customers said, too")] = False,
    binary: Annotated[Form, typer.Option(help="how a value that is no text is shown")] = Form.HEX,
    as_json: AsJson = False,
) -> None:
    """
    Show one dead letter: why it is one, where it came from, its own headers, and its value.

    Texts are hidden unless `--reveal` is given; control characters are shown as escapes either way.
    """
    found = _one(letter)
    original = {name: _text(value) for name, value in found.original_headers}
    key = printable((found.record.key or b"").decode(errors="backslashreplace"))
    if as_json:
        document = summary(found) | {
            "key": key,
            "message": found.message,
            "headers": original,
            "why": found.why,
            "value": shown(found.record.value, form=binary, reveal=reveal),
        }
        typer.echo(json.dumps(document, indent=2))
        return
    console = Console()
    for title, pairs in (
        ("letter", summary(found) | {"key": key}),
        ("why", found.why),
        ("headers that it came with", original),
    ):
        table = Table(title=title, title_justify="left", show_header=False, box=None)
        for name, value in pairs.items():
            table.add_row(f"[bold]{marked(name)}[/]", marked(str(value)))
        console.print(table, "")
    if found.lost_value_bytes:
        console.print(
            f"[yellow]its value of {found.lost_value_bytes:,} bytes did not fit; the original is where `why` says[/]"
        )
    console.print("[bold]value[/]", markup=True)
    console.print(shown(found.record.value, form=binary, reveal=reveal), markup=False, highlight=False)


@app.command("redrive")
def redrive_(
    letters: Annotated[list[str] | None, typer.Argument(help="partition:offset of letters; or give a filter")] = None,
    tenant: Tenant = "",
    topic: Topic = "",
    reason: Reason = "",
    stage: Stage = "",
    conversation: Conversation = "",
    since: Since = None,
    until: Until = None,
    every: Annotated[bool, typer.Option("--all", help="every letter; needed where nothing else is chosen")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without it, only what would be done is told")] = False,
    rate: Annotated[float, typer.Option(help="letters a second", min=0.1, max=1_000)] = 20.0,
    limit: Limit = LETTERS_MAX,
    as_json: AsJson = False,
) -> None:
    """
    Put letters back where they came from: same topic, partition, key, value and headers, byte for byte.

    Each is driven once: its receipt on dead.letters is written in the same transaction, so that running this again
    passes it over. Refused: letters of erased conversations, letters too old to know, values that were too large to
    keep. A letter that fails again becomes a new letter. Exits with 1 if any was refused.
    """
    names = frozenset(letters or ())
    wanted = Filter(
        tenant, topic, reason, stage, conversation, _ms(since), _ms(until), names, driven=None if names else False
    )
    chosen = any((names, tenant, topic, reason, stage, conversation, since, until))
    if chosen == every:
        raise Fatal("name letters, give a filter, or say --all" if not every else "--all goes with no other choice")
    settings = read_settings(OperatorSettings, os.environ)
    done: list[tuple[Letter, str]] = []
    if yes:
        asyncio.run(
            redrive(
                settings.kafka,
                wanted,
                rate=rate,
                told=lambda letter, why: done.append((letter, why)),
                letters_max=limit,
            )
        )
    else:
        done = asyncio.run(_rehearsed(settings, wanted, limit))
    if missing := names - {letter.name for letter, _ in done}:
        raise Fatal(f"no dead letter {', '.join(sorted(missing))}; `holdfast dlq list` names those that there are")
    _tell(done, yes=yes, as_json=as_json)
    raise typer.Exit(1 if any(why for _, why in done) else 0)


async def _rehearsed(settings: OperatorSettings, wanted: Filter, limit: int) -> list[tuple[Letter, str]]:
    box = await read_box(settings.kafka)
    letters = box.found(wanted)[:limit]
    why = await refusals(settings.kafka, box, letters)
    return [(letter, why.get(letter.name, "")) for letter in letters]


def _tell(done: list[tuple[Letter, str]], *, yes: bool, as_json: bool) -> None:
    verb = "driven" if yes else "would be driven"
    if as_json:
        rows = [summary(letter) | {"refused": why} for letter, why in done]
        typer.echo(json.dumps({"dry_run": not yes, "letters": rows}, indent=2))
        return
    console = Console()
    for letter, why in done:
        told = f"[red]refused[/]: {marked(why)}" if why else f"[green]{verb}[/]"
        console.print(f"{letter.name}  {marked(letter.topic)}-{letter.partition}  {told}", highlight=False)
    refused = sum(bool(why) for _, why in done)
    console.print(f"[bold]{len(done) - refused:,}[/] {verb}, {refused:,} refused")
    if not yes and len(done) > refused:
        console.print("nothing was written; `--yes` does it")


def summary(letter: Letter) -> dict[str, Any]:
    """What tells one letter from another, without what anybody said."""
    record = letter.record
    return {
        "letter": letter.name,
        "at": _time(record.timestamp_ms),
        "tenant": letter.tenant,
        "conversation": letter.address.conversation if letter.address else "",
        "stage": letter.stage,
        "reason": letter.reason,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "value_bytes": len(record.value or b"") or letter.lost_value_bytes,
        "driven_at": _time(letter.driven_ms) if letter.driven_ms else "",
    }


def _table(letters: list[Letter]) -> Table:
    table = Table(header_style="bold")
    for name in ("letter", "at", "conversation", "reason", "from", "bytes", "driven again"):
        table.add_column(name, justify="right" if name == "bytes" else "left", overflow="fold")
    for letter in letters:
        one = summary(letter)
        table.add_row(
            one["letter"],
            one["at"],
            marked(f"{one['tenant']}:{one['conversation']}") if one["tenant"] else "?",
            marked(one["reason"]),
            marked(f"{one['topic']}-{one['partition']}@{one['offset']}"),
            f"{one['value_bytes']:,}",
            one["driven_at"],
        )
    return table


def _one(name: str) -> Letter:
    settings = read_settings(OperatorSettings, os.environ)
    found = asyncio.run(read_box(settings.kafka)).found(Filter(names=frozenset({name})))
    if not found:
        raise Fatal(f"no dead letter {name}; `holdfast dlq list` names those that there are")
    return found[0]


def _text(value: bytes | None) -> str:
    return printable((value or b"").decode(errors="backslashreplace"))


def _ms(time: datetime | None) -> int:
    return round(time.replace(tzinfo=time.tzinfo or UTC).timestamp() * 1000) if time else 0


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="seconds")
