"""
A tenant's own topic on which too many records are rejected is paused, partition by partition, until it is released.

Only that tenant publishes there, so a pause costs nobody else anything. It stands in the metadata of the group's
committed offset, in the transaction that writes the letter which was one too many: it holds for whoever owns the task
next. An operator ends it with a record on the topic that only operators write, one for each partition. Nothing is
lost: the topic is read on from where it stands.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from shared.stage.base import Record
from shared.stage.ports import Committed
from shared.stage.settings import StageSettings

INPUT_HEADER = "x-holdfast-release-input"
"""On an operators' record: the topic (without the namespace) whose pause ends in this partition."""

_PAUSED = "paused:"


class RejectedShare:
    """Whether too many of the latest records of a position are rejected; counted anew after a restart."""

    def __init__(self, settings: StageSettings) -> None:
        self._consecutive_max = settings.tenant_topic_rejected_consecutive_max
        self._ratio_max = settings.tenant_topic_rejected_ratio_max
        self._recent: deque[bool] = deque(maxlen=settings.tenant_topic_rejected_window_records)
        self._rejected = 0
        self._consecutive = 0

    def note(self, *, rejected: bool) -> bool:
        """Take note of a record; true where it is one too many."""
        full = len(self._recent) == self._recent.maxlen
        self._rejected += rejected - (self._recent[0] if full else 0)
        self._recent.append(rejected)
        self._consecutive = self._consecutive + 1 if rejected else 0
        return rejected and (
            self._consecutive >= self._consecutive_max
            or (len(self._recent) == self._recent.maxlen and self._rejected > self._ratio_max * len(self._recent))
        )


class Pauses:
    """
    Which of a task's topics are paused; only *topics* ever are. *committed* tells what is committed of each.

    `since_ms` (unix milliseconds) is by topic; `released` are those whose pause has ended and that are to be sought
    before they are read on.
    """

    def __init__(self, topics: Iterable[str], committed: Mapping[str, Committed], settings: StageSettings) -> None:
        since = {topic: paused_since(one.metadata) for topic, one in committed.items()}
        self.since_ms = {topic: ms for topic, ms in since.items() if ms is not None}
        self.released: set[str] = set()
        self._settings = settings
        self._shares = {topic: RejectedShare(settings) for topic in topics}

    def passes_over(self, topic: str) -> bool:
        """Whether a record of *topic* is not to be folded now: it is read again later."""
        return topic in self.since_ms or topic in self.released

    def note(self, topic: str, now_ms: int, *, rejected: bool) -> None:
        """Take note of a record of *topic*, which may begin a pause."""
        share = self._shares.get(topic)
        if share is not None and share.note(rejected=rejected):
            self.since_ms[topic] = now_ms

    def release(self, topic: str) -> bool:
        """End the pause of *topic*; false where there is none."""
        if self.since_ms.pop(topic, None) is None:
            return False
        self.released.add(topic)
        if topic in self._shares:
            self._shares[topic] = RejectedShare(self._settings)
        return True

    def sought(self) -> None:
        """Every topic is read on from where the fold stands."""
        self.released.clear()

    def metadata(self, topic: str) -> str:
        """What is committed beside the offset of *topic*."""
        return f"{_PAUSED}{self.since_ms[topic]}" if topic in self.since_ms else ""


def paused_since(metadata: str) -> int | None:
    """Since when (unix milliseconds) the position with the committed *metadata* is paused; None where it is not."""
    number = metadata.removeprefix(_PAUSED)
    return int(number) if number != metadata and number.isdecimal() else None


def input_released_by(record: Record) -> str:
    """The topic whose pause *record*, of the operators' topic, ends; empty where it says something else."""
    for name, value in record.headers:
        if name == INPUT_HEADER:
            return (value or b"").decode(errors="replace")
    return ""
