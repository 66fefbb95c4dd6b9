"""
The four services as simulated processes: their real composition, with the simulated broker, model and playbooks.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from aiokafka.partitioner import murmur2
from prometheus_client import CollectorRegistry

from services.conversations.domain.bounds import Bounds
from services.conversations.domain.speakers import RESULT_TOPICS
from services.conversations.metrics import ConversationsMetrics
from services.conversations.settings import ConversationsSection
from services.conversations.stage import ConversationLedger
from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatchingSettings
from services.matcher.stage import Matcher
from services.reasoner.adapters.http_tools import HttpTools
from services.reasoner.adapters.secrets import Secrets
from services.reasoner.calling import Calling
from services.reasoner.metrics import ReasonerMetrics, ToolMetrics
from services.reasoner.settings import OutgoingSection, ReasonerSection
from services.reasoner.stage import Reasoning
from services.verifier.metrics import VerifierMetrics
from services.verifier.settings import VerifierSection
from services.verifier.stage import Verifying
from shared.events import topics
from shared.events.envelope import Envelope
from shared.llm.base import LanguageModel
from shared.llm.client import limit
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings
from shared.stage.concurrent import ConcurrentStage
from shared.stage.ledger import LedgerStage
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings
from shared.stage.turn_stage import Products, TurnStage, turn_of
from tests.simulation.broker import SimulatedBroker, SimulatedClient
from tests.simulation.journal import JournalledLedger
from tests.simulation.loop import PROCESS
from tests.simulation.plan import Plan
from tests.simulation.playbooks import Press, Reading
from tests.simulation.tools import Endpoints
from tests.simulation.watcher import TURN

DRAIN_SECONDS = 3.0
EPOCH_SECONDS = 1_790_000_000.0
"""Unix time when the loop's clock is nought."""
UNLIMITED = 1_000_000_000
LLM_SETTINGS = LlmSettings(
    in_flight_max=3,
    in_flight_min=1,
    waiting_max=20,
    retries_max=2,
    retry_wait_first_seconds=0.1,
    retry_wait_max_seconds=0.5,
    circuit_window_seconds=4.0,
    circuit_calls_min=5,
    circuit_probe_seconds=0.5,
)
"""Small enough that calls wait for each other, and that the circuit opens."""
OUTGOING_SETTINGS = OutgoingSection(retry_wait_first_seconds=0.05)
BOUNDS = Bounds.of(ConversationsSection(seen_events_max=128, legs_max=8, grant_seconds=8.0).model_dump())


@lru_cache(maxsize=1)
def metrics() -> dict[str, Any]:
    """Made once: no decision of a service depends on a metric."""
    registry = CollectorRegistry()
    return {
        "matcher": StageMetrics(registry, "matcher"),
        "reasoner": StageMetrics(CollectorRegistry(), "reasoner"),
        "verifier": StageMetrics(CollectorRegistry(), "verifier"),
        "conversations": LedgerMetrics(CollectorRegistry(), "conversations"),
        "ledger": ConversationsMetrics(CollectorRegistry()),
        "matching": MatcherMetrics(CollectorRegistry()),
        "reasoning": ReasonerMetrics(CollectorRegistry()),
        "calling": ToolMetrics(CollectorRegistry()),
        "verifying": VerifierMetrics(CollectorRegistry()),
        "llm": LlmMetrics(CollectorRegistry()),
    }


class Telling:
    """A stage's *work*, beside which stands which turn it is about, in which leg."""

    def __init__(self, work: Any) -> None:
        self._work = work

    async def process(self, event: Envelope[Any]) -> Products:
        """See `TurnWork.process`."""
        TURN.set(turn_of(event.data))
        return await self._work.process(event)


@dataclass(slots=True)
class Process:
    """A process that was started; `job` is its stage's run."""

    service: str
    name: str
    client: SimulatedClient
    stop: asyncio.Event
    job: asyncio.Task[None]
    frozen: bool = False


