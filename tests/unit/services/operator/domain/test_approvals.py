"""What waits for approval, as an operator sees it."""

from datetime import UTC, datetime, timedelta

from services.operator.domain.approvals import Approvals
from shared.events.conversation import ApprovalGiven, ApprovalRequested, ConversationErased
from shared.events.envelope import Address

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ONE, OTHER = Address("acme", "c-1"), Address("globex", "c-1")


def asked(name, *, minutes=60):
    return ApprovalRequested(
        approval_id=name, turn_id="t", agent="desk", tool="lend", expires_at=NOW + timedelta(minutes=minutes)
    )


def names(approvals, **options):
    return [request.asked.approval_id for request in approvals.waiting(NOW, **options)]


def test_the_soonest_to_expire_comes_first_and_tenants_are_kept_apart():
    approvals = Approvals()
    approvals.take(ONE, asked("late", minutes=90), NOW)
    approvals.take(OTHER, asked("soon", minutes=30), NOW)
    assert names(approvals) == ["soon", "late"]
    assert names(approvals, tenant="acme") == ["late"]


def test_what_is_decided_or_expired_does_not_wait_whichever_was_read_first():
    approvals = Approvals()
    approvals.take(ONE, ApprovalGiven(approval_id="given", granted=False), NOW)
    approvals.take(ONE, asked("given"), NOW)
    approvals.take(ONE, asked("over", minutes=0), NOW)
    assert names(approvals) == []


def test_what_allows_another_call_than_was_asked_for_decides_nothing():
    approvals = Approvals()
    approvals.take(ONE, asked("a").model_copy(update={"digest": "d"}), NOW)
    approvals.take(ONE, ApprovalGiven(approval_id="a", granted=True, digest="other"), NOW)
    assert (names(approvals), approvals.decision("a")) == (["a"], None)
    given = ApprovalGiven(approval_id="a", granted=True, digest="d", by="Ada")
    approvals.take(ONE, given, NOW)
    assert (names(approvals), approvals.decision("a")) == ([], given)


def test_a_refusal_counts_without_a_digest_and_so_does_what_was_asked_without_one():
    approvals = Approvals()
    approvals.take(ONE, asked("a").model_copy(update={"digest": "d"}), NOW)
    approvals.take(ONE, ApprovalGiven(approval_id="a", granted=False), NOW)
    approvals.take(ONE, asked("b"), NOW)
    approvals.take(ONE, ApprovalGiven(approval_id="b", granted=True), NOW)
    assert (names(approvals), approvals.decision("nobody-asked")) == ([], None)


def test_another_conversations_decision_is_none():
    approvals = Approvals()
    approvals.take(ONE, asked("a"), NOW)
    approvals.take(OTHER, ApprovalGiven(approval_id="a", granted=True), NOW)
    assert names(approvals) == ["a"]


def test_an_erased_conversations_requests_are_gone_and_later_ones_are_not():
    approvals = Approvals()
    approvals.take(ONE, asked("before"), NOW)
    approvals.take(ONE, ConversationErased(), NOW + timedelta(minutes=1))
    approvals.take(ONE, asked("after"), NOW + timedelta(minutes=2))
    assert names(approvals) == ["after"]
