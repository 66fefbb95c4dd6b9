"""
The composition root of conversations: the only file that names concrete adapters.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.conversations.domain.admission import TurnBudget
from services.conversations.domain.bounds import Bounds
from services.conversations.domain.speakers import RESULT_TOPICS
from services.conversations.metrics import ConversationsMetrics
from services.conversations.settings import ConversationsSettings
from services.conversations.stage import ConversationLedger
from shared.events.topics import CONVERSATION_RELEASES, CONVERSATIONS_STATE, TURNS_VERIFIED
from shared.playbook.following import WithPlaybooks
from shared.playbook.topic import PlaybookFollower
from shared.stage.kafka import KafkaBroker
from shared.stage.ledger import LedgerStage
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.process import Process, Runnable


@asynccontextmanager
async def build(settings: ConversationsSettings, process: Process) -> AsyncIterator[Runnable]:
    """Wire the service; no record is read before what this yields is run."""
    playbooks = PlaybookFollower(settings.kafka, process.registry)
    section = settings.conversations
    ledger = ConversationLedger(
        playbooks,
        Bounds.of(section.model_dump()),
        ConversationsMetrics(process.registry),
        partitions=section.partitions,
        tenants_apart=settings.kafka.tenants_apart,
        verified_from_finished=section.verified_from_finished,
        approvals_from_events=section.approvals_from_events,
        admission=TurnBudget.of(section.model_dump(), lambda: max(1, stage.owned) / section.partitions),
    )
    stage = LedgerStage(
        process.service,
        KafkaBroker(settings.kafka),
        ledger,
        inputs=[*settings.kafka.received_topics, *RESULT_TOPICS, CONVERSATION_RELEASES],
        changelog=CONVERSATIONS_STATE,
        releases=CONVERSATION_RELEASES,
        first_hand=frozenset({TURNS_VERIFIED}),
        settings=settings.stage,
        metrics=LedgerMetrics(process.registry, process.service),
        health=process.health,
        spans=process.spans,
    )
    yield WithPlaybooks(playbooks, stage)
