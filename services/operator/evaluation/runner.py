"""
Playing scenarios through the services that run: each by the handler of what is judged of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.operator.adapters.playbooks import publishing
from services.operator.evaluation.desk import open_desk
from services.operator.evaluation.distractors import distractors
from services.operator.evaluation.handlers import HANDLERS, Means
from services.operator.evaluation.plays import TENANT, Plan, Play
from services.operator.evaluation.result import Result
from services.operator.review.asking import Reviewer
from shared.broker.clients import KafkaSettings
from shared.llm.client import build_model
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings
from shared.playbook.topic import Published


def by_stages(todo: Iterable[Play]) -> dict[tuple[str, ...], list[Play]]:
    """
    *todo* by the services that must run for it. Others must not: a reasoner would draft a reply to each turn of which
    only the matching is judged.
    """
    found: dict[tuple[str, ...], list[Play]] = {}
    for play in todo:
        found.setdefault(HANDLERS[play.scenario.expected.judged].stages, []).append(play)
    return found


async def run(
    kafka: KafkaSettings, llm: LlmSettings, todo: Sequence[Play], plan: Plan, keep: Callable[[Result], None]
) -> None:
    """
    Play *todo* through the services that listen at *kafka* and the model of *llm*, and hand each result to *keep* when
    it is there.

    Raises:
        Fatal: a topic is missing, or a playbook could not be published.

    """
    places = asyncio.Semaphore(plan.open_max)
    async with _means(kafka, llm, plan) as means:

        async def one(play: Play) -> None:
            async with places:
                keep(await HANDLERS[play.scenario.expected.judged].play(means, play, plan))

        try:
            async with asyncio.TaskGroup() as group:
                for play in todo:
                    group.create_task(one(play))
        except ExceptionGroup as found:
            raise found.exceptions[0] from None  # the others are its consequence, or the same


@asynccontextmanager
async def _means(kafka: KafkaSettings, llm: LlmSettings, plan: Plan) -> AsyncIterator[Means]:
    versions: dict[str, asyncio.Task[Published]] = {}
    async with (
        publishing(kafka) as publish,
        open_desk(kafka, TENANT) as desk,
        build_model(llm, LlmMetrics(CollectorRegistry())) as model,
    ):

        async def version(play: Play) -> str:
            if play.agent not in versions:
                padding = distractors(play.scenario, play.guidelines)
                playbook = play.scenario.playbook(play.agent, padding)
                versions[play.agent] = asyncio.ensure_future(publish(TENANT, playbook))
            return (await versions[play.agent]).version

        def reviewer() -> Reviewer:
            return Reviewer(model, llm.model, Path(), plan.turn_seconds_max, 0)

        yield Means(desk, version, reviewer)
