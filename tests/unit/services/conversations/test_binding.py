"""
An approval holds for the tool as it was declared and the arguments as they were, when the person saw them.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.conversations.domain.binding import digest_of
from services.conversations.domain.calls import DECISION_BYTES_RESERVED
from services.conversations.stage import ConversationLedger
from shared.errors import Invalid
from shared.events.conversation import ApprovalGiven
from shared.events.tools import ToolCall, ToolResult, ToolStatus
from shared.events.topics import CONVERSATION_DECISIONS, CONVERSATION_EVENTS
from shared.events.turns import FinishResult, Matching
from shared.playbook.tools import Tool

HTTP = {"url": "https://bank.example/lend", "method": "POST"}
LEND = {"id": "lend", "description": "Lends money", "http": HTTP, "consequential": True, "approval": True}
CARD = {"id": "card", "description": "Sends a card", "http": HTTP, "consequential": True}
ELSEWHERE = LEND | {"http": HTTP | {"url": "https://evil.example/lend"}}


def call(call_id="k-1", tool="lend", **arguments):
    return ToolCall(id=call_id, tool=tool, arguments=arguments or {"amount": 50})


def pause(w, **fields):
    return w.finish(None, FinishResult.PAUSED, matching=Matching(active=()), **fields)


@pytest.fixture
def asked(world):
    """A conversation that waits for the approval of `k-1`."""
    w = world(playbook={"tools": (LEND, CARD)})
    w.post("lend me 50")
    pause(w, calls=[call()])
    return w


def approve(w, *, digest=None, topic=CONVERSATION_DECISIONS, granted=True, **fields):
    digest = w.asked[-1].digest if digest is None else digest
    body = ApprovalGiven(approval_id="k-1", granted=granted, digest=digest, by="Ada", reason="Known payee.", **fields)
    return w.event("approval.given", body, topic=topic)


def grants(w):
    return [grant.call.id for grant in w.opened[-1].grants]


CHANGES = {
    "another endpoint": ELSEWHERE,
    "another description": LEND | {"description": "Lends money at 20 %"},
    "another header": LEND | {"http": HTTP | {"headers": {"x-account": "other"}}},
    "another parameter": LEND | {"parameters": ({"name": "amount", "type": "integer"},)},
    "no approval any more": LEND | {"approval": False},
}


@pytest.mark.parametrize("tool", CHANGES.values(), ids=CHANGES)
def test_a_tool_declared_anew_before_the_decision_is_not_called_and_asked_for_again(asked, tool):
    asked.publish(tools=(tool, CARD))
    approve(asked)

    assert grants(asked) == []
    assert asked.opened[-1].covers == asked.opened[0].covers, "the message is answered anew"
    assert asked.note("approval_lapsed") == 1
    assert asked.state.calls == ()


def test_what_is_asked_for_again_is_asked_under_the_new_declaration(asked):
    asked.publish(tools=(ELSEWHERE, CARD))
    approve(asked)
    pause(asked, calls=[call("k-2")])

    first, second = asked.asked
    assert (second.approval_id, second.arguments) == ("k-2", first.arguments)
    assert second.digest != first.digest
    assert second.digest == digest_of(Tool.model_validate(ELSEWHERE), {"amount": 50})


def test_a_tool_that_is_gone_is_not_called(asked):
    asked.publish(tools=(CARD,))
    approve(asked)

    assert (grants(asked), asked.state.calls) == ([], ())


def test_a_new_version_that_declares_the_tool_alike_makes_the_call(asked):
    asked.publish(tools=(CARD, LEND), limits={"window_messages": 7})
    approve(asked)

    assert grants(asked) == ["k-1"]


def test_a_turn_under_another_declaration_does_not_carry_what_was_allowed(asked):
    asked.publish(tools=(ELSEWHERE, CARD))
    asked.post("and a card")
    approve(asked)
    pause(asked, calls=[call("k-2", "card")])
    assert grants(asked) == ["k-2"]
    pause(asked, results=[done(asked, call("k-2", "card"))])
    asked.finish()

    assert grants(asked) == []
    assert asked.opened[-1].covers == asked.opened[0].covers
    assert asked.note("approval_lapsed") == 1


def test_a_call_that_is_held_back_keeps_no_turn_going(asked):
    asked.publish(tools=(ELSEWHERE, CARD))
    asked.post("and 70")
    approve(asked)
    pause(asked, calls=[call("k-2", amount=70)])

    assert asked.closed[-1].reason == "approval_requested"
    assert grants(asked) == []


def test_the_same_wish_under_another_declaration_is_asked_about_anew(asked):
    asked.publish(tools=(ELSEWHERE, CARD))
    asked.post("well?")
    pause(asked, calls=[call("k-2")])

    assert [request.approval_id for request in asked.asked] == ["k-1", "k-2"]
    assert [kept.id for kept in asked.state.calls] == ["k-2"]
    asked.event(
        "approval.given",
        ApprovalGiven(approval_id="k-1", granted=True, digest=asked.asked[0].digest),
        topic=CONVERSATION_DECISIONS,
    )
    assert asked.note("unknown_approval") == 1


def done(w, called, status=ToolStatus.DONE):
    return ToolResult(call=called, status=status, data="done", at=w.opened[-1].turn.opened_at)


# -- what the person saw ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", ["", "0" * 64], ids=["none", "another"])
def test_what_is_allowed_without_its_digest_still_waits(asked, digest):
    with pytest.raises(Invalid) as refused:
        approve(asked, digest=digest)

    assert refused.value.reason == "approval_mismatch"
    assert "`digest`" in str(refused.value)
    assert len(asked.opened) == 1
    approve(asked)
    assert grants(asked) == ["k-1"]


def test_to_refuse_no_digest_is_needed(asked):
    approve(asked, granted=False, digest="")

    assert asked.opened[-1].results[0].status is ToolStatus.REFUSED


def test_what_an_older_release_asked_is_allowed_without(asked):
    forget(asked, "digest")
    approve(asked, digest="")

    assert grants(asked) == ["k-1"]


def test_a_digest_that_an_older_release_dropped_from_the_state_is_found_again(asked):
    forget(asked, "digest")
    with pytest.raises(Invalid):
        approve(asked, digest="0" * 64)
    approve(asked)

    assert grants(asked) == ["k-1"]


def test_what_an_older_release_asked_lapses_all_the_same(asked):
    forget(asked, "digest")
    asked.publish(tools=(ELSEWHERE, CARD))
    approve(asked, digest="")

    assert grants(asked) == []


def test_an_older_approver_needs_no_digest_while_it_is_believed(asked):
    asked.ledger = ConversationLedger(
        asked.playbooks, asked.ledger._bounds, asked.ledger._metrics, approvals_from_events=True
    )
    approve(asked, digest="", topic=CONVERSATION_EVENTS)

    assert grants(asked) == ["k-1"]


def forget(w, field):
    """The state as an older release writes it, which does not know *field*."""
    head, *lines = w.data.split(b"\n")
    values = json.loads(head)
    for kept in values["calls"]:
        kept.pop(field, None)
    w.data = b"\n".join([json.dumps(values).encode(), *lines])


# -- the record ------------------------------------------------------------------------------------------------------


def told(closed):
    return [(one.tool, one.granted, one.by, one.reason, one.lapsed) for one in closed.decisions]


def test_who_decided_and_why_is_on_the_turn_that_follows(asked):
    approve(asked)
    pause(asked, results=[done(asked, call())])
    asked.finish()

    assert told(asked.closed[-1]) == [("lend", True, "Ada", "Known payee.", False)]
    assert asked.closed[-1].decisions[0].approval_id == "k-1"
    assert told(asked.closed[0]) == []


def test_a_refusal_is_on_record_too(asked):
    approve(asked, granted=False)
    asked.finish()

    assert told(asked.closed[-1]) == [("lend", False, "Ada", "Known payee.", False)]


def test_a_decision_that_lapsed_is_on_record_as_such(asked):
    asked.publish(tools=(ELSEWHERE, CARD))
    approve(asked)
    asked.finish()

    assert told(asked.closed[-1]) == [("lend", True, "Ada", "Known payee.", True)]


def test_in_manual_mode_people_find_what_was_decided(asked):
    asked.tell("conversation.mode_changed", mode="manual")
    approve(asked)

    assert (asked.closed[-1].outcome, told(asked.closed[-1])) == (
        "handed_off",
        [("lend", True, "Ada", "Known payee.", False)],
    )


@pytest.mark.parametrize("late", [False, True])
def test_a_call_of_unknown_outcome_names_who_allowed_it(asked, late):
    approve(asked)
    turn = asked.opened[-1].turn
    if late:
        asked.wake()
    asked.finish(turn, FinishResult.PAUSED, results=[done(asked, call(), ToolStatus.UNKNOWN)])

    assert asked.outcomes[-1] == ("handed_off", "tool_outcome_unknown")
    assert told(asked.closed[-1])[0][:3] == ("lend", True, "Ada")


def test_nobody_s_decision_is_nobody_s(asked):
    asked.wake()
    asked.finish()

    assert asked.closed[-1].decisions == ()


def test_a_long_reason_is_kept_as_far_as_there_is_room(asked):
    body = ApprovalGiven(
        approval_id="k-1", granted=True, digest=asked.asked[0].digest, by='"' * 128, reason="é\u202e" * 256
    )
    asked.event("approval.given", body, topic=CONVERSATION_DECISIONS)
    kept = asked.state.calls[0].decision

    assert len(json.dumps(kept, ensure_ascii=False).encode()) < DECISION_BYTES_RESERVED
    assert kept["reason"].strip("é") == ""
    assert kept["reason"].startswith("éééé")


# -- the digest ------------------------------------------------------------------------------------------------------

ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(arguments=st.dictionaries(st.text(), ARGUMENTS, max_size=4))
def test_the_order_of_arguments_does_not_count(arguments):
    tool = Tool.model_validate(LEND)

    assert digest_of(tool, arguments) == digest_of(tool, dict(reversed(arguments.items())))


@given(one=ARGUMENTS, other=ARGUMENTS)
def test_other_arguments_have_another_digest(one, other):
    tool = Tool.model_validate(LEND)
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (digest_of(tool, {"a": one}) == digest_of(tool, {"a": other})) is same


def test_a_default_that_is_written_out_is_the_same_declaration():
    assert digest_of(Tool.model_validate(LEND | {"parameters": ()}), {}) == digest_of(Tool.model_validate(LEND), {})
