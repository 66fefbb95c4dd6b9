"""
The reasoner's composition root: the only file that names concrete adapters.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.http_retriever import HttpRetrievers
from services.reasoner.adapters.runners import Runners
from services.reasoner.calling import Calling
from services.reasoner.metrics import ReasonerMetrics, ToolMetrics
from services.reasoner.settings import ReasonerSettings
from services.reasoner.stage import Reasoning
from shared.events.topics import TURNS_MATCHED, TURNS_OPENED
from shared.llm.client import build_model
from shared.llm.metrics import LlmMetrics
from shared.llm.probe import probe
from shared.playbook.following import WithPlaybooks
from shared.playbook.topic import PlaybookFollower
from shared.stage.beside import Beside
from shared.stage.concurrent import ConcurrentStage
from shared.stage.kafka import KafkaBroker
from shared.stage.leads import ledger_time
from shared.stage.metrics import StageMetrics
from shared.stage.process import Process, Runnable
from shared.stage.turn_stage import TurnStage


@asynccontextmanager
async def build(settings: ReasonerSettings, process: Process) -> AsyncIterator[Runnable]:
    """Wire the reasoner; no record is read before what this yields is run."""
    metrics, llm_metrics = StageMetrics(process.registry, process.service), LlmMetrics(process.registry)
    playbooks = PlaybookFollower(settings.kafka, process.registry)
    async with build_model(settings.llm, llm_metrics) as model, Outgoing(settings.outgoing) as outgoing:
        process.health.obstacle = model.obstacle
        runner = Runners(outgoing, settings.outgoing)
        calling = Calling(model, runner, settings.reasoner, ToolMetrics(process.registry), ledger_time)
        metrics_of_drafts = ReasonerMetrics(process.registry)
        finder = HttpRetrievers(outgoing, settings.outgoing, metrics_of_drafts, time.time)
        work = Reasoning(model, playbooks, settings.reasoner, metrics_of_drafts, ledger_time, calling, finder)
        stage = ConcurrentStage(
            process.service,
            KafkaBroker(settings.kafka),
            TurnStage(
                process.service,
                work,
                inputs=[TURNS_MATCHED],
                settings=settings.stage,
                metrics=metrics,
                spans=process.spans,
                directory=playbooks,
            ),
            inputs=[TURNS_MATCHED],
            watches=[TURNS_OPENED],
            settings=settings.stage,
            metrics=metrics,
            health=process.health,
        )
        yield WithPlaybooks(playbooks, Beside(stage, probe(model, settings.llm, llm_metrics)))
