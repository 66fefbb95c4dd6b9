"""
The due times of a ledger task: one per key at most, the earliest first.

Pure: the time is an argument, and nothing here waits.
"""

from heapq import heapify, heappop, heappush

from shared.events.codec import Headers

DUE_HEADER = "due"
"""
The changelog header with a key's due time (unix milliseconds, decimal): timers are restored without decoding states.
"""

_STALE_MAX = 1_024
"""Overtaken heap entries that are left lying, beyond as many as there are live ones, before the heap is built anew."""


class Timers:
    """
    When each key wants to be woken, unix milliseconds.

    A binary heap with lazy deletion: an entry counts only while it is what the key's due time is now. Scheduling costs
    O(log n); what has been overtaken is dropped when it surfaces, or when it outnumbers the rest.
    """

    def __init__(self) -> None:
        self._due_of: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        """How many keys wait to be woken."""
        return len(self._due_of)

    def due_of(self, key: bytes) -> int | None:
        """When *key* wants to be woken; `None` is never."""
        return self._due_of.get(key)

    def schedule(self, key: bytes, due_ms: int | None) -> None:
        """Wake *key* at *due_ms* instead of any earlier wish; `None` is never."""
        if due_ms is None:
            self._due_of.pop(key, None)
        elif self._due_of.get(key) != due_ms:
            self._due_of[key] = due_ms
            heappush(self._heap, (due_ms, key))
            if len(self._heap) > 2 * len(self._due_of) + _STALE_MAX:
                self._rebuild()

    def next_due(self) -> int | None:
        """The earliest due time; `None` when nobody waits."""
        heap = self._heap
        while heap and self._due_of.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now_ms: int) -> tuple[int, bytes] | None:
        """
        Take the earliest due time that has come, and its key; `None` when none has.

        Keys due at the same moment come in the order of their bytes, so that a replay wakes them alike.
        """
        due_ms = self.next_due()
        if due_ms is None or due_ms > now_ms:
            return None
        due_ms, key = heappop(self._heap)
        del self._due_of[key]
        return due_ms, key

    def _rebuild(self) -> None:
        self._heap = [(due_ms, key) for key, due_ms in self._due_of.items()]
        heapify(self._heap)


def due_of(headers: Headers) -> int | None:
    """
    The due time in a changelog record's *headers*.

    Raises:
        ValueError: it is not a number.

    """
    for name, value in headers:
        if name == DUE_HEADER:
            return int(value or b"")
    return None
