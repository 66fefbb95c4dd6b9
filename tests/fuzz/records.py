"""
The door of records: every topic's decoder, and behind it the ledger, and what each stage does before its work.
"""

import json
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from shared.errors import Invalid
from shared.events import codec, conversation, topics
from shared.events.envelope import Address
from shared.events.examples import example
from shared.stage.base import Record
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings
from shared.stage.turn_stage import TurnStage
from tests.fuzz.desk import NOW_MS, QUESTION, opened
from tests.fuzz.door import OWNER, Broken, Door
from tests.fuzz.entry import Entry
from tests.fuzz.ledger_world import INPUTS, LedgerWorld, of_event, posted

_STAGE_INPUTS = {
    topics.TURNS_OPENED: "matcher",
    topics.TURNS_MATCHED: "reasoner",
    topics.TURNS_DRAFTED: "verifier",
}
_METRICS = {stage: StageMetrics(CollectorRegistry(), stage) for stage in _STAGE_INPUTS.values()}
_SETTINGS = StageSettings()


class _NoWork:
    async def process(self, _event):
        return ()


class Records:
    """A session in which records of every topic come to who reads them."""

    def __init__(self) -> None:
        self._ledger = LedgerWorld.prepared()
        self._stages = {
            topic: TurnStage(
                stage,
                _NoWork(),
                inputs=[topic],
                settings=_SETTINGS,
                metrics=_METRICS[stage],
                clock=lambda: NOW_MS / 1_000,
            )
            for topic, stage in _STAGE_INPUTS.items()
        }
        self._offset = 0

    async def enter(self, entry: Entry) -> bool:
        """See `Session.enter`."""
        taken = _decoded(entry)
        if entry.kind in INPUTS:
            self._ledger.take(entry)
        elif entry.kind in self._stages:
            await self._stage(entry)
        return taken

    async def _stage(self, entry: Entry) -> None:
        self._offset += 1
        record = Record(entry.kind, 0, self._offset, NOW_MS, entry.key, entry.body, entry.headers, fresh=True)
        for stage in self._stages.values():
            stage.observe(record)
        try:
            await self._stages[entry.kind].handle(record)
        except Invalid:
            return
        self._stages[entry.kind].acknowledged(record)


def _decoded(entry: Entry) -> bool:
    types = topics.TOPICS[entry.kind].types
    try:
        event = codec.decode(types, entry.key, entry.headers, entry.body)
    except Invalid:
        return False
    headers, value = codec.encode(event)
    again = codec.decode(types, entry.key, headers, value)
    if codec.encode(again) != (headers, value):
        raise Broken(f"what {entry.kind} takes is encoded otherwise after it was read back")
    return True


def samples() -> Sequence[Entry]:
    """An event of every type, those of conversations about ones that the ledger knows."""
    found = [posted(Address(OWNER, f"c-{number}"), f"e-{number}", QUESTION) for number in (1, 2, 3, 4)]
    told = (
        ("conversation.mode_changed", conversation.ModeChanged(mode=conversation.Mode.MANUAL, reason="Taken over.")),
        ("variable.set", conversation.VariableSet(name="account_kind", value="student")),
        (
            "approval.given",
            conversation.ApprovalGiven(approval_id="ap-9", granted=True, by="m.keller", reason="Known."),
        ),
        ("conversation.closed", conversation.ConversationClosed(reason="The customer left.")),
        ("conversation.erased", conversation.ConversationErased(reason="Asked for.")),
    )
    for number, (kind, body) in enumerate(told):
        topic = topics.CONVERSATION_DECISIONS if kind == "approval.given" else topics.CONVERSATION_EVENTS
        found.append(of_event(Address(OWNER, "c-2"), kind, body, f"t-{number}", topic))
    address = Address(OWNER, "c-1")
    found.append(of_event(address, "turn.opened", opened(), "o-1", topics.TURNS_OPENED, "conversations"))
    found += [
        _example(topic.name, kind)
        for topic in topics.TOPICS.values()
        for kind in topic.types
        if topic.name not in topics.RECEIVED_FROM_TENANTS
    ]
    return [*found, _structured(found[0])]


def _example(topic: str, kind: str) -> Entry:
    event = example(kind)
    headers, value = codec.encode(event)
    tenant = event.source.split("/")[2]
    return Entry(topic, value, Address(tenant, event.subject).key, headers)


def _structured(entry: Entry) -> Entry:
    """*entry* in CloudEvents' structured mode."""
    named = {name.removeprefix("ce_"): value.decode() for name, value in entry.headers if name.startswith("ce_")}
    value = json.dumps(named | {"data": json.loads(entry.body or b"null")}).encode()
    return Entry(entry.kind, value, entry.key, (("content-type", b"application/cloudevents+json"),))


DOOR = Door("records", "records and their headers, on every topic", samples, Records, together=12)
