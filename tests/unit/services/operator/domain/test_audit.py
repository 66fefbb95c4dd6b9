import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from services.operator.domain.audit import Auditor
from shared.events.claims import ClaimJudged, ClaimKind, Correction, Judge, ReasoningMode, Verdict
from shared.events.conversation import Author, MessagePosted, ResponseOrigin, ResponseSent
from shared.events.envelope import Address, Envelope
from shared.events.turns import Outcome, Turn, TurnClosed, Verification

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Address("acme", "c1")
TEXT = "It takes 1 day."
SHA = hashlib.sha256(TEXT.encode()).hexdigest()


def envelope(data, event_id="e"):
    return Envelope(id=event_id, source="/tenants/acme", type="x", time=NOW, subject=HERE.conversation, data=data)


def posted(event_id="m1"):
    return envelope(MessagePosted(agent="bank", author=Author.CUSTOMER, text="Hi"), event_id)


def turn(epoch):
    return Turn(
        id=f"t{epoch}",
        tenant="acme",
        conversation="c1",
        epoch=epoch,
        agent="bank",
        playbook_version="v",
        opened_at=NOW,
        deadline=NOW,
    )


def closed(epoch=1, *, covers=("m1",), outcome=Outcome.ANSWERED, sha=SHA, fallback="", passed=True):
    return envelope(
        TurnClosed(
            turn=turn(epoch),
            outcome=outcome,
            covers=covers,
            response_sha256=sha,
            fallback=fallback,
            closed_at=NOW,
            verification=Verification(passed=passed, verified_by=Judge.CODE),
        ),
    )


def sent(epoch=1, *, text=TEXT, sha=SHA, origin=ResponseOrigin.VERIFIED, fallback=""):
    return envelope(
        ResponseSent(
            turn_id=f"t{epoch}",
            epoch=epoch,
            agent="bank",
            text=text,
            text_sha256=sha,
            origin=origin,
            fallback=fallback,
            in_reply_to=("m1",),
        ),
    )


def claim(epoch=1, position=1):
    return envelope(
        ClaimJudged(
            turn_id=f"t{epoch}",
            epoch=epoch,
            agent="bank",
            position=position,
            claims=1,
            kind=ClaimKind.FACT,
            draft_verdict=Verdict.SUPPORTED,
            final_verdict=Verdict.SUPPORTED,
            correction=Correction.NONE,
            judge=Judge.CODE,
            mode=ReasoningMode.ARQ,
            corrects=True,
            playbook_version="v",
            model="m",
        ),
    )


@pytest.fixture
def auditor():
    """An auditor that has seen one message, its verified response, its closing and its claim."""
    auditor = Auditor()
    auditor.message(HERE, posted())
    auditor.response(HERE, sent())
    auditor.closing(HERE, closed())
    auditor.claim(claim())
    return auditor


def test_a_message_answered_once_breaks_nothing(auditor):
    report = auditor.report()

    assert report.passed
    assert (report.messages, report.turns, report.responses, report.claims) == (1, 1, 1, 1)


BREACHES: dict[str, Callable[[Auditor], object]] = {
    "message without an outcome": lambda a: a.message(HERE, posted("m2")),
    "turn closed twice": lambda a: a.closing(HERE, closed()),
    "turn answered twice": lambda a: a.response(HERE, sent()),
    "claim judged twice": lambda a: a.claim(claim()),
    "response without its closed turn": lambda a: a.response(HERE, sent(2)),
    "closed turn without its response": lambda a: a.closing(HERE, closed(2)),
    "claim without its accepted reply": lambda a: a.claim(claim(7)),
    "response text does not match its hash": lambda a: (
        a.response(HERE, sent(2, text="x")),
        a.closing(HERE, closed(2)),
    ),
    "response order inverted": lambda a: (
        a.response(HERE, sent(3)),
        a.response(HERE, sent(2)),
        a.closing(HERE, closed(2)),
        a.closing(HERE, closed(3)),
    ),
    "closing order inverted": lambda a: (
        a.closing(HERE, closed(3, outcome=Outcome.SUPERSEDED, sha="")),
        a.closing(HERE, closed(2, outcome=Outcome.SUPERSEDED, sha="")),
    ),
}


@pytest.mark.parametrize("invariant", BREACHES)
def test_each_breach_is_found_and_named(auditor, invariant):
    BREACHES[invariant](auditor)

    assert [invariant] == [finding.invariant for finding in auditor.report().findings]


def test_a_response_of_a_superseded_turn_is_a_breach(auditor):
    auditor.response(HERE, sent(2))
    auditor.closing(HERE, closed(2, outcome=Outcome.SUPERSEDED))

    assert [finding.invariant for finding in auditor.report().findings] == ["response without its closed turn"]


def test_text_that_failed_verification_is_a_breach(auditor):
    auditor.response(HERE, sent(2))
    auditor.closing(HERE, closed(2, passed=False))

    assert [finding.invariant for finding in auditor.report().findings] == ["response without its closed turn"]


def test_a_named_fallback_may_leave_without_verification(auditor):
    auditor.response(HERE, sent(2, origin=ResponseOrigin.FALLBACK, fallback="failed"))
    auditor.closing(HERE, closed(2, fallback="failed", passed=False))

    assert auditor.report().passed


def test_a_message_of_a_conversation_in_quarantine_is_held_and_not_lost(auditor):
    auditor.message(HERE, posted("m2"))
    auditor.set_apart([HERE])

    report = auditor.report()
    assert report.passed
    assert report.quarantined == 1


def test_a_message_of_another_conversation_is_lost_all_the_same(auditor):
    auditor.message(HERE, posted("m2"))
    auditor.set_apart([Address("acme", "another")])

    assert not auditor.report().passed
