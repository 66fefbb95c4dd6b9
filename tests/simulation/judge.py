"""
The verdict over a finished run, from the topics alone: I1-I12 of the invariants, as far as one run can show them.

`Auditor` is the reader that `holdfast chaos` uses on real brokers; what it cannot know (which records were poison, what
the playbooks said, what the platform published) is added here.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.conversations.domain.speakers import RESULT_TOPICS
from services.operator.domain.audit import Auditor
from shared.events import topics
from shared.events.codec import decode
from shared.events.conversation import ResponseOrigin
from shared.events.envelope import Address, Envelope
from shared.events.turns import ClosedBy, Outcome
from shared.stage.base import Record
from tests.simulation.playbooks import AGENT, Press
from tests.simulation.watcher import STAGE_INPUT, Violation, origin

FORGED = "forged words"
LEDGER_INPUTS = (*topics.RECEIVED_FROM_TENANTS, *RESULT_TOPICS)
FOLLOWING_HAND_OFFS = frozenset({ClosedBy.MANUAL_MODE, ClosedBy.TOOL_OUTCOME_UNKNOWN})
"""Reasons of turns that end as they begin, because people have what became of a call, or are to look after it."""
RETRIES_EXHAUSTED = b"retries_exhausted"


@dataclass(slots=True)
class Expected:
    """What the platform knows: the messages that it published, what it erased, and which records nobody can take."""

    messages: dict[str, Address] = field(default_factory=dict)
    erased: set[Address] = field(default_factory=set)
    poison: dict[tuple[str, int, int], Record] = field(default_factory=dict)
    refusable: set[tuple[str, int, int]] = field(default_factory=set)
    """Records that are dead-lettered or not, by what happened before."""


def judge(records: dict[str, Sequence[Record]], expected: Expected, press: Press, *, once: bool) -> list[Violation]:
    """
    What is broken in *records* (by topic, in partition and offset order); *once*: nothing may have been done twice.
    """
    events = {
        topic: [
            (record, decode(topics.TOPICS[topic].types, record.key, record.headers, record.value)) for record in them
        ]
        for topic, them in records.items()
        if topic in (topics.CONVERSATION_RESPONSES, topics.TURNS_CLOSED, topics.CLAIMS_JUDGED)
    }
    sent = [(record, event) for record, event in events[topics.CONVERSATION_RESPONSES] if event.type == "response.sent"]
    events[topics.CONVERSATION_RESPONSES] = sent
    found = _audit(records, events, expected)
    found += _outcomes(events[topics.TURNS_CLOSED], _followings(records[topics.TURNS_OPENED]), expected)
    found += _openings(records[topics.TURNS_OPENED], events[topics.TURNS_CLOSED])
    found += _texts(sent, records[topics.TURNS_VERIFIED], press)
    found += _erasures(records, sent, expected)
    found += _letters(records[topics.DEAD_LETTERS], expected)
    if once:
        found += _repetitions(records)
    return found


_Events = Sequence[tuple[Record, Envelope[Any]]]
_AUDITED = {
    "message without an outcome": "I1",
    "turn closed twice": "I1",
    "closing order inverted": "I2",
    "response order inverted": "I2",
    "turn answered twice": "I3",
    "response without its closed turn": "I3",
    "closed turn without its response": "I3",
    "claim judged twice": "I3",
    "claim without its accepted reply": "I5",
    "response text does not match its hash": "I5",
}


def _audit(records: dict[str, Sequence[Record]], events: dict[str, _Events], expected: Expected) -> list[Violation]:
    auditor = Auditor()
    for record in records[topics.CONVERSATION_EVENTS]:
        name = dict(record.headers).get("ce_id", b"").decode(errors="replace")
        place = (record.topic, record.partition, record.offset)
        if name in expected.messages and place not in expected.poison and place not in expected.refusable:
            event = decode(topics.TOPICS[record.topic].types, record.key, record.headers, record.value)
            auditor.message(Address.from_key(record.key), event)
    for record, event in events[topics.CONVERSATION_RESPONSES]:
        auditor.response(Address.from_key(record.key), event)
    for record, event in events[topics.TURNS_CLOSED]:
        auditor.closing(Address.from_key(record.key), event)
    for _, event in events[topics.CLAIMS_JUDGED]:
        auditor.claim(event)
    return [Violation(_AUDITED[f.invariant], f"{f.invariant}: {f.examples}") for f in auditor.report().findings]


def _followings(opened: Sequence[Record]) -> set[str]:
    """The turns that began with something owed: what was allowed, or what came of it."""
    bodies = [_decoded(record).data for record in opened if _source(record).endswith(b"/conversations")]
    return {body.turn.id for body in bodies if body.turn.leg == 1 and (body.grants or body.results)}


def _outcomes(closings: _Events, followings: set[str], expected: Expected) -> list[Violation]:
    """
    A message has one outcome that is final, but for the turns that tell it what became of a call later on, or answer it
    anew because what was allowed holds no longer (I1); the epochs of a conversation have no gap (I2).
    """
    final: Counter[str] = Counter()
    again: set[str] = set()
    epochs: defaultdict[Address, list[int]] = defaultdict(list)
    for record, event in closings:
        closed = event.data
        address = Address.from_key(record.key)
        epochs[address].append(closed.turn.epoch)
        let_go = any(decision.lapsed for decision in closed.decisions)
        if closed.turn.id in followings or closed.reason in FOLLOWING_HAND_OFFS or let_go:
            again |= {message for message in closed.covers if final[message]}
        if closed.outcome is Outcome.SUPERSEDED or (address in expected.erased and closed.reason == "erased"):
            continue
        final.update(message for message in closed.covers if message not in again)
        again.difference_update(closed.covers)
    found = [
        Violation("I1", f"message {name} has {final[name]} final outcomes")
        for name, address in expected.messages.items()
        if final[name] > 1 or (final[name] == 0 and address not in expected.erased)
    ]
    found += [
        Violation("I2", f"the epochs of {address} are {its}")
        for address, its in epochs.items()
        if its != list(range(1, len(its) + 1))
    ]
    return found


def _openings(opened: Sequence[Record], closings: _Events) -> list[Violation]:
    """Every turn that the stages were given has ended (I1), and was given to them once."""
    closed = {event.data.turn.id for _, event in closings}
    given: Counter[tuple[str, int]] = Counter()
    for record in opened:
        if _source(record).endswith(b"/conversations"):
            turn = _decoded(record).data.turn
            given[turn.id, turn.leg] += 1
    found = [Violation("I1", f"turn {turn} was opened and never closed") for turn, _ in given if turn not in closed]
    twice = [(turn, leg, n) for (turn, leg), n in given.items() if n > 1]
    found += [Violation("I1", f"leg {leg} of turn {turn} was opened {n} times") for turn, leg, n in twice]
    skipped = [(turn, leg) for turn, leg in given if leg > 1 and (turn, leg - 1) not in given]
    return found + [Violation("I1", f"leg {leg} of turn {turn} follows on none") for turn, leg in skipped]


def _texts(responses: _Events, finished: Sequence[Record], press: Press) -> list[Violation]:
    """A response is a text that the verifier passed, or the playbook's own (I5)."""
    verified = {
        (event.data.turn.id, hashlib.sha256(event.data.text.encode()).hexdigest())
        for record in finished
        if _source(record).endswith(b"/verifier") and FORGED.encode() not in (record.value or b"")
        for event in [_decoded(record)]
        if event.data.verification is not None and event.data.verification.passed
    }
    found = []
    for record, event in responses:
        sent, tenant = event.data, Address.from_key(record.key).tenant
        fallbacks = {getattr(issue[2].fallbacks, sent.fallback, None) for issue in press.known(tenant, float("inf"))}
        if sent.origin is ResponseOrigin.VERIFIED:
            sound = (sent.turn_id, sent.text_sha256) in verified
        else:
            sound = sent.agent == AGENT and bool(sent.text) and sent.text in fallbacks
        if not sound or FORGED in sent.text:
            found.append(Violation("I5", f"the text of turn {sent.turn_id} was neither verified nor the playbook's"))
    return found


