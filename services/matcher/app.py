"""
The matcher's composition root: the only file that names concrete adapters.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.matcher.adapters.meanings import VectorMeanings
from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatcherSettings
from services.matcher.stage import Matcher
from shared.events.topics import TURNS_OPENED
from shared.llm.client import build_model
from shared.llm.embeddings import Embeddings
from shared.llm.metrics import LlmMetrics
from shared.llm.probe import probe
from shared.playbook.following import WithPlaybooks
from shared.playbook.topic import PlaybookFollower
from shared.stage.beside import Beside
from shared.stage.concurrent import ConcurrentStage
from shared.stage.kafka import KafkaBroker
from shared.stage.metrics import StageMetrics
from shared.stage.process import Process, Runnable
from shared.stage.turn_stage import TurnStage


@asynccontextmanager
async def build(settings: MatcherSettings, process: Process) -> AsyncIterator[Runnable]:
    """Wire the matcher; no record is read before what this yields is run."""
    metrics, llm_metrics = StageMetrics(process.registry, process.service), LlmMetrics(process.registry)
    playbooks = PlaybookFollower(settings.kafka, process.registry)
    matcher_metrics = MatcherMetrics(process.registry)
    async with (
        build_model(settings.llm, llm_metrics) as model,
        _meanings(settings, llm_metrics, matcher_metrics) as meanings,
    ):
        process.health.obstacle = model.obstacle
        work = Matcher(model, playbooks, settings.matcher, matcher_metrics, meanings=meanings)
        stage = ConcurrentStage(
            process.service,
            KafkaBroker(settings.kafka),
            TurnStage(
                process.service,
                work,
                inputs=[TURNS_OPENED],
                settings=settings.stage,
                metrics=metrics,
                spans=process.spans,
                directory=playbooks,
            ),
            inputs=[TURNS_OPENED],
            settings=settings.stage,
            metrics=metrics,
            health=process.health,
        )
        yield WithPlaybooks(playbooks, Beside(stage, probe(model, settings.llm, llm_metrics)))


@asynccontextmanager
async def _meanings(
    settings: MatcherSettings, llm_metrics: LlmMetrics, metrics: MatcherMetrics
) -> AsyncIterator[VectorMeanings | None]:
    if not settings.embeddings.url:
        yield None
        return
    async with Embeddings(settings.embeddings, llm_metrics) as embeddings:
        meanings = VectorMeanings(embeddings, metrics, bytes_max=settings.matcher.vectors_bytes_max)
        try:
            yield meanings
        finally:
            await meanings.close()
