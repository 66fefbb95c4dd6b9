"""
What a step made known, as the records that leave: topic, headers, value.

Ids are derived from the turn, so that a repeated step writes the same bytes again.
"""

from typing import Any, NamedTuple

from services.conversations.domain.effects import Closed, Note, Opened, Reply
from services.conversations.domain.instants import at
from services.conversations.domain.state import OpenTurn
from services.conversations.domain.step import Step
from shared.events import topics
from shared.events.base import Body
from shared.events.claims import ClaimJudged, ReasoningMode
from shared.events.codec import Headers, headers_of, source_of
from shared.events.conversation import ResponseOrigin, ResponseSent
from shared.events.envelope import Address, Envelope, derived_id
from shared.events.turns import (
    Applied,
    ClaimVerdict,
    Draft,
    JourneyPosition,
    Mark,
    Turn,
    TurnClosed,
    TurnOpened,
    Verification,
)

SERVICE = "conversations"
RECORD_BYTES_MAX = 1_000_000
"""Of a value, below the brokers' 1,048,576 with room for key, headers and the batch's own bytes."""
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
        else:
            written += _closed(step, effect)
    return written


def _opened(step: Step, opened: Opened) -> Emission:
    turn = opened.turn
    body = TurnOpened.model_construct(
        turn=_turn(step.address, turn),
        covers=turn.covers,
        transcript=(),
        omitted=opened.transcript.omitted,
        applied={name: Applied(count=count, epoch=epoch) for name, (count, epoch) in opened.applied.items()},
        journeys={name: JourneyPosition(path=path) for name, path in opened.journeys.items()},
        variables=opened.variables,
        customer_name=opened.customer_name,
        marks=(_opening_mark(turn),),
    )
    # The messages were encoded when they were posted. The replaced bytes occur once: within a string the quotes are
    # escaped.
    transcript = b'"transcript":[%b]' % b",".join([entry.utterance for entry in opened.transcript.entries])
    value = body.model_dump_json(exclude_defaults=True).encode().replace(_NO_TRANSCRIPT, transcript, 1)
    return Emission(topics.TURNS_OPENED, _headers(step, turn, "turn.opened", turn.leg), value)


def _closed(step: Step, closed: Closed) -> list[Emission]:
    written = []
    if closed.reply is not None:
        response = _response(closed.turn, closed.reply)
        written.append(_emission(step, closed.turn, topics.CONVERSATION_RESPONSES, "response.sent", response))
    written.append(_closing(step, closed))
    written += [
        _emission(step, closed.turn, topics.CLAIMS_JUDGED, "claim.judged", claim, number)
        for number, claim in enumerate(_claims(closed), start=1)
    ]
    return written


def _response(turn: OpenTurn, reply: Reply) -> ResponseSent:
    return ResponseSent.model_construct(
        turn_id=turn.id,
        epoch=turn.epoch,
        agent=turn.agent,
        text=reply.text,
        text_sha256=reply.sha256,
        origin=reply.origin,
        fallback=reply.fallback,
        in_reply_to=turn.covers,
    )


def _closing(step: Step, closed: Closed) -> Emission:
    """`turn.closed`; one that no record would hold leaves without the stages' parts: the outcome matters more."""
    record = _emission(step, closed.turn, topics.TURNS_CLOSED, "turn.closed", _closing_body(step, closed))
    if len(record.value) <= RECORD_BYTES_MAX:
        return record
    step.notes.append(Note.RECORD_TRIMMED)
    bare = _closing_body(step, closed).model_copy(update={"matching": None, "draft": None, "verification": None})
    return _emission(step, closed.turn, topics.TURNS_CLOSED, "turn.closed", bare)


def _closing_body(step: Step, closed: Closed) -> TurnClosed:
    turn, reply, finished = closed.turn, closed.reply, closed.finished
    return TurnClosed.model_construct(
        turn=_turn(step.address, turn),
        outcome=closed.outcome,
        reason=closed.reason,
        covers=turn.covers,
        mode=closed.mode,
        response_sha256=reply.sha256 if reply else "",
        fallback=reply.fallback if reply else "",
        closed_at=at(closed.closed_ms),
        matching=finished.matching if finished else None,
        draft=finished.draft if finished else None,
        verification=finished.verification if finished else None,
        marks=_marks(closed),
    )


def _claims(closed: Closed) -> list[ClaimJudged]:
    """The claims of a reply that left; those of a reply that did not never count."""
    finished, reply = closed.finished, closed.reply
    if (
        finished is None
        or finished.verification is None
        or reply is None
        or reply.origin is not ResponseOrigin.VERIFIED
    ):
        return []
    return [_claim(closed, claim, finished.verification, finished.draft) for claim in finished.verification.claims]


def _claim(closed: Closed, claim: ClaimVerdict, verification: Verification, draft: Draft | None) -> ClaimJudged:
    turn = closed.turn
    return ClaimJudged.model_construct(
        turn_id=turn.id,
        epoch=turn.epoch,
        agent=turn.agent,
        position=claim.position,
        claims=len(verification.claims),
        kind=claim.kind,
        draft_verdict=claim.draft_verdict,
        final_verdict=claim.final_verdict,
        correction=claim.correction,
        judge=claim.judge,
        mode=draft.mode if draft else ReasoningMode.ARQ,
        arm=turn.arm,
        corrects=verification.corrects,
        playbook_version=turn.playbook_version,
        model=draft.spent.model if draft else "",
        text=claim.text if closed.records_claim_texts else "",
    )


def _turn(address: Address, turn: OpenTurn) -> Turn:
    return Turn.model_construct(
        id=turn.id,
        tenant=address.tenant,
        conversation=address.conversation,
        epoch=turn.epoch,
        leg=turn.leg,
        agent=turn.agent,
        playbook_version=turn.playbook_version,
        opened_at=at(turn.opened_ms),
        deadline=at(turn.deadline_ms),
        arm=turn.arm,
    )


def _opening_mark(turn: OpenTurn) -> Mark:
    return Mark.model_construct(stage=SERVICE, received_ms=turn.accepted_ms, finished_ms=turn.opened_ms)


def _marks(closed: Closed) -> tuple[Mark, ...]:
    """The way of the turn: the ledger's own opening first, the stages', the ledger's closing last."""
    stages = closed.finished.marks if closed.finished else ()
    if not stages or stages[0].stage != SERVICE:
        stages = (_opening_mark(closed.turn), *stages)
    return (*stages, Mark.model_construct(stage=SERVICE, received_ms=closed.closed_ms, finished_ms=closed.closed_ms))


def _emission(step: Step, turn: OpenTurn, topic: str, event_type: str, body: Body, number: int = 1) -> Emission:
    headers = _headers(step, turn, event_type, number)
    return Emission(topic, headers, body.model_dump_json(exclude_defaults=True).encode())


def _headers(step: Step, turn: OpenTurn, event_type: str, number: int) -> Headers:
    envelope: Envelope[Any] = Envelope(
        id=derived_id(turn.id, event_type, number),
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
