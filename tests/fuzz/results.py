"""
The door of results: what stages hand on, to the ledger and to the stage that follows, each with its real work.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import ReasonerSection
from services.reasoner.stage import Reasoning
from services.verifier.metrics import VerifierMetrics
from services.verifier.settings import VerifierSection
from services.verifier.stage import Verifying
from shared.errors import Invalid, Retryable
from shared.events import codec, topics, turns
from shared.events.claims import ClaimKind, Judge, ReasoningMode
from shared.events.envelope import Address
from shared.events.tools import Claim, ToolCall, ToolGuideline, ToolResult, ToolStatus
from shared.events.verified import TurnVerified
from shared.stage.base import Output, Record
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings
from shared.stage.turn_stage import TurnStage
from tests.fuzz.desk import NOW, NOW_MS, Rehearsed, directory, opened
from tests.fuzz.door import OWNER, Broken, Door, unseen
from tests.fuzz.entry import Entry
from tests.fuzz.ledger_world import LedgerWorld, of_event, open_turns

REPLY = "The account costs 3.50 euros a month."
_SETTINGS = StageSettings()
_REASONER, _VERIFIER = ReasonerMetrics(CollectorRegistry()), VerifierMetrics(CollectorRegistry())
_STAGES = {stage: StageMetrics(CollectorRegistry(), stage) for stage in ("reasoner", "verifier")}


def clock() -> float:
    """A moment after the turns were opened."""
    return NOW_MS / 1_000 + 1


def stage(name: str, work: Any, topic: str) -> TurnStage[Any]:
    """The stage *name* around *work*."""
    return TurnStage(name, work, inputs=[topic], settings=_SETTINGS, metrics=_STAGES[name], clock=clock)


class Results:
    """A session in which results come to the ledger, or to the reasoner and the verifier."""

    def __init__(self) -> None:
        self._ledger = LedgerWorld.prepared()
        model = Rehearsed()
        self._stages = {
            topics.TURNS_MATCHED: stage(
                "reasoner",
                Reasoning(model, directory(), ReasonerSection(), _REASONER, clock),
                topics.TURNS_MATCHED,
            ),
            topics.TURNS_DRAFTED: stage(
                "verifier", Verifying(model, directory(), VerifierSection(), _VERIFIER, clock), topics.TURNS_DRAFTED
            ),
        }
        self._offset = 0

    async def enter(self, entry: Entry) -> bool:
        """See `Session.enter`."""
        taken = True
        try:
            codec.decode(topics.TOPICS[entry.kind].types, entry.key, entry.headers, entry.body)
        except Invalid:
            taken = False
        if entry.kind in self._stages:
            await self._handle(entry)
        else:
            self._ledger.take(entry)
        return taken

    async def _handle(self, entry: Entry) -> None:
        self._offset += 1
        record = Record(entry.kind, 0, self._offset, NOW_MS, entry.key, entry.body, entry.headers)
        try:
            outputs = await self._stages[entry.kind].handle(record)
        except (Invalid, Retryable):
            return
        for output in outputs:
            readable(output)


def readable(output: Output) -> None:
    """
    Check that whoever reads *output* can.

    Raises:
        Broken: it cannot be decoded, or holds another tenant's words.

    """
    unseen(output.value, output.topic)
    try:
        codec.decode(topics.TOPICS[output.topic].types, output.key, output.headers, output.value)
    except Invalid as error:
        raise Broken(f"what is written to {output.topic} cannot be read: {error.reason}") from error


def samples() -> Sequence[Entry]:
    """Results of each kind for the turns that are open, and turns on their way."""
    found = [_finished(turn, number, fields) for turn in open_turns() for number, fields in enumerate(_finishes(turn))]
    matching = turns.Matching(active=("cost", "card"), candidates=3)
    matched = turns.TurnMatched(opened=opened(results=(_result("tariff", {"fee": "3.50"}),)), matching=matching)
    drafted = turns.TurnDrafted(opened=opened(), matching=matching, draft=_draft())
    address = Address(OWNER, "c-1")
    return [
        *found,
        of_event(address, "turn.matched", matched, "x-1", topics.TURNS_MATCHED, "matcher"),
        of_event(address, "turn.drafted", drafted, "x-2", topics.TURNS_DRAFTED, "reasoner"),
    ]


def _finished(opened_turn: turns.TurnOpened, number: int, fields: dict[str, Any]) -> Entry:
    turn = opened_turn.turn
    held = {"turn": turn, "stage": "verifier", "result": turns.FinishResult.FAILED} | fields
    address = Address(turn.tenant, turn.conversation)
    event_id = f"f-{turn.conversation}-{number}"
    if held["stage"] == "verifier":
        return of_event(address, "turn.verified", TurnVerified(**held), event_id, topics.TURNS_VERIFIED, "verifier")
    body = turns.TurnFinished(**held)
    return of_event(address, "turn.finished", body, event_id, topics.TURNS_FINISHED, "reasoner")


def _finishes(turn: turns.TurnOpened) -> Sequence[dict[str, Any]]:
    call = ToolCall(id="call-1", tool="block", arguments={"why": "lost"})
    asked = ToolCall(id="call-2", tool="notice", arguments={"why": "lost"})
    paused = {"stage": "reasoner", "result": turns.FinishResult.PAUSED, "reason": "tools"}
    verified = {
        "result": turns.FinishResult.VERIFIED,
        "text": REPLY,
        "text_sha256": hashlib.sha256(REPLY.encode()).hexdigest(),
        "matching": turns.Matching(active=("cost",)),
        "draft": _draft(),
        "verification": turns.Verification(passed=True, verified_by=Judge.CODE),
        "marks": turn.marks,
        "journeys": {"move": turns.JourneyPosition(path=("start",))},
    }
    return (
        verified,
        {"result": turns.FinishResult.FAILED, "fallback": "failed", "reason": "claims_failed"},
        {"stage": "reasoner", "result": turns.FinishResult.HAND_OFF, "fallback": "hand_off", "reason": "model_refused"},
        {"stage": "reasoner", "result": turns.FinishResult.SILENT, "reason": "nothing_to_say"},
        paused | {"calls": (call, asked)},
        paused | {"claims": (Claim(call_id="call-1", claimant="word"),)},
        paused | {"results": (_result("tariff", {"fee": "3.50"}), _result("block", {"done": True}, call))},
    )


def _result(tool: str, data: Any, call: ToolCall | None = None) -> ToolResult:
    return ToolResult(
        call=call or ToolCall(id=f"r-{tool}", tool=tool),
        status=ToolStatus.DONE,
        data=data,
        metadata={"trace": 1},
        fields={"fee": "3.50"},
        guidelines=(ToolGuideline(condition="It was looked up", action="Say when"),),
        mode="auto",
        at=NOW + timedelta(seconds=1),
    )


def _draft() -> turns.Draft:
    return turns.Draft(
        mode=ReasoningMode.ARQ,
        segments=(
            turns.Segment(kind=turns.SegmentKind.CLAIM, text=REPLY, claim_kind=ClaimKind.NUMBER, fact_ids=("fee",)),
            turns.Segment(kind=turns.SegmentKind.QUESTION, text="Shall I block the card?"),
        ),
        facts=(turns.FactRecord(id="fee", text="The account costs 3.50 euros a month.", source="playbook"),),
        restated=(turns.Restated(guideline_id="cost", text="state the monthly fee"),),
        spent=turns.Spent(calls=1, model="m"),
    )


DOOR = Door("results", "results of stages, to the ledger and to the next stage", samples, Results, together=8)
