"""
What a stage remembers of turns: the newest of each conversation, so that work on an older one is dropped and
cancelled, and the ones that it lately handled, so that a repeated input costs nothing.

Both memories are hints with bounds. What they forget is done once more, or in vain, and the conversations service, the
only one to decide, ignores its result.
"""

import asyncio
from collections import OrderedDict
from datetime import timedelta
from types import TracebackType
from typing import Generic, Self, TypeVar

from shared.events.turns import Turn
from shared.stage.unexpected import passes

K = TypeVar("K")
V = TypeVar("V")

CLOCK_SKEW_MAX = timedelta(seconds=5)
"""How far the clocks of two processes may lie apart before a repeated turn is taken for a new conversation."""


class Recent(Generic[K, V]):
    """The *size_max* entries put last; an older one is forgotten."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._entries: OrderedDict[K, V] = OrderedDict()

    def put(self, key: K, value: V) -> None:
        """Enter *key*, as the most recent one."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size_max:
            self._entries.popitem(last=False)

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def pop(self, key: K) -> V | None:
        return self._entries.pop(key, None)

    def __contains__(self, key: K) -> bool:
        return key in self._entries


class Superseded(Exception):
    """A newer turn of the same conversation was opened; the work on this one was cancelled."""


class NewestTurns:
    """The newest turn that was seen of each conversation, and the work under way that a newer one cancels."""

    def __init__(self, conversations_max: int) -> None:
        self._newest: Recent[bytes, Turn] = Recent(conversations_max)
        self._work: dict[bytes, _Work] = {}

    def observe(self, key: bytes, turn: Turn) -> None:
        """Take note that *turn* was opened; work under way on an older turn of *key* is cancelled."""
        known = self._newest.get(key)
        self._newest.put(key, turn if known is None or _newer(turn, known) else known)
        work = self._work.get(key)
        if work is not None and _newer(turn, work.turn):
            work.cancel()

    def superseded(self, key: bytes, turn: Turn) -> bool:
        """Whether a newer turn than *turn* was opened."""
        known = self._newest.get(key)
        return known is not None and _newer(known, turn)

    def work(self, key: bytes, turn: Turn) -> "_Work":
        """
        An asynchronous context for work on *turn*, one at a time per key.

        Raises:
            Superseded: on leaving, where a newer turn cancelled what went on inside; at once, where there is one
                already.

        """
        return _Work(self, key, turn)


class _Work:
    """
    Cancels the task inside it from outside, and turns what the work ends with, for that cancellation and no other, into
    `Superseded` (as asyncio.timeout does).
    """

    def __init__(self, owner: NewestTurns, key: bytes, turn: Turn) -> None:
        self.turn = turn
        self._owner = owner
        self._key = key
        self._task: asyncio.Task[object] | None = None
        self._cancelled = False
        self._cancelling_before = 0

    async def __aenter__(self) -> Self:
        if self._owner.superseded(self._key, self.turn):
            raise Superseded
        self._task = asyncio.current_task()
        assert self._task is not None, "work runs in a task"  # noqa: S101  narrows the type; asyncio guarantees it
        self._cancelling_before = self._task.cancelling()
        self._owner._work[self._key] = self  # noqa: SLF001  one class in two halves
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner._work.pop(self._key, None)  # noqa: SLF001
        if not self._cancelled or self._task is None:
            return
        others = self._task.uncancel() > self._cancelling_before
        # Cancelled work may end in an error of its own (a group, where a library cancels tasks of its own in turn).
        if error is not None and not others and not passes(error):
            raise Superseded from error

    def cancel(self) -> None:
        """Cancel the task inside, once."""
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()


def _newer(turn: Turn, than: Turn) -> bool:
    """
    Whether *turn* was opened after *than*: epochs count up, and legs within an epoch, unless the conversation began
    anew.
    """
    if _restarted(than, turn):
        return False
    return _restarted(turn, than) or (turn.epoch, turn.leg) > (than.epoch, than.leg)


def _restarted(turn: Turn, than: Turn) -> bool:
    """An erased conversation counts from one again; its time tells it from a repetition, beyond what clocks differ."""
    return turn.id != than.id and turn.epoch <= than.epoch and turn.opened_at - than.opened_at > CLOCK_SKEW_MAX
