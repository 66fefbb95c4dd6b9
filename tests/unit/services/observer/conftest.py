"""Bodies that the observer counts."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.events.claims import ClaimJudged, Correction, Verdict
from shared.events.turns import Mark, Outcome, Turn, TurnClosed

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_claim(position=1, draft="supported", final="supported", correction="none"):
    return ClaimJudged.model_validate(
        {
            "turn_id": "t",
            "epoch": 1,
            "agent": "bank",
            "position": position,
            "claims": 99,
            "kind": "fact",
            "draft_verdict": Verdict(draft),
            "final_verdict": Verdict(final),
            "correction": Correction(correction),
            "judge": "code",
            "mode": "arq",
            "corrects": True,
            "playbook_version": "v1",
            "model": "m",
        }
    )


def make_turn(outcome="answered", *, waited_seconds=2.0, responded=True, reason="", number=1, marked=True):
    opened = NOW - timedelta(seconds=waited_seconds)
    accepted = int(opened.timestamp() * 1_000)
    return TurnClosed(
        turn=Turn(
            id=f"t{number}",
            tenant="acme",
            conversation="c",
            epoch=number,
            agent="bank",
            playbook_version="v1",
            opened_at=opened,
            deadline=NOW,
        ),
        outcome=Outcome(outcome),
        reason=reason,
        covers=("m",),
        response_sha256="aa" if responded else "",
        closed_at=NOW,
        marks=(Mark(stage="conversations", received_ms=accepted, finished_ms=accepted),) if marked else (),
    )


@pytest.fixture(name="claim")
def claim_fixture():
    return make_claim


@pytest.fixture(name="turn")
def turn_fixture():
    return make_turn


@pytest.fixture
def now():
    return NOW
