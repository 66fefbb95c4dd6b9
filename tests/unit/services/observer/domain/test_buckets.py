"""Buckets: each record once, whatever is replayed."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.observer.domain.buckets import (
    LATENCY_SECONDS,
    MIXES,
    POSITION_BEYOND,
    BucketKey,
    position_label,
    with_claim,
    with_turn,
)
from shared.events.claims import ClaimJudged

VERDICTS = ("supported", "contradicted", "partial", "unsupported", "unchecked", "other")


def body(position, draft, final, correction):
    return ClaimJudged(
        turn_id="t",
        epoch=1,
        agent="bank",
        position=position,
        claims=99,
        kind="fact",
        draft_verdict=draft,
        final_verdict=final,
        correction=correction,
        judge="model",
        mode="arq",
        corrects=True,
        playbook_version="v",
        model="m",
    )


CLAIMS = st.builds(
    body,
    st.integers(1, 30),
    st.sampled_from(VERDICTS),
    st.sampled_from(VERDICTS),
    st.sampled_from(["none", "edited", "dropped"]),
)


@st.composite
def logs_with_restarts(draw):
    """A partition's records at rising offsets with gaps, and after which record a reader begins again at which."""
    claims = draw(st.lists(CLAIMS, min_size=1, max_size=25))
    gaps = draw(st.lists(st.integers(1, 4), min_size=len(claims), max_size=len(claims)))
    offsets = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    restarts = draw(st.lists(st.tuples(st.integers(0, len(claims) - 1), st.integers(0, 25)), max_size=6))
    return list(zip(offsets, claims, strict=True)), restarts


def readings(log, restarts):
    """What a reader sees that is killed behind record *at* and begins *back* records before it, and then reads on."""
    position = 0
    for at, back in restarts:
        if at >= position:
            yield from log[position : at + 1]
            position = max(0, at + 1 - back)
    yield from log[position:]


@given(logs_with_restarts())
def test_replays_change_nothing(case):
    """However often a reader is killed and begins again at an earlier offset, the bucket is a recount of the log."""
    log, restarts = case
    bucket = None
    for offset, claim in readings(log, restarts):
        counted = with_claim(bucket, offset, claim)
        # The changelog holds JSON: a restored bucket is what was written.
        bucket = json.loads(json.dumps(counted)) if counted is not None else bucket

    assert bucket["offset"] == log[-1][0]
    assert {name: Counter(bucket[name]) for name in MIXES} == {
        name: Counter(str(getattr(claim, name)) for _, claim in log) for name in MIXES
    }
    failing = {"contradicted", "partial", "unsupported"}
    for label, counts in bucket["positions"].items():
        here = [claim for _, claim in log if position_label(claim.position) == label]
        failed = [claim for claim in here if claim.draft_verdict in failing]
        mended = [c for c in failed if c.final_verdict == "supported" or c.correction == "dropped"]
        judged = [claim for claim in here if claim.draft_verdict in failing | {"supported"}]
        assert counts == [len(judged), len(failed), len(mended)]


@given(
    st.builds(BucketKey, st.sampled_from(["claims", "turns"]), st.integers(0, 999), st.integers(0, 2**33), st.text())
)
def test_a_key_is_read_as_it_was_written(key):
    assert BucketKey.parsed(key.text()) == key


@pytest.mark.parametrize(("position", "label"), [(1, "1"), (16, "16"), (17, POSITION_BEYOND), (500, POSITION_BEYOND)])
def test_positions_are_few(position, label):
    assert position_label(position) == label


@pytest.mark.parametrize(
    ("draft", "final", "correction", "counts"),
    [
        ("supported", "supported", "none", [1, 0, 0]),
        ("contradicted", "supported", "value_restored", [1, 1, 1]),
        ("unsupported", "unsupported", "dropped", [1, 1, 1]),
        ("partial", "partial", "none", [1, 1, 0]),
        ("unchecked", "unchecked", "none", [0, 0, 0]),
    ],
)
def test_what_counts_as_at_risk_failed_and_corrected(claim, draft, final, correction, counts):
    assert with_claim(None, 7, claim(3, draft, final, correction))["positions"] == {"3": counts}


def test_a_turn_counts_once_with_its_wait(turn):
    bucket = with_turn(None, 5, turn("answered", waited_seconds=2.0))
    assert with_turn(bucket, 5, turn("answered")) is None
    bucket = with_turn(bucket, 9, turn("no_reply", responded=False))

    assert bucket["outcomes"] == {"answered": 1, "no_reply": 1}
    assert bucket["waits"] == [1 if bound == 2.5 else 0 for bound in LATENCY_SECONDS] + [0]
    assert bucket["wait_seconds"] == pytest.approx(2.0)


@pytest.mark.parametrize("marked", [True, False])
def test_a_wait_longer_than_the_last_bound_has_its_place(turn, marked):
    bucket = with_turn(None, 0, turn(waited_seconds=1_000.0, marked=marked))

    assert bucket["waits"][-1] == 1
    assert bucket["wait_seconds"] == pytest.approx(1_000.0)
