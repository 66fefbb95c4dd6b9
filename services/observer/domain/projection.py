"""
The last state of each conversation, as its closed turns tell it; without any text.
"""

from collections.abc import Iterable
from typing import Any, Final

from shared.events.turns import ClosedBy, TurnClosed

Projection = dict[str, Any]
"""JSON: `partition`, `offset` of the record applied last, `closed_at` (unix seconds), and what GET answers with."""

_INTERNAL: Final = frozenset({"partition", "offset"})


def with_turn(state: Projection | None, partition: int, offset: int, closed: TurnClosed) -> Projection | None:
    """
    *state* after the turn of the record at *offset*, or None if it is applied already (see buckets.py for why the
    offset tells). Of an erased conversation nothing is kept but that it is.

    Offsets of different partitions do not compare: a platform that partitions by a rule of its own may give a
    conversation two.
    """
    if state is not None and state["partition"] == partition and offset <= state["offset"]:
        return None
    base = {"partition": partition, "offset": offset, "closed_at": closed.closed_at.timestamp()}
    if closed.reason == ClosedBy.ERASED:
        return {**base, "erased": True}
    outcomes = dict(state.get("outcomes", {})) if state else {}
    outcomes[str(closed.outcome)] = outcomes.get(str(closed.outcome), 0) + 1
    return {
        **base,
        "erased": False,
        "agent": closed.turn.agent,
        "playbook_version": closed.turn.playbook_version,
        "arm": closed.turn.arm,
        "mode": str(closed.mode),
        "epoch": closed.turn.epoch,
        "outcomes": outcomes,
        "last_turn": _last_turn(closed),
    }


def shown(state: Projection) -> dict[str, Any]:
    """What a reader of the view sees."""
    return {name: value for name, value in state.items() if name not in _INTERNAL}


def outlived(
    states: Iterable[tuple[str, Projection]], *, now_seconds: float, retention_seconds: float, kept_max: int
) -> list[str]:
    """The keys of those whose last turn is older than the retention, and of the oldest beyond *kept_max*."""
    newest_first = sorted(((state["closed_at"], key) for key, state in states), reverse=True)
    return [
        key
        for rank, (closed_at, key) in enumerate(newest_first)
        if rank >= kept_max or closed_at < now_seconds - retention_seconds
    ]


def _last_turn(closed: TurnClosed) -> dict[str, Any]:
    verdicts = [str(claim.final_verdict) for claim in closed.verification.claims] if closed.verification else []
    return {
        "id": closed.turn.id,
        "outcome": str(closed.outcome),
        "reason": closed.reason,
        "opened_at": closed.turn.opened_at.isoformat(),
        "closed_at": closed.closed_at.isoformat(),
        "messages": len(closed.covers),
        "fallback": closed.fallback,
        "response_sha256": closed.response_sha256,
        "guidelines": list(closed.matching.active) if closed.matching else [],
        "claims": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
    }
