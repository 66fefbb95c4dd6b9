"""
Counting what the stages between the ledger's two ends repeated: they are at-least-once, and a crash shows here.
"""

from collections import Counter
from dataclasses import dataclass, field

from shared.events.base import Body
from shared.events.turns import TurnDrafted, TurnFinished, TurnMatched


@dataclass(slots=True)
class Repeats:
    """
    Takes the records of `turns.matched`, `turns.drafted`, `turns.finished` and `turns.verified`; tells how many repeat
    an earlier one.
    """

    _seen: set[tuple[str, str, int, str]] = field(default_factory=set)
    by_topic: Counter[str] = field(default_factory=Counter)

    def take(self, topic: str, body: Body) -> None:
        """Count *body* if one of the same turn, leg and stage has been on *topic* before."""
        match body:
            case TurnMatched() | TurnDrafted():
                key = (topic, body.opened.turn.id, body.opened.turn.leg, "")
            case TurnFinished():
                key = (topic, body.turn.id, body.turn.leg, body.stage)
            case _:
                return
        if key in self._seen:
            self.by_topic[topic] += 1
        self._seen.add(key)
