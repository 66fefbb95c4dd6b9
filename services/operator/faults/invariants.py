"""
What is judged after every row, beside the audit of the topics: whose words were seen where, how processes left, what
the metrics add up to, how many model calls it took, how soon all was quiet.

The names are those of the invariants in docs/reliability.md: I1 to I3 and I5 are the audit's, I6 and I7 have rows of
their own, I11 is proven by the simulation, which sees every commit.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.operator.adapters.fleet import Fleet, Member
from services.operator.adapters.watch import Exchange
from services.operator.faults.hunt import RecordHunt
from services.operator.faults.hunt import words as words_of
from services.operator.faults.post import TENANTS
from services.operator.faults.records import raw_records
from shared.broker.clients import KafkaSettings
from shared.errors import Fatal
from shared.events.topics import TOPICS
from shared.events.turns import Outcome

QUIET_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
START_SECONDS_MAX = 60.0
POLL_SECONDS = 0.2


async def leaks(settings: KafkaSettings, hunt: RecordHunt) -> list[str]:
    """I4: records of one tenant that hold the other's canary, on any topic; *hunt* counts what it saw."""
    return [finding async for record in raw_records(settings, list(TOPICS)) for finding in hunt.look(record)]


def spoken(fleet: Fleet, scraped: Iterable[str]) -> Iterator[str]:
    """I4: logs and metrics that hold any customer's words."""
    words = [word.decode() for tenant in TENANTS for word in words_of(tenant)]
    for member in fleet.members.values():
        text = member.log.read_text(errors="replace") if member.log.exists() else ""
        if any(word in text for word in words):
            yield f"I4: the log of {member.name} holds a canary"
    if any(word in text for text in scraped for word in words):
        yield "I4: a metric holds a canary"


async def scrape(fleet: Fleet) -> dict[str, str]:
    """The metrics of every process that answers, by its name."""
    texts = {}
    async with httpx.AsyncClient(timeout=5.0) as client:
        for member in fleet.members.values():
            if member.alive:
                texts[member.name] = await _metrics(client, member)
    return texts


async def _metrics(client: httpx.AsyncClient, member: Member) -> str:
    """The row may have started the process a moment ago."""
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return (await client.get(f"http://127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}/metrics")).text
        except httpx.ConnectError:
            if time.monotonic() > until or not member.alive:
                raise Fatal(f"{member.name} serves no metrics; the end of its log:\n{member.log_tail()}") from None
            await asyncio.sleep(POLL_SECONDS)


def conserved(scraped: dict[str, str], *, messages: int, turns: int) -> Iterator[str]:
    """I9: what the conversations service counted is what an independent reader counts."""
    accepted = _sum(scraped.values(), "holdfast_events_accepted_total", {"type": "message.posted"})
    closed = _sum(scraped.values(), "holdfast_event_outcomes_total", {})
    if accepted != messages:
        yield f"I9: {accepted:g} messages accepted by the metrics, {messages} on the topic"
    if closed != turns:
        yield f"I9: {closed:g} turns closed by the metrics, {turns} on the topic"


def bounded(calls: int, turns: int, *, most: float = 4.0) -> Iterator[str]:
    """I8: model calls that were answered, *most* a turn."""
    if calls > most * max(turns, 1):
        yield f"I8: {calls:,} model calls for {turns:,} turns, more than {most:g} each"


def quiet(seconds: float) -> Iterator[str]:
    """I10: how long after the last fault the last message had its outcome."""
    if seconds > QUIET_SECONDS_MAX:
        yield f"I10: the last outcome came {seconds:.0f} s after the last fault"


def in_time(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Turns that passed their deadline, where nothing that was done should take so long."""
    late = sorted(
        (one for one in exchanges if one.closed.outcome is Outcome.EXPIRED), key=lambda one: one.closed.turn.opened_at
    )
    if late:
        first, last = late[0].closed.turn, late[-1].closed.turn
        yield (
            f"{len(late)} turns expired, though nothing in this row should take that long; the first is {first.id} "
            f"in {first.conversation}, opened {first.opened_at:%T}, the last {last.id}, opened {last.opened_at:%T}"
        )


def left(codes: dict[str, int], seconds: float) -> Iterator[str]:
    """I12: every process leaves with 0 within half a minute of SIGTERM."""
    for name, code in codes.items():
        if code != 0:
            yield f"I12: {name} left with exit code {code}"
    if seconds > STOP_SECONDS_MAX:
        yield f"I12: the processes took {seconds:.0f} s to leave"


def _sum(texts: Iterable[str], name: str, labels: dict[str, str]) -> float:
    return sum(
        sample.value
        for text in texts
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
