"""
How fast the records of a source (a topic) may become dead letters.

Whatever comes in ends no stage. Where a source is beyond its pace, the positions that its letters come from rest: they
are read more slowly, the others go on, and nothing is lost.
"""

from collections.abc import Iterable

from shared.stage.ports import Position

BURST_SECONDS = 10.0
"""Of letters at the permitted pace that may come at once."""


class LetterPace:
    """
    At most *per_second* letters of each topic, after a burst of `BURST_SECONDS` of them. Times are monotonic seconds.

    What was read before a rest begins is still worked on: it makes that rest longer, so that the pace holds.
    """

    def __init__(self, per_second: float) -> None:
        self._each_seconds = 1 / per_second
        self._paid_until: dict[str, float] = {}
        self._rests_until: dict[Position, float] = {}

    def letter(self, position: Position, now: float) -> None:
        """A record of *position* becomes a letter at *now*."""
        topic = position.topic
        begun = max(self._paid_until.get(topic, 0.0), now - BURST_SECONDS)
        self._paid_until[topic] = until = begun + self._each_seconds
        if until > now:
            self._rests_until[position] = until

    def resting(self, now: float) -> frozenset[Position]:
        """The positions that nothing is to be read of at *now*."""
        self._rests_until = {position: until for position, until in self._rests_until.items() if until > now}
        return frozenset(self._rests_until)


class Rests:
    """Which positions a ledger stage lets rest, from one look at *pace* to the next."""

    def __init__(self, pace: LetterPace) -> None:
        self._pace = pace
        self._positions: frozenset[Position] = frozenset()

    def look(self, now: float) -> tuple[frozenset[Position], frozenset[Position]]:
        """The positions whose rest has begun since the last look, and those whose rest has ended."""
        before, self._positions = self._positions, self._pace.resting(now)
        return self._positions - before, before - self._positions

    def awake(self, positions: Iterable[Position]) -> list[Position]:
        """Those of *positions* that do not rest."""
        return [position for position in positions if position not in self._positions]
