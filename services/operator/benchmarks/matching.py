"""
`holdfast bench matching`: what a turn costs the matcher, by the size of the playbook.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from services.operator.adapters.stack import Stack
from services.operator.benchmarks import pipeline
from services.operator.domain.workload import Message
from services.operator.evaluation.distractors import made
from shared.errors import Fatal
from shared.playbook.model import Playbook

SIZES = (10, 100, 500, 10_000)
CALLS_MAX = 1.0
CPU_MS_MAX = {100: 5.0, 10_000: 15.0}
MEMORY_BYTES_MAX = 150_000_000
RESOLVE_MS_MAX = 50.0
PARLANT = {10: (12, 41_000, 90.0), 100: (25, 101_000, 150.0), 500: (105, 397_500, 1_500.0)}
"""Parlant 3.3.2, measured: calls, input tokens and ms of CPU a response (the middle of the measured range)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a turn, by the matcher alone; `resident_bytes` is above a matcher that has seen no turn."""

    guidelines: int
    calls: float
    input_tokens: float
    cpu_ms: float
    resident_bytes: int

    @property
    def input_tokens_max(self) -> int:
        """The goal."""
        return 4_000 if self.guidelines <= 10 else 6_000  # noqa: PLR2004 - the smallest of the sizes

    @property
    def missed(self) -> list[str]:
        """The goals that were not reached."""
        found = {
            "calls": self.calls > CALLS_MAX,
            "input tokens": self.input_tokens > self.input_tokens_max,
            "CPU": self.cpu_ms > CPU_MS_MAX.get(self.guidelines, max(CPU_MS_MAX.values())),
            "memory": self.resident_bytes > MEMORY_BYTES_MAX,
        }
        return [name for name, is_missed in found.items() if is_missed]


def playbook(sample: Playbook, guidelines: int) -> Playbook:
    """*sample* with as many more guidelines, of another trade, as bring it to *guidelines*; or the first of its own."""
    more = made()[: max(0, guidelines - len(sample.guidelines))]
    kept = sample.guidelines[:guidelines]
    known = {guideline.id for guideline in kept}
    related = tuple(
        item
        for item in sample.relationships
        if known.issuperset((item.source, *item.targets)) or guidelines >= len(sample.guidelines)
    )
    approved = tuple(reply for reply in sample.canned_replies if known.issuperset(reply.guidelines))
    return sample.model_copy(
        update={"guidelines": (*kept, *more), "relationships": related, "canned_replies": approved}
    )


async def measure(
    stack: Stack, warm: Sequence[Message], load: Sequence[Message], *, agent: str, guidelines: int
) -> Cost:
    """What *load* costs the matcher of *stack*, after *warm*."""
    matcher = stack.services.members["matcher-1"]
    empty = matcher.resident_bytes()
    await pipeline.throughput(stack, list(warm), tenant="bench", agent=agent, open_max=16)
    before = matcher.cpu_seconds()
    exchanges = await pipeline.played(stack, list(load), tenant="bench", agent=agent, open_max=16)
    spent = [item.closed.matching.spent for item in exchanges if item.closed.matching is not None]
    if len(spent) < len(load):
        raise Fatal(f"{len(load) - len(spent)} of {len(load)} turns ended before they were matched; see the logs")
    return Cost(
        guidelines=guidelines,
        calls=sum(one.calls for one in spent) / len(spent),
        input_tokens=sum(one.input_tokens for one in spent) / len(spent),
        cpu_ms=(matcher.cpu_seconds() - before) * 1000 / len(spent),
        resident_bytes=matcher.resident_bytes() - empty,
    )


HEADER = ("guidelines", "calls (goal 1)", "input tokens (goal)", "ms of CPU (goal)", "MB above empty (goal 150)")


def rows(found: Sequence[Cost]) -> list[tuple[str, ...]]:
    """*found* as rows of a table, each followed by what Parlant was measured at."""
    shown: list[tuple[str, ...]] = []
    for cost in found:
        tokens, goal = f"{cost.input_tokens:,.0f} ({cost.input_tokens_max:,})", CPU_MS_MAX.get(cost.guidelines)
        cpu = f"{cost.cpu_ms:.2f}" + (f" ({goal:g})" if goal else "")
        shown.append((f"{cost.guidelines:,}", f"{cost.calls:.2f}", tokens, cpu, f"{cost.resident_bytes / 1e6:.0f}"))
        if (other := PARLANT.get(cost.guidelines)) is not None:
            shown.append((f"Parlant 3.3.2, {cost.guidelines}", f"{other[0]}", f"{other[1]:,}", f"{other[2]:.0f}", ""))
    return shown


async def resolving() -> dict[str, float]:
    """
    Milliseconds of CPU for resolving 10,000 guidelines with 20,000 relationships, by the number of matches.

    Raises:
        Fatal: the process that measures it failed.

    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.matcher.offline", "resolve", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise Fatal(f"the measurement of resolving ended with {process.returncode}; its error is above")
    found: dict[str, float] = json.loads(output)
    return found
