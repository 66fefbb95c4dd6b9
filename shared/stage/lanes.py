"""
First in, first out for each key, and different keys at once.
"""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """
    One lane per key that has work: its head is being worked on, the others wait behind it.

    A lane exists while it has a head. Whoever is given a head by `join` works the lane until `advance` returns none.
    """

    def __init__(self) -> None:
        # Most lanes are one item long; they cost no queue.
        self._waiting: dict[bytes, deque[T] | None] = {}

    def __len__(self) -> int:
        """How many lanes there are."""
        return len(self._waiting)

    def depth(self, key: bytes) -> int:
        """How many items *key*'s lane has."""
        if key not in self._waiting:
            return 0
        return 1 + len(self._waiting[key] or ())

    def join(self, key: bytes, item: T) -> int:
        """
        Put *item* at the end of *key*'s lane; returns how many were before it. Nought: the caller works the lane now.
        """
        if key not in self._waiting:
            self._waiting[key] = None
            return 0
        waiting = self._waiting[key]
        if waiting is None:
            waiting = self._waiting[key] = deque()
        waiting.append(item)
        return len(waiting)

    def advance(self, key: bytes) -> T | None:
        """The head of *key*'s lane is done: the next one; none where nothing waits, and the lane ends."""
        waiting = self._waiting[key]
        if waiting:
            return waiting.popleft()
        del self._waiting[key]
        return None

    def leave(self) -> int:
        """Forget everything that waits behind the heads; returns how many that were."""
        left = sum(len(waiting) for waiting in self._waiting.values() if waiting)
        self._waiting = dict.fromkeys(self._waiting)
        return left
