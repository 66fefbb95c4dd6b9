"""
What a step made known, as the records that leave: topic, headers, value.

Ids are derived from the turn, so that a repeated step writes the same bytes again. Bodies are plain dicts of the
contract's fields, because building the models costs three times what encoding does, and enums are plain strings,
because reading an enum's value costs a microsecond; tests hold every record against the contract's closed schema.
"""

from typing import Any, NamedTuple

from pydantic_core import to_json

from services.conversations.domain.bounds import RECORD_BYTES_MAX
from services.conversations.domain.calls import Call, Calls
from services.conversations.domain.effects import Acknowledged, Asked, Closed, Note, Opened, Reply
from services.conversations.domain.instants import at
from services.conversations.domain.state import OpenTurn
from services.conversations.domain.step import Step
from shared.events import topics
from shared.events.claims import ReasoningMode
from shared.events.codec import Headers, headers_of, sibling, source_of
from shared.events.conversation import ResponseOrigin
from shared.events.envelope import Address, Envelope, derived_id
from shared.events.turns import ClaimVerdict, TurnFinished

SERVICE = "conversations"
_NO_TRANSCRIPT = b'"transcript":[]'


class Emission(NamedTuple):
    """A record to write."""

    topic: str
    headers: Headers
    value: bytes


def emissions(step: Step) -> list[Emission]:
    """The records of everything that *step* made known, in order."""
    written: list[Emission] = []
    for effect in step.effects:
        if isinstance(effect, Opened):
            written.append(_opened(step, effect))
        elif isinstance(effect, Asked):
            written.append(_asked(step, effect))
        elif isinstance(effect, Acknowledged):
            written.append(_acknowledged(step, effect))
        else:
            written += _closed(step, effect)
    return written


def _opened(step: Step, opened: Opened) -> Emission:
    turn = opened.turn
    body = {
        "turn": _turn(step.address, turn),
        "covers": turn.covers,
        "transcript": (),
        "omitted": opened.transcript.omitted,
        "applied": {name: {"count": times, "epoch": epoch} for name, (times, epoch) in opened.applied.items()},
        "journeys": {name: {"path": path} for name, path in opened.journeys.items()},
        "variables": opened.variables,
        "customer_name": opened.customer_name,
        "marks": (_opening_mark(turn),) if opened.paused is None else _leg_marks(step, opened.paused),
    }
    if opened.variables_ms:
        body["variables_set_at"] = {name: at(told_ms) for name, told_ms in opened.variables_ms.items()}
    if opened.calls:
        body |= _of_calls(opened.calls, anew=opened.paused is None)
    # The messages were encoded when they were posted. What is replaced occurs once: in a string the quotes are escaped.
    transcript = b'"transcript":[%b]' % b",".join([entry.utterance for entry in opened.transcript.entries])
    value = to_json(body).replace(_NO_TRANSCRIPT, transcript, 1)
    matching = opened.paused.matching if opened.paused else None
    if matching is not None:
        full = b'%b,"matching":%b}' % (value[:-1], matching.model_dump_json(exclude_unset=True).encode())
        # Without, the matcher asks once more.
        value = full if len(full) <= RECORD_BYTES_MAX else value
    return Emission(topics.TURNS_OPENED, _headers(step, turn, "turn.opened", turn.leg), value)


def _of_calls(calls: Calls, *, anew: bool) -> dict[str, Any]:
    """
    The grants and results that a leg carries; where it begins a turn *anew*, no result was before its matcher yet.
    """
    return {
        "grants": [{"call": _call(call), "claimant": call.claimant} for call in calls if call.result is None],
        "results": [_result(call) for call in calls if call.result is not None],
        "fresh": [call.id for call in calls if call.result is not None and (anew or not call.carried)],
    }


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "tool": call.tool, "arguments": call.arguments}


def _result(call: Call) -> dict[str, Any]:
    return {"call": _call(call), **(call.result or {})}


def _leg_marks(step: Step, paused: TurnFinished) -> list[Any]:
    """The way of the turn so far: the former leg's, then the ledger's."""
    return [*paused.marks, _mark(step.now_ms, step.now_ms)]


def _asked(step: Step, asked: Asked) -> Emission:
    turn, call = asked.turn, asked.call
    body = {
        "approval_id": call.id,
        "turn_id": turn.id,
        "agent": turn.agent,
        "tool": call.tool,
        "description": asked.description,
        "arguments": call.arguments,
        "digest": call.digest,
        "expires_at": at(call.due_ms),
    }
    headers = sibling(
        _headers(step, turn, "turn.closed"), derived_id(call.id, "approval.requested"), "approval.requested"
    )
    return Emission(topics.CONVERSATION_RESPONSES, headers, to_json(body))


def _acknowledged(step: Step, acknowledged: Acknowledged) -> Emission:
    turn = acknowledged.turn
    body = {
        "turn_id": turn.id,
        "epoch": turn.epoch,
        "agent": turn.agent,
        "text": acknowledged.text,
        "in_reply_to": turn.covers,
    }
    return Emission(topics.CONVERSATION_RESPONSES, _headers(step, turn, "acknowledgement.sent"), to_json(body))


