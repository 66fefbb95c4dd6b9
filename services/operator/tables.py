"""
What the operator shows: conversations, outcomes, audits and timings as tables for a terminal.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.operator.adapters.watch import Exchange
from services.operator.domain.audit import Audit
from services.operator.domain.showing import marked, printable
from services.operator.domain.timing import Spread
from shared.events.claims import Correction, Verdict
from shared.events.turns import Outcome, TurnClosed

STAGE_SHORT = {"matcher": "match", "reasoner": "draft", "verifier": "verify"}
OUTCOME_STYLE = {Outcome.ANSWERED: "green", Outcome.NO_REPLY: "cyan", Outcome.SUPERSEDED: "dim"}


def conversations(exchanges: Iterable[Exchange]) -> RenderableType:
    """
    Every turn: what was asked, which guidelines applied, what was answered, what verification caught, and the time.
    """
    table = Table(expand=True, show_lines=False, header_style="bold")
    table.add_column("customer", ratio=4, overflow="fold")
    table.add_column("guidelines", ratio=3, overflow="fold", style="magenta")
    table.add_column("reply", ratio=7, overflow="fold")
    table.add_column("caught by verification", ratio=4, overflow="fold", style="yellow")
    table.add_column("ms", ratio=2, overflow="fold", justify="right", style="dim")
    ordered = sorted(exchanges, key=lambda exchange: (exchange.conversation, exchange.closed.turn.epoch))
    for name, turns in groupby(ordered, key=lambda exchange: exchange.conversation):
        table.add_section()
        table.add_row(Text(printable(name), style="bold blue"))
        for turn in turns:
            table.add_row(*row(turn))
    return table


def row(exchange: Exchange) -> tuple[RenderableType, ...]:
    """One turn as the cells of `conversations`."""
    closed = exchange.closed
    return (
        marked(exchange.question),
        marked(", ".join(closed.matching.active)) if closed.matching else "",
        reply(exchange),
        marked("\n".join(caught(closed))),
        latencies(exchange),
    )


def reply(exchange: Exchange) -> RenderableType:
    """The reply, or how the turn ended without one."""
    closed = exchange.closed
    style = OUTCOME_STYLE.get(closed.outcome, "red")
    if exchange.response is None:
        return Text(printable(f"[{closed.outcome}{': ' + closed.reason if closed.reason else ''}]"), style=style)
    if exchange.response.fallback:
        told = f"[{closed.outcome}, fallback {exchange.response.fallback}] {exchange.response.text}"
        return Text(printable(told), style="red")
    return Text(printable(exchange.response.text))


def caught(closed: TurnClosed) -> list[str]:
    """What verification found and did, a line each."""
    if closed.verification is None:
        return []
    return [
        f"{claim.draft_verdict}{'' if claim.correction is Correction.NONE else ' → ' + claim.correction}: {claim.text}"
        for claim in closed.verification.claims
        if claim.draft_verdict not in {Verdict.SUPPORTED, Verdict.UNCHECKED}
    ] + list(closed.verification.complaints)


def tool_calls(exchanges: Iterable[Exchange]) -> RenderableType:
    """Every tool call of the turns: with which arguments, what came of it, and which claims of the reply cite it."""
    rows = []
    for exchange in sorted(exchanges, key=lambda one: (one.conversation, one.closed.turn.epoch)):
        draft = exchange.closed.draft
        for result in draft.results if draft else ():
            cited = [
                segment.text
                for segment in (draft.segments if draft else ())
                if any(fact.startswith(f"tool.{result.call.tool}.") for fact in segment.fact_ids)
            ]
            told = ", ".join(f"{name}: {value}" for name, value in result.call.arguments.items())
            cells = (exchange.conversation, result.call.tool, told, str(result.status), "\n".join(cited))
            rows.append(tuple(map(marked, cells)))
    return figures("tool calls", ("conversation", "tool", "arguments", "came to", "cited by"), rows)


def latencies(exchange: Exchange) -> str:
    """Work of each model stage and the whole turn, milliseconds."""
    hops = exchange.hops()
    lines = [f"{short} {hops[stage]:.0f}" for stage, short in STAGE_SHORT.items() if stage in hops]
    return "\n".join([*lines, f"all {exchange.closed_ms - exchange.posted_ms}"])


def audit(found: Audit) -> RenderableType:
    """The counts of an audit, and its verdict."""
    table = Table(show_header=False, box=None)
    for name, count in (
        ("customer messages", found.messages),
        ("turns closed", found.turns),
        *((f"  {outcome}", count) for outcome, count in sorted(found.outcomes.items())),
        ("responses", found.responses),
        ("claims judged", found.claims),
    ):
        table.add_row(name, f"{count:,}")
    if found.passed:
        return Group(table, Text("Every message has its outcome; every promise held.", style="bold green"))
    broken = [
        Text(printable(f"{finding.count} × {finding.invariant}: {', '.join(finding.examples)}"), style="bold red")
        for finding in found.findings
    ]
    return Group(table, *broken)


def timings(parts: Mapping[str, Spread], total: Spread) -> RenderableType:
    """Where the time goes, hop by hop; `→ stage` is waiting and transport before it."""
    table = Table(title="where the time goes (ms)", header_style="bold")
    for name in ("hop", "p50", "p90", "p99"):
        table.add_column(name, justify="left" if name == "hop" else "right")
    for name, spread in parts.items():
        table.add_row(name, *_milliseconds(spread))
    table.add_section()
    table.add_row(f"whole turn ({total.count})", *_milliseconds(total), style="bold")
    return table


def figures(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table of figures, the first column to the left."""
    table = Table(title=title, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left")
    for cells in rows:
        table.add_row(*cells)
    return table


def _milliseconds(spread: Spread) -> tuple[str, str, str]:
    return (f"{spread.p50_ms:.0f}", f"{spread.p90_ms:.0f}", f"{spread.p99_ms:.0f}")
