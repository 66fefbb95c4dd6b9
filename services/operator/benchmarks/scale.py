"""
`holdfast bench scale`: what more processes of each stage bring, until the machine's cores are the limit.

Each process may hold so few turns in flight that the model's latency and not the CPU bounds it (Little's law: turns a
second = turns in flight / seconds a turn); a closed loop of conversations keeps more turns waiting than all of them
hold.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import psutil

from services.operator.adapters.stack import Stack
from services.operator.benchmarks.pipeline import closed_loop
from services.operator.domain.dialogues import Dialogue, Line

SHARE_MIN = 0.85
"""Of linear, the goal."""
BUSY_MAX = 0.8
"""Of the machine's CPU: beyond it the cores are full, and no process can bring its share."""
OPEN_PER_PLACE = 24
"""
Conversations at once, for each turn that one process may hold. With three stages alike, each process has eight times
what it can hold on average, so that a key's chance partition leaves none idle.
"""
PARTITIONS = 16
POLL_SECONDS = 0.25
HEADER = ("processes a stage", "turns a second", "share of linear (goal ≥ 85 %)", "CPU of the machine", "verdict")


class Verdict(StrEnum):
    """What a number of processes brought."""

    BASELINE = "baseline"
    REACHED = "reached"
    MISSED = "missed"
    CORES_FULL = "not judged: the cores are full"


@dataclass(frozen=True, slots=True)
class Point:
    """A run with *processes* of each stage: turns a second, and the share of the machine's CPU that was in use."""

    processes: int
    turns_per_second: float
    busy: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A point beside the first: its throughput as a share of what as many processes as it has would bring."""

    point: Point
    share: float
    verdict: Verdict


def judged(points: Sequence[Point]) -> list[Judged]:
    """*points* against the first of them, which has turns a second above nought."""
    first, *others = points
    found = [Judged(first, 1.0, Verdict.BASELINE)]
    for point in others:
        linear = first.turns_per_second / first.processes * point.processes
        found.append(Judged(point, share := point.turns_per_second / linear, _verdict(share, point.busy)))
    return found


def _verdict(share: float, busy: float) -> Verdict:
    if share >= SHARE_MIN:
        return Verdict.REACHED
    return Verdict.CORES_FULL if busy >= BUSY_MAX else Verdict.MISSED


def rows(found: Sequence[Judged]) -> list[tuple[str, ...]]:
    """The table of `HEADER`."""
    return [
        (
            str(one.point.processes),
            f"{one.point.turns_per_second:.1f}",
            f"{one.share:.0%}",
            f"{one.point.busy:.0%}",
            one.verdict.value,
        )
        for one in found
    ]


def conversations(processes: int, in_flight: int, model_seconds: float, seconds: float) -> int:
    """More than a closed loop of *seconds* can end where each process holds *in_flight* turns of *model_seconds*."""
    return math.ceil(1.5 * seconds * processes * in_flight / model_seconds) + open_max(processes, in_flight)


def open_max(processes: int, in_flight: int) -> int:
    """Conversations at once that saturate every process."""
    return OPEN_PER_PLACE * processes * in_flight


async def measure(
    stack: Stack,
    texts: Sequence[str],
    *,
    tenant: str,
    agent: str,
    processes: int,
    open_max: int,
    warm_up_seconds: float,
    seconds: float,
) -> Point:
    """Turns that end within *seconds*, after a warm-up, while *open_max* conversations are open, of one text each."""
    dialogues = [Dialogue(f"s{processes}-{number}", (), (Line(text, 0.0),)) for number, text in enumerate(texts)]
    async with closed_loop(stack, dialogues, tenant=tenant, agent=agent, open_max=open_max) as (watch, loop):
        await _during(stack, loop, warm_up_seconds)
        begun, ended = time.monotonic(), len(watch.exchanges)
        psutil.cpu_percent()
        await _during(stack, loop, seconds)
        busy = psutil.cpu_percent() / 100
        return Point(processes, (len(watch.exchanges) - ended) / (time.monotonic() - begun), busy)


async def _during(stack: Stack, loop: asyncio.Task[None], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stack.check()
        if loop.done():
            loop.result()
            raise RuntimeError("the closed loop ran out of conversations before the measurement was over")
        await asyncio.sleep(POLL_SECONDS)
