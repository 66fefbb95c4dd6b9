"""
Each topic is believed in what its writers decide, and in nothing else.
"""

import hashlib

import pytest

from services.conversations.stage import ConversationLedger
from shared.errors import Invalid
from shared.events.claims import Judge
from shared.events.conversation import ApprovalGiven
from shared.events.tools import Claim, ToolCall, ToolResult, ToolStatus
from shared.events.topics import (
    CONVERSATION_DECISIONS,
    CONVERSATION_EVENTS,
    TOPICS,
    TURNS_FINISHED,
    TURNS_VERIFIED,
    tenant_topic,
)
from shared.events.turns import FinishResult, TurnFinished, Verification
from shared.events.verified import TurnVerified

TEXT = "Your account is closed."
CALL = ToolCall(id="k-1", tool="refund")
PASSED = Verification(passed=True, verified_by=Judge.CODE)
VERIFIED = {
    "result": FinishResult.VERIFIED,
    "text": TEXT,
    "text_sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
    "verification": PASSED,
}


def ledger(w, **settings):
    w.ledger = ConversationLedger(w.playbooks, w.ledger._bounds, w.ledger._metrics, **settings)
    return w


@pytest.fixture
def open_turn(world):
    w = world()
    w.post()
    return w


def finish(w, topic, *, event_type="", result=FinishResult.FAILED, **fields):
    body = TurnFinished(turn=w.opened[-1].turn, stage="reasoner", result=result, **fields)
    return w.event(event_type or next(iter(TOPICS[topic].types)), body, topic=topic, source="reasoner")


def refused(act):
    with pytest.raises(Invalid) as error:
        act()
    return error.value.reason, str(error.value)


@pytest.mark.parametrize(
    "forged",
    [
        VERIFIED,
        VERIFIED | {"text": "", "text_sha256": "", "verification": None},
        VERIFIED | {"result": FinishResult.FAILED},
        {"result": FinishResult.SILENT, "text": TEXT},
        {"result": FinishResult.HAND_OFF, "verification": PASSED},
        {"result": FinishResult.PAUSED, "calls": (CALL,), "text_sha256": VERIFIED["text_sha256"]},
    ],
    ids=["whole", "the word alone", "a failure with a text", "silence with a text", "a verification", "a hash"],
)
def test_no_stage_before_the_verifier_vouches_for_a_text(open_turn, forged):
    reason, message = refused(lambda: finish(open_turn, TURNS_FINISHED, **forged))

    assert reason == "wrong_topic"
    assert "turns.verified" in message
    assert (open_turn.closed, open_turn.responses) == ([], [])


def test_the_verifiers_type_does_not_make_another_topic_the_verifiers(open_turn):
    reason, message = refused(lambda: finish(open_turn, TURNS_FINISHED, event_type="turn.verified", **VERIFIED))

    assert reason == "wrong_topic"
    assert "turns.verified alone" in message


def test_what_was_forged_leaves_the_turn_to_the_verifier(open_turn):
    refused(lambda: finish(open_turn, TURNS_FINISHED, **VERIFIED))
    finish(open_turn, TURNS_VERIFIED, **VERIFIED | {"text_sha256": VERIFIED["text_sha256"]})

    assert [sent.text for sent in open_turn.responses] == [TEXT]


@pytest.mark.parametrize("result", [FinishResult.SILENT, FinishResult.FAILED, FinishResult.HAND_OFF])
def test_a_stage_before_the_verifier_may_end_a_turn_without_a_text(open_turn, result):
    finish(open_turn, TURNS_FINISHED, result=result, reason="any")

    assert [closed.reason for closed in open_turn.closed] == ["any"]


@pytest.mark.parametrize(
    "asked",
    [
        {"result": FinishResult.PAUSED},
        {"result": FinishResult.SILENT},
        VERIFIED | {"calls": (CALL,)},
        VERIFIED | {"claims": (Claim(call_id="k-1", claimant="me"),)},
        {"results": (ToolResult(call=CALL, status=ToolStatus.DONE, at="2026-01-01T00:00:00Z"),)},
    ],
    ids=["a pause", "silence", "a call", "a claim", "a result of a call"],
)
def test_the_verifier_asks_for_no_call(open_turn, asked):
    assert refused(lambda: finish(open_turn, TURNS_VERIFIED, **asked))[0] == "wrong_topic"


def test_an_older_verifier_is_believed_while_the_setting_says_so(open_turn):
    ledger(open_turn, verified_from_finished=True)
    finish(open_turn, TURNS_FINISHED, **VERIFIED)

    assert [sent.text for sent in open_turn.responses] == [TEXT]
    assert open_turn.note("former_topic") == 1


def test_what_a_stage_still_says_where_it_did_is_no_former_topic(open_turn):
    ledger(open_turn, verified_from_finished=True)
    finish(open_turn, TURNS_FINISHED, result=FinishResult.SILENT)

    assert open_turn.note("former_topic") == 0


def approve(w, topic):
    return w.event("approval.given", ApprovalGiven(approval_id="k-1", granted=True, by="Mallory"), topic=topic)


@pytest.mark.parametrize("topic", [CONVERSATION_EVENTS, TURNS_FINISHED, TURNS_VERIFIED])
def test_nobody_decides_where_others_write(open_turn, topic):
    reason, message = refused(lambda: approve(open_turn, topic))

    assert reason == "wrong_topic"
    assert "conversation.decisions alone" in message


def test_customers_words_do_not_come_where_people_decide(open_turn):
    body = TOPICS[CONVERSATION_EVENTS].types["variable.set"](name="level", value="gold")

    assert refused(lambda: open_turn.event("variable.set", body, topic=CONVERSATION_DECISIONS))[0] == "wrong_topic"


def test_an_older_approver_is_believed_while_the_setting_says_so(open_turn):
    ledger(open_turn, approvals_from_events=True)
    approve(open_turn, CONVERSATION_EVENTS)

    assert open_turn.note("unknown_approval") == 1
    assert open_turn.note("former_topic") == 1


def test_a_tenant_apart_decides_on_its_own_topic_alone(open_turn):
    ledger(open_turn, tenants_apart=("bank",))
    approve(open_turn, tenant_topic("bank", CONVERSATION_DECISIONS))

    assert open_turn.note("unknown_approval") == 1
    for elsewhere in (CONVERSATION_DECISIONS, tenant_topic("acme", CONVERSATION_DECISIONS)):
        assert refused(lambda topic=elsewhere: approve(open_turn, topic))[0] == "tenant_mismatch"


def test_the_verifier_writes_what_the_ledger_takes(open_turn):
    body = TurnVerified(turn=open_turn.opened[-1].turn, stage="verifier", **VERIFIED)
    open_turn.event("turn.verified", body, topic=TURNS_VERIFIED, source="verifier")

    assert open_turn.outcomes == [("answered", "")]
