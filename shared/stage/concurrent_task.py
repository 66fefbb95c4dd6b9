"""
One task of a concurrent stage: a partition number across all topics, with its progress and its lanes.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.stage.base import Record
from shared.stage.lanes import Lanes
from shared.stage.ports import Committed, Gap, Position
from shared.stage.progress import Progress


@dataclass(slots=True)
class _Stretch:
    """What was read of one position: `fetched` is the next offset to fetch, `held` was fetched beyond the span."""

    progress: Progress
    fetched: int
    held: deque[Record] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Work:
    """A record under way, with the progress that its end is told to (that of a former life is told in vain)."""

    record: Record
    progress: Progress


class ConcurrentTask:
    """
    Which records of a task are under way, wait, and are done. Pure: whoever owns it works the lanes.

    *committed* tells where each position begins; positions of *watched* topics are only observed.
    """

    def __init__(
        self, partition: int, committed: Mapping[Position, Committed], *, watched: frozenset[str], span_max: int
    ) -> None:
        self.partition = partition
        self.lanes: Lanes[Work] = Lanes()
        self.in_flight = 0
        self._watched = watched
        self._span_max = span_max
        self._stretches = {
            position.topic: _Stretch(Progress(start, span_max), start.offset) for position, start in committed.items()
        }
        self._dirty: set[str] = set()

    def accept(self, record: Record) -> list[Work]:
        """Take *record* in; returns the work whose lane begins now."""
        stretch = self._stretches[record.topic]
        if record.offset < stretch.fetched:
            # Nothing is fetched twice within a task's life: the log begins anew (the topic was recreated, or
            # truncated).
            stretch = self._begin_anew(record.topic, record.offset)
        stretch.fetched = record.offset + 1
        stretch.held.append(record)
        return self._begin(stretch)

    def pass_over(self, gap: Gap) -> None:
        """Go on behind *gap*, or from where the log begins anew."""
        topic = gap.position.topic
        stretch = self._stretches[topic]
        if gap.begins_anew:
            self._begin_anew(topic, gap.first)
        elif not stretch.held:
            stretch.progress.pass_over(gap.first)
            stretch.fetched = max(stretch.fetched, gap.first)
        self._dirty.add(topic)

    def finish(self, work: Work) -> list[Work]:
        """*work* is done; returns the work whose lane begins now, because the span has moved on."""
        self.in_flight -= 1
        work.progress.finish(work.record.offset)
        self._dirty.add(work.record.topic)
        stretch = self._stretches[work.record.topic]
        return self._begin(stretch) if stretch.held else []

    def abandon(self) -> None:
        """A piece of work ends undone."""
        self.in_flight -= 1

    def give_back(self) -> None:
        """Forget what has not been begun."""
        self.in_flight -= self.lanes.leave()
        for stretch in self._stretches.values():
            stretch.held.clear()

    def rewind(self) -> dict[Position, int]:
        """Forget what is held beyond the span, and tell from where each position is to be fetched."""
        for stretch in self._stretches.values():
            stretch.held.clear()
            stretch.fetched = stretch.progress.position
        return {Position(topic, self.partition): stretch.fetched for topic, stretch in self._stretches.items()}

    def positions(self) -> list[Position]:
        """The positions of this task."""
        return [Position(topic, self.partition) for topic in self._stretches]

    def full(self) -> list[Position]:
        """Positions that nothing more should be fetched from for now."""
        return [Position(topic, self.partition) for topic, stretch in self._stretches.items() if stretch.held]

    def overtaken(self, committed: Mapping[Position, Committed]) -> bool:
        """Whether somebody else has owned this task since: *committed* is ahead of what is done here."""
        return any(
            position in committed and committed[position].offset > self._stretches[position.topic].progress.watermark
            for position in self.positions()
        )

    def take_committable(self) -> dict[Position, Committed]:
        """The progress since this was last called."""
        topics, self._dirty = self._dirty, set()
        return {Position(topic, self.partition): self._stretches[topic].progress.committable() for topic in topics}

    def put_back(self, position: Position) -> None:
        """The progress of *position* was not committed after all."""
        self._dirty.add(position.topic)

    @property
    def dirty(self) -> bool:
        """Whether there is progress to commit."""
        return bool(self._dirty)

    def _begin_anew(self, topic: str, offset: int) -> _Stretch:
        self._stretches[topic] = stretch = _Stretch(Progress(Committed(offset), self._span_max), offset)
        return stretch

    def _begin(self, stretch: _Stretch) -> list[Work]:
        heads = []
        while stretch.held and stretch.progress.fits(stretch.held[0].offset):
            record = stretch.held.popleft()
            begun = stretch.progress.begin(record.offset)
            if begun and record.topic not in self._watched:
                self.in_flight += 1
                work = Work(record, stretch.progress)
                if not self.lanes.join(record.key or b"", work):
                    heads.append(work)
                continue
            if begun:
                stretch.progress.finish(record.offset)
            self._dirty.add(record.topic)
        return heads
