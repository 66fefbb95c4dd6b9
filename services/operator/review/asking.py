"""
A review by a model: classifications, kept by content so that none is paid for twice, and contradictions.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TypeVar

from services.operator.review.blueprints import KINDS, Kind, classifications_blueprint, comparisons_blueprint
from services.operator.review.likeness import OVERLAPPING, Reading, contradiction, may_meet, orders, readings
from services.operator.review.pairs import jaccard, similar_pairs
from services.operator.review.prompts import CLASSIFY_RULES, COMPARE_RULES, classify_prompt, compare_prompt
from shared.arq.blueprint import Answer, Blueprint
from shared.arq.prompt import Prompt
from shared.errors import Fatal
from shared.llm.base import LanguageModel, Usage
from shared.llm.structured import ask
from shared.playbook.finding import Basis, Finding
from shared.playbook.model import Guideline, Playbook

BATCH = 8
"""Guidelines or pairs a call: more make a model skip some, fewer pay for the rules again."""
OPEN_MAX = 4
ALL_PAIRS_MAX = 24
"""Acting guidelines up to which every pair is compared; beyond, those whose conditions overlap in words."""
OVERLAPPING_ENOUGH = OVERLAPPING / 2
TENANT = "review"

Item = TypeVar("Item")
Kept = dict[str, list[str]]


@dataclass(slots=True)
class Reviewer:
    """
    A model that reviews. *folder* keeps its answers, by the content of what was asked and the model's *name*;
    *seconds_max* is for one call, *pairs_max* bounds the pairs that are compared. `usage` is what it cost.
    """

    model: LanguageModel
    name: str
    folder: Path
    seconds_max: float
    pairs_max: int
    usage: Usage = field(default_factory=Usage)

    async def classified(self, guidelines: Sequence[Guideline]) -> list[frozenset[Kind]]:
        """
        The kinds of each of *guidelines*, which have actions.

        Raises:
            ModelUnavailable, ModelRefused, InvalidAnswer: the model gave no usable answer.

        """
        cache = _Cache(self.folder / "classifications.json")
        keys = [_key(self.name, CLASSIFY_RULES, one.condition, one.action, one.description) for one in guidelines]
        todo = {key: one for key, one in zip(keys, guidelines, strict=True) if key not in cache.kept}

        async def some(part: Sequence[tuple[str, Guideline]]) -> None:
            found = await self.kinds([one for _, one in part])
            cache.keep({key: sorted(kinds) for (key, _), kinds in zip(part, found, strict=True)})

        await _each(list(todo.items()), some)
        return [frozenset(kind for kind in KINDS if kind in cache.kept[key]) for key in keys]

    async def kinds(self, guidelines: Sequence[Guideline], *, request_id: str = "") -> list[frozenset[Kind]]:
        """As `classified`, in one call and without keeping anything."""
        blueprint, prompt = classifications_blueprint(len(guidelines)), classify_prompt(guidelines)
        answer = await self._ask(blueprint, prompt, len(guidelines), "guidelines", request_id)
        by_number = {one.guideline: one for one in answer.guidelines}
        return [frozenset(by_number[f"G{place}"].verdict) for place in range(1, len(guidelines) + 1)]

    async def contradictions(self, playbook: Playbook) -> list[Finding]:
        """
        The pairs of guidelines of *playbook* that the model finds contradictory.

        Raises:
            ModelUnavailable, ModelRefused, InvalidAnswer: the model gave no usable answer.

        """
        cache = _Cache(self.folder / "contradictions.json")
        pairs = suspects(playbook, self.pairs_max)
        keys = [_pair_key(self.name, first.guideline, second.guideline) for first, second in pairs]
        todo = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in cache.kept}

        async def some(part: Sequence[tuple[str, tuple[Reading, Reading]]]) -> None:
            prompt = compare_prompt([(first.guideline, second.guideline) for _, (first, second) in part])
            answer = await self._ask(comparisons_blueprint(len(part)), prompt, len(part), "pairs")
            found = {one.pair: one for one in answer.pairs}
            told = {key: found[f"P{place}"] for place, (key, _) in enumerate(part, start=1)}
            cache.keep({key: (one.verdict, one.evidence, one.both_apply_when) for key, one in told.items()})

        await _each(list(todo.items()), some)
        findings = []
        for key, (first, second) in zip(keys, pairs, strict=True):
            verdict, evidence, when = cache.kept[key]
            if verdict == "contradict":
                findings.append(
                    contradiction(first, second, f"{evidence or 'no reply can do both'}; {when}", Basis.MODEL)
                )
        return findings

    async def _ask(
        self, blueprint: Blueprint[Answer], prompt: Prompt, count: int, part: str, request_id: str = ""
    ) -> Answer:
        answered = await ask(
            self.model,
            blueprint,
            prompt,
            purpose="review",
            tenant=TENANT,
            deadline=asyncio.get_running_loop().time() + self.seconds_max,
            temperature=0.0,
            check=_complete(count, part),
            request_id=request_id,
        )
        self.usage += answered.usage
        return answered.answer


def suspects(playbook: Playbook, pairs_max: int) -> list[tuple[Reading, Reading]]:
    """Pairs that may contradict each other: with actions, unordered, alike in condition; the most alike first."""
    acting = [one for one in readings(playbook) if one.guideline.action]
    if len(acting) <= ALL_PAIRS_MAX:
        near: Iterable[tuple[int, int, float]] = (
            (first, second, jaccard(acting[first].condition, acting[second].condition))
            for first, second in combinations(range(len(acting)), 2)
        )
    else:
        near = similar_pairs([one.condition for one in acting], OVERLAPPING_ENOUGH)
    ordered = orders(playbook)
    found = [
        (likeness, first, second)
        for first, second, likeness in near
        if may_meet(acting[first], acting[second], ordered)
    ]
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    return [(acting[first], acting[second]) for _, first, second in found[:pairs_max]]


def undeclared(playbook: Playbook) -> list[tuple[int, Guideline]]:
    """The guidelines, by index, that have an action and say nothing of its kind."""
    return [
        (index, one)
        for index, one in enumerate(playbook.guidelines)
        if one.action and not one.model_fields_set & {"continuous", "customer_dependent", "agent_intention"}
    ]


class _Cache:
    """Answers by key in a JSON file, written anew after every call: an interruption costs one call."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.kept: Kept = {}
        if file.exists():
            try:
                self.kept = json.loads(file.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise Fatal(f"{file} holds no kept answers of a review ({error}); remove it") from None

    def keep(self, answers: Mapping[str, Iterable[str]]) -> None:
        self.kept |= {key: list(answer) for key, answer in answers.items()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self.kept, indent=1), encoding="utf-8")
        partial.replace(self._file)


async def _each(items: Sequence[Item], ask_some: Callable[[Sequence[Item]], Coroutine[None, None, None]]) -> None:
    """*ask_some* of every BATCH of *items*, OPEN_MAX at once; the first failure ends it."""
    places = asyncio.Semaphore(OPEN_MAX)

    async def one(part: Sequence[Item]) -> None:
        async with places:
            await ask_some(part)

    try:
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(items), BATCH):
                group.create_task(one(items[start : start + BATCH]))
    except ExceptionGroup as found:
        raise found.exceptions[0] from None


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _pair_key(name: str, first: Guideline, second: Guideline) -> str:
    return _key(name, COMPARE_RULES, first.condition, first.action, second.condition, second.action)


def _complete(count: int, part: str) -> Callable[[Answer], str | None]:
    """A check that each of *count* items is answered once."""

    def complaint(answer: Answer) -> str | None:
        said = getattr(answer, part)
        numbers = {next(iter(one.model_dump().values())) for one in said}
        return None if len(said) == len(numbers) == count else f"{part}: {count} asked, {len(said)} answered"

    return complaint