@dataclass(slots=True)
class Factory:
    """Starts processes of *plan*'s services, each with a clock of its own and its own way to the playbooks."""

    plan: Plan
    broker: SimulatedBroker
    model: LanguageModel
    endpoints: Endpoints
    press: Press
    chance: Random
    started: int = 0

    def start(self, service: str) -> Process:
        """Start another process of *service*."""
        self.started += 1
        name = f"{service}.{self.started}"
        context = copy_context()
        context.run(PROCESS.set, name)
        return context.run(self._start, service, name, context)

    def _start(self, service: str, name: str, context: Context) -> Process:
        now = asyncio.get_running_loop().time
        weather, begun = self.plan.weather, now()
        skew = weather.skew_seconds * (2 * self.chance.random() - 1)
        lag = weather.slow_seconds * self.chance.random()
        client = self.broker.connect()
        playbooks = Reading(self.press, lambda: max(begun, now() - lag))
        self.broker.trace.note("start", f"skew {skew:+.3f}")
        stage = self._stage(service, client, playbooks, lambda: EPOCH_SECONDS + now() + skew)
        stop = asyncio.Event()
        job = asyncio.get_running_loop().create_task(stage.run(stop), context=context)
        return Process(service, name, client, stop, job)

    def _stage(
        self, service: str, client: SimulatedClient, playbooks: Reading, clock: Callable[[], float]
    ) -> LedgerStage[Any] | ConcurrentStage:
        if service == "conversations":
            return self._ledger(client, playbooks, clock)
        kept = metrics()
        model = limit(self.model, LLM_SETTINGS, kept["llm"], random=self.chance)
        work: Any
        if service == "matcher":
            work = Matcher(model, playbooks, MatchingSettings(), kept["matching"], clock=clock)
            inputs, watches = [topics.TURNS_OPENED], []
        elif service == "reasoner":
            runner = HttpTools(self.endpoints, Secrets(""), OUTGOING_SETTINGS, random=self.chance)
            calling = Calling(model, runner, ReasonerSection(), kept["calling"], clock)
            work = Reasoning(model, playbooks, ReasonerSection(), kept["reasoning"], clock, calling)
            inputs, watches = [topics.TURNS_MATCHED], [topics.TURNS_OPENED]
        else:
            work = Verifying(model, playbooks, VerifierSection(), kept["verifying"], clock)
            inputs, watches = [topics.TURNS_DRAFTED], [topics.TURNS_OPENED]
        settings = stage_settings(self.plan)
        return ConcurrentStage(
            service,
            client,
            TurnStage(service, Telling(work), inputs=inputs, settings=settings, metrics=kept[service], clock=clock),
            inputs=inputs,
            watches=watches,
            settings=settings,
            metrics=kept[service],
            clock=clock,
            random=self.chance,
        )

    def _ledger(self, client: SimulatedClient, playbooks: Reading, clock: Callable[[], float]) -> LedgerStage[Any]:
        kept, count = metrics(), self.plan.partitions
        ledger = ConversationLedger(playbooks, BOUNDS, kept["ledger"], partitions=count)
        return LedgerStage(
            "conversations",
            client,
            JournalledLedger(ledger, client.journals, playbooks.as_of, lambda key: home(key, count)),
            inputs=[*topics.RECEIVED_FROM_TENANTS, *RESULT_TOPICS, topics.CONVERSATION_RELEASES],
            changelog=topics.CONVERSATIONS_STATE,
            releases=topics.CONVERSATION_RELEASES,
            first_hand=frozenset({topics.TURNS_VERIFIED}),
            settings=stage_settings(self.plan),
            metrics=kept["conversations"],
            clock=clock,
            random=self.chance,
        )


@lru_cache(maxsize=64)
def _stage_settings(span_max: int, group_records_max: int, cache_bytes_max: int) -> StageSettings:
    return StageSettings(
        in_flight_max=6,
        read_ahead_max=14,
        span_max=span_max,
        fetch_records_max=5,
        fetch_wait_seconds=1.0,
        retry_attempts_max=5,
        retry_wait_seconds=0.1,
        retry_wait_max_seconds=1.0,
        # A stage that gives up after so many faults is right to; here every process is to go on.
        restarts_max=UNLIMITED,
        drain_seconds=DRAIN_SECONDS,
        ledger_idle_commit_seconds=0.3,
        ledger_group_records_max=group_records_max,
        ledger_cache_bytes_max=cache_bytes_max,
        ledger_takeover_wait_seconds=0.1,
        ledger_close_seconds=1.0,
    )


def stage_settings(plan: Plan) -> StageSettings:
    """Paces that make little of a virtual second, and limits that make much happen."""
    return _stage_settings(plan.span_max, plan.group_records_max, plan.cache_bytes_max)


@lru_cache(maxsize=4_096)
def home(key: bytes, partitions: int) -> int:
    """The partition that *key* belongs to."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
