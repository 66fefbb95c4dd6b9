"""
The tools' part in a turn: which are called, what is asked of the ledger first, what came of it.

A call that only reads is made here and now. One that changes something is handed to the ledger (`calls`), and made
only in a leg that brings a grant for it, under the call's id. Where the endpoint does not recognise that id, the grant
is first claimed with a word that nobody but this process knows: it is executed when the ledger hands the same word
back, and the word is forgotten before the request is sent, so that no repetition of the leg, here or in another
process, can send it again.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from services.reasoner.domain.tools.candidates import Candidate, Toolbox
from services.reasoner.domain.tools.inference import Decided, complaint, decided, known_in, without_asking
from services.reasoner.domain.tools.prompts import tools_prompt
from services.reasoner.domain.tools.results import Came, failed, unknown
from services.reasoner.metrics import ToolMetrics
from services.reasoner.settings import ReasonerSection
from shared.events.tools import Claim, ParameterProblem, ToolCall, ToolResult, ToolStatus
from shared.events.turns import Matching, Spent, TurnOpened
from shared.llm.base import LanguageModel
from shared.llm.structured import ask
from shared.playbook.tools import Tool
from shared.telemetry.spans import Call, tell

PURPOSE = "tools"
EXECUTE_TOOL = "execute_tool"
CLAIMS_REMEMBERED_MAX = 100_000
OUTPUT_TOKENS_BASE = 600
OUTPUT_TOKENS_PER_PARAMETER = 120

NOTHING_SPENT = Spent()

log = structlog.get_logger(__name__)


class Runner(Protocol):
    """What makes a call of one kind of tool."""

    async def call(self, tool: Tool, call: ToolCall, *, tenant: str, deadline: float) -> Came:
        """
        What *call* of *tenant*'s came to by *deadline* (the event loop's clock); never raises for the tool's sake.
        """
        ...


@dataclass(frozen=True, slots=True)
class Paused:
    """The leg ends here: the ledger is asked for *calls*, for the reservation of grants, or handed *results*."""

    calls: tuple[ToolCall, ...] = ()
    claims: tuple[Claim, ...] = ()
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """The reply can be drafted, with *results* of the whole turn and what other calls lacked."""

    results: tuple[ToolResult, ...] = ()
    problems: tuple[ParameterProblem, ...] = ()
    spent: Spent = NOTHING_SPENT


class Calling:
    """
    Decides on and makes the tool calls of turns. *runner* sends them; *clock* tells unix seconds.
    """

    def __init__(
        self,
        model: LanguageModel,
        runner: Runner,
        settings: ReasonerSection,
        metrics: ToolMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._model = model
        self._runner = runner
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._claimed: OrderedDict[str, str] = OrderedDict()

    async def of(self, opened: TurnOpened, matching: Matching, toolbox: Toolbox, *, deadline: float) -> Paused | Ready:
        """
        What the tools add to *opened*, by *deadline* (the event loop's clock, seconds).

        Raises:
            ModelUnavailable, ModelRefused, InvalidAnswer: the question about the tools got no good answer.

        """
        if opened.grants:
            return await self._granted(opened, toolbox, deadline)
        candidates = toolbox.candidates(matching, opened.results)
        room = self._settings.tool_calls_max - len(opened.results)
        if not candidates or room <= 0:
            return Ready(opened.results)
        found, spent = await self._decide(opened, toolbox, candidates, deadline)
        calls = found.calls[:room]
        changing = tuple(call for call in calls if toolbox.tools[call.tool].consequential)
        reading = [call for call in calls if call not in changing]
        results = await self._read(reading, toolbox, opened.turn.tenant, deadline)
        if changing:
            return Paused(calls=changing, results=results)
        if opened.turn.leg < self._settings.legs_max and toolbox.changes_matching(matching, results):
            return Paused(results=results)
        return Ready((*opened.results, *results), found.problems, spent)

    async def _decide(
        self, opened: TurnOpened, toolbox: Toolbox, candidates: Sequence[Candidate], deadline: float
    ) -> tuple[Decided, Spent]:
        turn, results = opened.turn, opened.results
        at_once = without_asking(candidates, turn.id)
        asked = [candidate for candidate in candidates if candidate.needs_asking]
        if not asked:
            return Decided(tuple(at_once)), NOTHING_SPENT
        parameters = sum(len(candidate.tool.parameters) for candidate in asked)
        answered = await ask(
            self._model,
            toolbox.question(asked),
            tools_prompt(opened, asked, results),
            purpose=PURPOSE,
            tenant=turn.tenant,
            deadline=deadline,
            temperature=self._settings.temperature,
            output_tokens_max=OUTPUT_TOKENS_BASE + OUTPUT_TOKENS_PER_PARAMETER * (parameters + len(asked)),
            check=lambda said: complaint(asked, said.model_dump(by_alias=True), self._settings.tool_calls_max),
            request_id=turn.id,
        )
        said = answered.answer.model_dump(by_alias=True)
        done = [result.call.id for result in results]
        found = decided(asked, said, known_in(opened, results), turn.id, done)
        usage = answered.usage
        spent = Spent(
            calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, model=answered.model
        )
        for problem in found.problems:
            self._metrics.problem(problem.problem)
        return Decided((*at_once, *found.calls), found.problems), spent

    async def _read(
        self, calls: Iterable[ToolCall], toolbox: Toolbox, tenant: str, deadline: float
    ) -> tuple[ToolResult, ...]:
        places = asyncio.Semaphore(self._settings.tool_calls_at_once_max)

        async def one(call: ToolCall) -> ToolResult:
            async with places:
                return await self._made(toolbox.tools[call.tool], call, tenant, deadline)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in calls]
        return tuple(task.result() for task in tasks)

    async def _granted(self, opened: TurnOpened, toolbox: Toolbox, deadline: float) -> Paused:
        """Execute what may be executed, and reserve the rest; one after the other, as they were decided."""
        claims: list[Claim] = []
        results: list[ToolResult] = []
        tenant = opened.turn.tenant
        for grant in opened.grants:
            call = grant.call
            tool = toolbox.tools.get(call.tool)
            if tool is None or not tool.consequential:
                results.append(self._result(call, failed("the playbook has no such tool that changes something")))
            elif tool.http is not None and tool.http.idempotency_header:
                results.append(await self._made(tool, call, tenant, deadline))
            elif not grant.claimant:
                claims.append(Claim(call_id=call.id, claimant=self._claim(call)))
            elif self._claimed.pop(grant.claimant, None) == call.id:
                results.append(await self._made(tool, call, tenant, deadline))
            else:
                self._metrics.call(tool.id, "unknown", None)
                log.warning("a claimed tool call is not known here, so it is not made", tool=tool.id, call=call.id)
                results.append(self._result(call, unknown("the process that claimed the call did not report on it")))
        return Paused(claims=tuple(claims), results=tuple(results))

    def _claim(self, call: ToolCall) -> str:
        word = secrets.token_hex(16)
        self._claimed[word] = call.id
        if len(self._claimed) > CLAIMS_REMEMBERED_MAX:
            self._claimed.popitem(last=False)
        return word

    async def _made(self, tool: Tool, call: ToolCall, tenant: str, deadline: float) -> ToolResult:
        begun, begun_ns = asyncio.get_running_loop().time(), time.time_ns()
        came = await self._runner.call(tool, call, tenant=tenant, deadline=deadline)
        spent_seconds = asyncio.get_running_loop().time() - begun
        self._metrics.call(tool.id, came.status.value, spent_seconds)
        tell(_told(call, came, begun_ns))
        log.info(
            "tool called",
            tool=tool.id,
            call=call.id,
            status=came.status.value,
            reason=came.error,
            duration_seconds=round(spent_seconds, 4),
        )
        return self._result(call, came)

    def _result(self, call: ToolCall, came: Came) -> ToolResult:
        return ToolResult(
            call=call,
            status=came.status,
            data=came.data,
            metadata=dict(came.metadata),
            fields=dict(came.fields),
            guidelines=came.guidelines,
            mode=came.mode,
            error=came.error,
            at=datetime.fromtimestamp(self._clock(), UTC),
        )


def _told(call: ToolCall, came: Came, begun_ns: int) -> Call:
    """A call as OpenTelemetry's GenAI conventions have it; without arguments and result."""
    attributes = {
        "gen_ai.operation.name": EXECUTE_TOOL,
        "gen_ai.tool.name": call.tool,
        "gen_ai.tool.call.id": call.id,
        "holdfast.result": came.status.value,
    }
    error = "" if came.status is ToolStatus.DONE else came.status.value
    return Call(f"{EXECUTE_TOOL} {call.tool}", begun_ns, attributes, error)