def _closed(step: Step, closed: Closed) -> list[Emission]:
    turn = closed.turn
    headers = _headers(step, turn, "turn.closed")
    written = [Emission(topics.TURNS_CLOSED, headers, _closing(step, closed))]
    if closed.reply is not None:
        response = to_json(_response(turn, closed.reply))
        sent = sibling(headers, derived_id(turn.id, "response.sent"), "response.sent")
        written.insert(0, Emission(topics.CONVERSATION_RESPONSES, sent, response))
    for number, claim in enumerate(_claims(closed), start=1):
        judged = sibling(headers, derived_id(turn.id, "claim.judged", number), "claim.judged")
        written.append(Emission(topics.CLAIMS_JUDGED, judged, to_json(claim)))
    return written


def _response(turn: OpenTurn, reply: Reply) -> dict[str, Any]:
    return {
        "turn_id": turn.id,
        "epoch": turn.epoch,
        "agent": turn.agent,
        "text": reply.text,
        "text_sha256": reply.sha256,
        "origin": str(reply.origin),
        "fallback": reply.fallback,
        "in_reply_to": turn.covers,
    }


def _closing(step: Step, closed: Closed) -> bytes:
    """`turn.closed`; one that no record would hold leaves without the stages' parts: the outcome matters more."""
    turn, reply, finished = closed.turn, closed.reply, closed.finished
    bare = to_json(
        {
            "turn": _turn(step.address, turn),
            "outcome": str(closed.outcome),
            "reason": str(closed.reason),
            "covers": turn.covers,
            "mode": str(closed.mode),
            "response_sha256": reply.sha256 if reply else "",
            "fallback": reply.fallback if reply else "",
            "outstanding": closed.outstanding,
            "results": [_result(call) for call in closed.results],
            "decisions": closed.decisions,
            "closed_at": at(closed.closed_ms),
            "marks": _marks(closed),
        }
    )
    if finished is None:
        return bare
    parts = {"matching": finished.matching, "draft": finished.draft, "verification": finished.verification}
    written = [
        b'"%b":%b' % (name.encode(), part.model_dump_json(exclude_unset=True).encode())
        for name, part in parts.items()
        if part is not None
    ]
    value = b",".join((bare[:-1], *written)) + b"}"
    if len(value) <= RECORD_BYTES_MAX:
        return value
    step.notes.append(Note.RECORD_TRIMMED)
    return bare


def _claims(closed: Closed) -> list[dict[str, Any]]:
    """The claims of a reply that left; those of a reply that did not never count."""
    reply, finished = closed.reply, closed.finished
    if reply is None or reply.origin is not ResponseOrigin.VERIFIED or finished is None or not finished.verification:
        return []
    verification, draft = finished.verification, finished.draft
    common = {
        "turn_id": closed.turn.id,
        "epoch": closed.turn.epoch,
        "agent": closed.turn.agent,
        "claims": len(verification.claims),
        "mode": str(draft.mode if draft else ReasoningMode.ARQ),
        "arm": closed.turn.arm,
        "corrects": verification.corrects,
        "playbook_version": closed.turn.playbook_version,
        "model": draft.spent.model if draft else "",
    }
    return [common | _claim(claim, with_text=closed.records_claim_texts) for claim in verification.claims]


def _claim(claim: ClaimVerdict, *, with_text: bool) -> dict[str, Any]:
    return {
        "position": claim.position,
        "kind": str(claim.kind),
        "draft_verdict": str(claim.draft_verdict),
        "final_verdict": str(claim.final_verdict),
        "correction": str(claim.correction),
        "judge": str(claim.judge),
        "text": claim.text if with_text else "",
    }


def _turn(address: Address, turn: OpenTurn) -> dict[str, Any]:
    return {
        "id": turn.id,
        "tenant": address.tenant,
        "conversation": address.conversation,
        "epoch": turn.epoch,
        "leg": turn.leg,
        "agent": turn.agent,
        "playbook_version": turn.playbook_version,
        "opened_at": at(turn.opened_ms),
        "deadline": at(turn.deadline_ms),
        "arm": turn.arm,
    }


def _mark(received_ms: int, finished_ms: int) -> dict[str, Any]:
    return {"stage": SERVICE, "received_ms": received_ms, "finished_ms": finished_ms}


def _opening_mark(turn: OpenTurn) -> dict[str, Any]:
    return _mark(turn.accepted_ms, turn.opened_ms)


def _marks(closed: Closed) -> list[Any]:
    """The way of the turn: the ledger's own opening first, the stages', the ledger's closing last."""
    stages = closed.finished.marks if closed.finished else ()
    opening = () if stages and stages[0].stage == SERVICE else (_opening_mark(closed.turn),)
    return [*opening, *stages, _mark(closed.closed_ms, closed.closed_ms)]


def _headers(step: Step, turn: OpenTurn, event_type: str, *parts: int) -> Headers:
    envelope = Envelope(
        id=derived_id(turn.id, event_type, *parts),
        source=source_of(step.address.tenant, SERVICE),
        type=event_type,
        time=at(step.now_ms),
        subject=step.address.conversation,
        data=None,
        correlation_id=turn.id,
        causation_id=step.cause,
        traceparent=step.traceparent,
    )
    return headers_of(envelope)
