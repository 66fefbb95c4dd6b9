"""
The verifier's composition root: the only file that names concrete adapters.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.verifier.metrics import VerifierMetrics
from services.verifier.settings import VerifierSettings
from services.verifier.stage import Verifying
from shared.events.topics import TURNS_DRAFTED, TURNS_OPENED
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
async def build(settings: VerifierSettings, process: Process) -> AsyncIterator[Runnable]:
    """Wire the verifier; no record is read before what this yields is run."""
    metrics, llm_metrics = StageMetrics(process.registry, process.service), LlmMetrics(process.registry)
    playbooks = PlaybookFollower(settings.kafka, process.registry)
    async with build_model(settings.llm, llm_metrics) as model:
        process.health.obstacle = model.obstacle
        work = Verifying(model, playbooks, settings.verifier, VerifierMetrics(process.registry), ledger_time)
        stage = ConcurrentStage(
            process.service,
            KafkaBroker(settings.kafka),
            TurnStage(
                process.service,
                work,
                inputs=[TURNS_DRAFTED],
                settings=settings.stage,
                metrics=metrics,
                spans=process.spans,
                directory=playbooks,
            ),
            inputs=[TURNS_DRAFTED],
            watches=[TURNS_OPENED],
            settings=settings.stage,
            metrics=metrics,
            health=process.health,
        )
        yield WithPlaybooks(playbooks, Beside(stage, probe(model, settings.llm, llm_metrics)))
