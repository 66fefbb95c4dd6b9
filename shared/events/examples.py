"""
One example of every event: a customer of a bank asks about a transfer and is answered.

They stand in the documents, and the golden files of the contract are made of them.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from shared.events import claims, conversation, release, turns
from shared.events.base import Body
from shared.events.codec import source_of
from shared.events.envelope import Envelope, derived_id
from shared.events.verified import TurnVerified

_TENANT: Final = "acme"
_CONVERSATION: Final = "chat-2041"
_AGENT: Final = "bank"
_POSTED_AT: Final = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
_POSTED_ID: Final = "5f0c8a52-6f8e-4c3e-9d51-2a1f3f0f7c11"
_TURN_ID: Final = derived_id("turn", _TENANT, _CONVERSATION, 1)
_QUESTION: Final = "How long does a transfer to Norway take?"
_REPLY: Final = "A transfer to Norway takes 2 working days. Shall I set one up?"
_REPLY_SHA256: Final = sha256(_REPLY.encode()).hexdigest()
_MODEL: Final = "gpt-4.1-mini"
_PLAYBOOK: Final = "sha256:9a3b1c5d7e9f"
_FACT: Final = "Transfers within the EEA arrive after 2 working days."

_TURN: Final = turns.Turn(
    id=_TURN_ID,
    tenant=_TENANT,
    conversation=_CONVERSATION,
    epoch=1,
    agent=_AGENT,
    playbook_version=_PLAYBOOK,
    opened_at=_POSTED_AT + timedelta(milliseconds=120),
    deadline=_POSTED_AT + timedelta(seconds=30),
)
_OPENED: Final = turns.TurnOpened(
    turn=_TURN,
    covers=(_POSTED_ID,),
    transcript=(turns.Utterance(id=_POSTED_ID, author=conversation.Author.CUSTOMER, text=_QUESTION, at=_POSTED_AT),),
    variables={"account_kind": "student"},
    customer_name="Ada",
)
_MATCHING: Final = turns.Matching(
    active=("offer-transfer",),
    matches=(
        turns.Match(
            guideline_id="offer-transfer",
            evidence="The customer asks how long a transfer takes.",
            verdict=turns.MatchVerdict.APPLIES,
        ),
    ),
    resolutions=(turns.Resolution(guideline_id="offer-transfer", active=True, reason="matched"),),
    candidates=12,
    spent=turns.Spent(calls=1, input_tokens=1_840, output_tokens=96, model=_MODEL),
)
_DRAFT: Final = turns.Draft(
    mode=claims.ReasoningMode.ARQ,
    segments=(
        turns.Segment(
            kind=turns.SegmentKind.CLAIM,
            text="A transfer to Norway takes 3 working days.",
            claim_kind=claims.ClaimKind.NUMBER,
            fact_ids=("eea-transfers",),
            value="3",
            open_question="How many working days does a transfer to Norway take?",
        ),
        turns.Segment(kind=turns.SegmentKind.QUESTION, text="Shall I set one up?"),
    ),
    facts=(turns.FactRecord(id="eea-transfers", text=_FACT, source="playbook"),),
    restated=(turns.Restated(guideline_id="offer-transfer", text="offer to set the transfer up"),),
    spent=turns.Spent(calls=1, input_tokens=2_210, output_tokens=180, model=_MODEL),
)
_VERIFICATION: Final = turns.Verification(
    passed=True,
    verified_by=claims.Judge.CODE,
    claims=(
        turns.ClaimVerdict(
            position=1,
            kind=claims.ClaimKind.NUMBER,
            text="A transfer to Norway takes 2 working days.",
            draft_verdict=claims.Verdict.CONTRADICTED,
            final_verdict=claims.Verdict.SUPPORTED,
            correction=claims.Correction.VALUE_RESTORED,
            judge=claims.Judge.CODE,
            reason="the source says 2",
        ),
    ),
    adherence=(
        turns.Adherence(
            guideline_id="offer-transfer",
            evidence="Shall I set one up?",
            verdict=turns.GuidelineVerdict.PERFORMED,
        ),
    ),
    rounds=1,
    draft_sha256=sha256(_DRAFT.text.encode()).hexdigest(),
)
_MARKS: Final = (
    turns.Mark(stage="matcher", received_ms=1_777_887_000_150, finished_ms=1_777_887_000_950),
    turns.Mark(stage="reasoner", received_ms=1_777_887_000_960, finished_ms=1_777_887_002_410),
    turns.Mark(stage="verifier", received_ms=1_777_887_002_420, finished_ms=1_777_887_003_020),
)

_BODIES: Final[dict[str, Body]] = {
    "message.posted": conversation.MessagePosted(
        agent=_AGENT,
        author=conversation.Author.CUSTOMER,
        text=_QUESTION,
        sequence=1,
        customer_id="cust-77",
        customer_name="Ada",
    ),
    "conversation.mode_changed": conversation.ModeChanged(
        mode=conversation.Mode.MANUAL, reason="A colleague takes over."
    ),
    "variable.set": conversation.VariableSet(name="account_kind", value="student"),
    "approval.given": conversation.ApprovalGiven(
        approval_id="ap-9", granted=True, by="m.keller", reason="Known payee."
    ),
    "conversation.closed": conversation.ConversationClosed(reason="The customer left."),
    "conversation.erased": conversation.ConversationErased(reason="Asked for by the customer."),
    "turn.opened": _OPENED,
    "turn.matched": turns.TurnMatched(opened=_OPENED, matching=_MATCHING, marks=_MARKS[:1]),
    "turn.drafted": turns.TurnDrafted(opened=_OPENED, matching=_MATCHING, draft=_DRAFT, marks=_MARKS[:2]),
    "turn.finished": turns.TurnFinished(
        turn=_TURN,
        stage="reasoner",
        result=turns.FinishResult.SILENT,
        reason="nothing_to_say",
        matching=_MATCHING,
        draft=_DRAFT,
        marks=_MARKS[:2],
    ),
    "turn.verified": TurnVerified(
        turn=_TURN,
        stage="verifier",
        result=turns.FinishResult.VERIFIED,
        text=_REPLY,
        text_sha256=_REPLY_SHA256,
        matching=_MATCHING,
        draft=_DRAFT,
        verification=_VERIFICATION,
        marks=_MARKS,
    ),
    "response.sent": conversation.ResponseSent(
        turn_id=_TURN_ID,
        epoch=1,
        agent=_AGENT,
        text=_REPLY,
        text_sha256=_REPLY_SHA256,
        origin=conversation.ResponseOrigin.VERIFIED,
        in_reply_to=(_POSTED_ID,),
    ),
    "turn.closed": turns.TurnClosed(
        turn=_TURN,
        outcome=turns.Outcome.ANSWERED,
        covers=(_POSTED_ID,),
        response_sha256=_REPLY_SHA256,
        closed_at=_POSTED_AT + timedelta(seconds=3, milliseconds=140),
        matching=_MATCHING,
        draft=_DRAFT,
        verification=_VERIFICATION,
        marks=_MARKS,
    ),
    "acknowledgement.sent": conversation.AcknowledgementSent(
        turn_id=_TURN_ID,
        epoch=1,
        agent=_AGENT,
        text="One moment, I am looking into it.",
        in_reply_to=(_POSTED_ID,),
    ),
    release.RELEASED: release.ConversationReleased(
        quarantine=derived_id("quarantine", _TENANT, _CONVERSATION), by="ada", reason="the release of today reads it"
    ),
    "approval.requested": conversation.ApprovalRequested(
        approval_id=derived_id(_TURN_ID, "order-transfer"),
        turn_id=_TURN_ID,
        agent=_AGENT,
        tool="order-transfer",
        description="Orders a transfer from the customer's account.",
        arguments={"amount": "120.00", "currency": "EUR", "recipient": "NO93 8601 1117 947"},
        expires_at=_POSTED_AT + timedelta(hours=1),
    ),
    "claim.judged": claims.ClaimJudged(
        turn_id=_TURN_ID,
        epoch=1,
        agent=_AGENT,
        position=1,
        claims=1,
        kind=claims.ClaimKind.NUMBER,
        draft_verdict=claims.Verdict.CONTRADICTED,
        final_verdict=claims.Verdict.SUPPORTED,
        correction=claims.Correction.VALUE_RESTORED,
        judge=claims.Judge.CODE,
        mode=claims.ReasoningMode.ARQ,
        corrects=True,
        playbook_version=_PLAYBOOK,
        model=_MODEL,
    ),
}
_OF_A_TURN: Final = ("turn.", "response.", "claim.", "approval.requested", "acknowledgement.")


def example(event_type: str) -> Envelope[Body]:
    """
    The example of *event_type*.

    Raises:
        KeyError: no such type.

    """
    ours = event_type.startswith(_OF_A_TURN)
    return Envelope(
        id=derived_id("example", event_type) if ours else _POSTED_ID,
        source=source_of(_TENANT, "conversations" if ours else ""),
        type=event_type,
        time=_POSTED_AT,
        subject=_CONVERSATION,
        data=_BODIES[event_type],
        correlation_id=_TURN_ID if ours else "",
        causation_id=_POSTED_ID if ours else "",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
