"""
How often what applies is among what the matcher asks about: recall@k of its retriever, by labelled scenarios.

The retriever runs in a process of the matcher's (`services.matcher.offline`), without broker and model; it finds by
meaning, too, where the environment names an endpoint of embeddings. Intervals are Wilson's over labels.
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from services.operator.evaluation.distractors import distractors
from services.operator.evaluation.handlers import opened
from services.operator.evaluation.plays import TENANT, Play
from services.operator.evaluation.recorded import SCRIPTED_ONLY
from services.operator.evaluation.scenario import Judged, Scenario
from shared.errors import Fatal
from shared.events.envelope import Address

K_MAX = 50
LEVEL = 0.95
LINE_BYTES_MAX = 64 * 1_048_576
JUDGED = frozenset({Judged.ACTIVE, Judged.VERDICTS, Judged.CHOICE})
COMMAND = (sys.executable, "-m", "services.matcher.offline", "rank")


@dataclass(frozen=True, slots=True)
class Label:
    """
    A guideline that applies in a scenario: its place by similarity (None: not among the first), whether it is asked
    about whatever is said, and whether the turn asks about it in the end.
    """

    scenario: str
    guideline: str
    condition: str
    rank: int | None
    always: bool
    asked: bool

    def within(self, k: int) -> bool:
        """Whether it is among the first *k* found, or always asked about."""
        return self.always or (self.rank is not None and self.rank <= k)

    @property
    def reason(self) -> str:
        """Why it was missed."""
        if self.rank is None:
            return f"not among the first {K_MAX}, or it shares no word with what is known of the conversation"
        return f"place {self.rank}"


@dataclass(frozen=True, slots=True)
class Recall:
    """The labels of scenarios padded to `guidelines`, and the share within k with its 95 % interval, for each k."""

    guidelines: int
    labels: tuple[Label, ...]

    def at(self, k: int) -> tuple[float, float, float]:
        """Recall@*k* with the low and high end of Wilson's interval."""
        found, count = sum(label.within(k) for label in self.labels), len(self.labels)
        low, high = proportion_confint(found, count, alpha=1 - LEVEL, method="wilson")
        return found / count, float(low), float(high)

    @property
    def asked(self) -> float:
        """The share of labels that turns ask about in the end."""
        return float(np.mean([label.asked for label in self.labels]))

    def missed(self, k: int) -> list[Label]:
        """The labels that are not within *k*."""
        return [label for label in self.labels if not label.within(k)]

    def document(self) -> dict[str, Any]:
        """All figures, for a file."""
        return {
            "guidelines": self.guidelines,
            "labels": len(self.labels),
            "asked": self.asked,
            "recall": {
                str(k): dict(zip(("value", "low", "high"), self.at(k), strict=True)) for k in range(1, K_MAX + 1)
            },
            "missed_at_24": [
                {"scenario": one.scenario, "guideline": one.guideline, "condition": one.condition, "reason": one.reason}
                for one in self.missed(24)
            ],
        }


def labelled(scenarios: Iterable[Scenario]) -> tuple[list[Scenario], dict[str, str]]:
    """Those of *scenarios* that say which guidelines a retriever has to find, and why the others do not (by id)."""
    fit, unfit = [], {}
    for one in scenarios:
        if reason := _unfit(one):
            unfit[one.id] = reason
        else:
            fit.append(one)
    return fit, unfit


def _unfit(scenario: Scenario) -> str:
    if scenario.area in SCRIPTED_ONLY:
        return "its verdicts are given: conditions of a letter or two name nothing that a message could speak of"
    if scenario.expected.judged not in JUDGED or not scenario.conversation:
        return f"{scenario.expected.judged} is judged, for which no guideline has to be found"
    return "" if _names(scenario) else "no guideline applies in it"


def _names(scenario: Scenario) -> tuple[str, ...]:
    """What has to be found: what applies by itself, as the entailed follow without being asked about."""
    expected = scenario.expected
    return expected.ids if expected.matched is None else expected.matched


async def measured(scenarios: Sequence[Scenario], guidelines: int) -> Recall:
    """
    The recall over *scenarios*, which are `labelled`, each padded to *guidelines*.

    Raises:
        Fatal: there are none, or the matcher's process failed.

    """
    if not scenarios:
        raise Fatal("no scenario says which guidelines apply; give files with labels of guidelines")
    process = await asyncio.create_subprocess_exec(
        *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX
    )
    labels: list[Label] = []
    try:
        if process.stdin is None or process.stdout is None:
            raise Fatal("the matcher's process has no pipes")
        for scenario in scenarios:
            process.stdin.write(_line(scenario, guidelines))
            await process.stdin.drain()
            answer = await process.stdout.readline()
            if not answer:
                raise Fatal(f"the matcher's process ended at scenario {scenario.id}; its error is above")
            labels += _labels(scenario, json.loads(answer))
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
    return Recall(guidelines, tuple(labels))


def _line(scenario: Scenario, guidelines: int) -> bytes:
    playbook = scenario.playbook("recall", distractors(scenario, guidelines))
    play = Play(scenario, guidelines, 0, "recall")
    turn = opened(play, Address(TENANT, "recall"), "recall", datetime.now(UTC), 60.0)
    document = {"playbook": playbook.model_dump(mode="json"), "opened": turn.model_dump(mode="json")}
    return json.dumps(document).encode() + b"\n"


def _labels(scenario: Scenario, answer: Mapping[str, list[str]]) -> list[Label]:
    conditions = {guideline.id: guideline.condition for guideline in scenario.guidelines}
    ranks = {name: place for place, name in enumerate(answer["ranked"], start=1)}
    return [
        Label(scenario.id, name, conditions[name], ranks.get(name), name in answer["always"], name in answer["asked"])
        for name in _names(scenario)
    ]


def draw(found: Sequence[Recall], path: Path) -> None:
    """Draw the curves into the PNG *path*."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    places = range(1, K_MAX + 1)
    for recall in found:
        values, low, high = zip(*(recall.at(k) for k in places), strict=True)
        axes.plot(places, values, label=f"{recall.guidelines:,} guidelines")
        axes.fill_between(places, low, high, alpha=0.15)
    axes.set(xlabel="k", ylabel="recall@k with what is always asked about", ylim=(0, 1.02), title="Retriever")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
