"""
One-minute buckets of judged claims and closed turns, exact under replays.

A bucket belongs to one partition of one topic and holds the offset of the record that it counted last. Kafka hands a
partition's records out in offset order, and a reader that was killed begins again at an earlier offset; a record whose
offset the bucket has passed is therefore one that it holds already. Count and offset are one value, written to the
changelog as one record, so that no crash can part them. What a bucket holds is JSON, as the table's changelog is.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from shared.events.claims import ClaimJudged, Correction, Verdict
from shared.events.turns import TurnClosed

Bucket = dict[str, Any]
"""
Of claims: `offset`, `positions` {position: [at risk, failed, corrected]}, and of `draft_verdict`, `final_verdict`,
`correction`, `judge` and `kind` how many had which value. Of turns: `offset`, `outcomes` {outcome: turns}, `waits`
[customers' waits by LATENCY_SECONDS], `wait_seconds` their sum.
"""
Kind = Literal["claims", "turns"]

MINUTE_SECONDS: Final = 60
POSITIONS_MAX: Final = 16
"""Claims behind it are counted together."""
POSITION_BEYOND: Final = f"{POSITIONS_MAX + 1}+"
POSITIONS: Final = (*map(str, range(1, POSITIONS_MAX + 1)), POSITION_BEYOND)
LATENCY_SECONDS: Final = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0)
"""Upper bounds; one more bucket holds what took longer."""
MIXES: Final = ("draft_verdict", "final_verdict", "correction", "judge", "kind")

_FAILED = frozenset({Verdict.CONTRADICTED, Verdict.PARTIAL, Verdict.UNSUPPORTED})
_JUDGED = _FAILED | {Verdict.SUPPORTED}


@dataclass(frozen=True, slots=True)
class BucketKey:
    """Where a record is counted: `minute` is of the event's own time, in minutes since 1970."""

    kind: Kind
    partition: int
    minute: int
    arm: str

    def text(self) -> str:
        """The key as the table has it."""
        return f"{self.kind}/{self.partition}/{self.minute}/{self.arm}"

    @classmethod
    def parsed(cls, text: str) -> "BucketKey":
        """The inverse of `text`; an arm may hold anything."""
        kind, partition, minute, arm = text.split("/", 3)
        return cls("claims" if kind == "claims" else "turns", int(partition), int(minute), arm)


def minute_of(time: datetime) -> int:
    """The minute that *time* lies in, since 1970."""
    return int(time.timestamp()) // MINUTE_SECONDS


def position_label(position: int) -> str:
    """The bounded name of a claim's 1-based *position*; one that no claim has counts as beyond the last."""
    return str(position) if 1 <= position <= POSITIONS_MAX else POSITION_BEYOND


def with_claim(bucket: Bucket | None, offset: int, claim: ClaimJudged) -> Bucket | None:
    """
    *bucket* with the claim of the record at *offset*, or None if it is counted already.

    At risk is a claim that was judged at all; it failed if the draft's verdict is contradicted, partial or unsupported;
    a failed one is corrected if what was sent in its place is supported, or if it was dropped.
    """
    if bucket is not None and offset <= bucket["offset"]:
        return None
    failed = claim.draft_verdict in _FAILED
    corrected = failed and (claim.final_verdict is Verdict.SUPPORTED or claim.correction is Correction.DROPPED)
    positions = dict(bucket["positions"]) if bucket else {}
    label = position_label(claim.position)
    before = positions.get(label, [0, 0, 0])
    marks = (claim.draft_verdict in _JUDGED, failed, corrected)
    positions[label] = [count + mark for count, mark in zip(before, marks, strict=True)]
    mixes = {name: _one_more(bucket[name] if bucket else {}, str(getattr(claim, name))) for name in MIXES}
    return {"offset": offset, "positions": positions, **mixes}


def with_turn(bucket: Bucket | None, offset: int, turn: TurnClosed) -> Bucket | None:
    """
    *bucket* with the turn of the record at *offset*, or None if it is counted already.

    Waits are of turns that a response ended: from the oldest message to the end.
    """
    if bucket is not None and offset <= bucket["offset"]:
        return None
    waits = list(bucket["waits"]) if bucket else [0] * (len(LATENCY_SECONDS) + 1)
    total = bucket["wait_seconds"] if bucket else 0.0
    if turn.response_sha256:
        seconds = wait_seconds(turn)
        waits[bisect_left(LATENCY_SECONDS, seconds)] += 1
        total += seconds
    outcomes = _one_more(bucket["outcomes"] if bucket else {}, str(turn.outcome))
    return {"offset": offset, "outcomes": outcomes, "waits": waits, "wait_seconds": total}


def wait_seconds(turn: TurnClosed) -> float:
    """From the acceptance of a turn's oldest message (its opening, where no mark tells) to its end."""
    if turn.marks:
        return max(0.0, turn.closed_at.timestamp() - turn.marks[0].received_ms / 1_000)
    return max(0.0, (turn.closed_at - turn.turn.opened_at) / timedelta(seconds=1))


def _one_more(counts: dict[str, int], name: str) -> dict[str, int]:
    return {**counts, name: counts.get(name, 0) + 1}