def _erasures(records: dict[str, Sequence[Record]], responses: _Events, expected: Expected) -> list[Violation]:
    """Of an erased conversation no word is left in the state, and no response follows its last erasure."""
    last = {record.key: record.value or b"" for record in records[topics.CONVERSATIONS_STATE]}
    found = [
        Violation("I4", f"the state of the erased {address} still holds words of it")
        for address in expected.erased
        if any(word in last.get(address.key, b"") for word in (b'"author"', b'"variables"', b'"calls"'))
    ]
    erased_epochs: dict[bytes | None, int] = {}
    for record in records[topics.TURNS_CLOSED]:
        closed = _decoded(record).data
        if closed.reason == "erased":
            erased_epochs.setdefault(record.key, closed.turn.epoch)
    return found + [
        Violation("I3", f"turn {event.data.turn_id} answers a conversation that was erased before")
        for record, event in responses
        if event.data.epoch > erased_epochs.get(record.key, event.data.epoch)
    ]


def _letters(letters: Sequence[Record], expected: Expected) -> list[Violation]:
    """Whatever cannot be read lies in dead.letters byte for byte, and nothing else does (I6)."""
    of: defaultdict[tuple[str, int, int], list[Record]] = defaultdict(list)
    for letter in letters:
        of[origin(letter)].append(letter)
    found = []
    for place, record in expected.poison.items():
        copies = of.pop(place, [])
        if not copies:
            found.append(Violation("I6", f"{place} cannot be read and is in no dead letter"))
        if len(copies) > 1 and place[0] in LEDGER_INPUTS:
            found.append(Violation("I6", f"{place} was dead-lettered {len(copies)} times in transactions"))
        whole = (record.key, record.value, record.headers)
        if any((c.key, c.value, c.headers[: len(record.headers)]) != whole for c in copies):
            found.append(Violation("I6", f"the dead letter of {place} is not the record byte for byte"))
    for place, copies in of.items():
        reasons = {dict(copy.headers)["x-holdfast-reason"] for copy in copies}
        if place not in expected.refusable and reasons != {RETRIES_EXHAUSTED}:
            found.append(Violation("I6", f"{place} was dead-lettered as {reasons} and is sound"))
    return found


def _repetitions(records: dict[str, Sequence[Record]]) -> list[Violation]:
    """Where nothing broke, no stage did a piece of work twice (I12)."""
    written: Counter[tuple[str, bytes]] = Counter()
    for topic in (*STAGE_INPUT.values(), *RESULT_TOPICS):
        written.update((topic, dict(record.headers)["ce_id"]) for record in records[topic] if _source(record))
    return [
        Violation("I12", f"{name.decode()} was written {n} times on {t}") for (t, name), n in written.items() if n > 1
    ]


def _source(record: Record) -> bytes:
    """Who of Holdfast wrote a record; empty where the platform or nobody did."""
    source = dict(record.headers).get("ce_source", b"")
    return source if source.count(b"/") > 2 and FORGED.encode() not in (record.value or b"") else b""


def _decoded(record: Record) -> Envelope[Any]:
    return decode(topics.TOPICS[record.topic].types, record.key, record.headers, record.value)
