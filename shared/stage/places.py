"""
Places: how many records a stage works on at once, shared fairly among tenants.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def tenant_of(key: bytes | None) -> bytes:
    """Whose record has *key*: what stands before the first colon, all of it where there is none."""
    return (key or b"").partition(b":")[0]


class Places(Generic[T]):
    """
    At most *most* items have a place. While places are free whoever comes gets one, be it all of a single tenant; what
    comes later waits, and tenants that wait take turns (round robin), each in its own order of arrival.

    So whatever waits is preceded, beside its own tenant's earlier items, by one item at most of each other tenant for
    each of these and for itself.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._queues: OrderedDict[bytes, deque[T]] = OrderedDict()

    def enter(self, tenant: bytes, item: T) -> bool:
        """Whether *item* has a place now; else it waits until `leave` returns it."""
        if self._taken < self._most and not self._queues:
            self._taken += 1
            return True
        self._wait(tenant, item)
        return False

    def stay(self, tenant: bytes, item: T) -> bool:
        """Whether *item* may take the place of one that is done; else it waits, and whoever asks must leave."""
        if not self._queues:
            return True
        self._wait(tenant, item)
        return False

    def leave(self) -> T | None:
        """A place is free: who has it now; nobody where nobody waits."""
        if not self._queues:
            self._taken -= 1
            return None
        tenant, queue = self._queues.popitem(last=False)
        item = queue.popleft()
        if queue:
            self._queues[tenant] = queue
        return item

    def forget(self, chosen: Callable[[T], bool]) -> list[T]:
        """Take away those *chosen* of what waits."""
        gone = []
        for tenant, queue in list(self._queues.items()):
            gone += [item for item in queue if chosen(item)]
            kept = deque(item for item in queue if not chosen(item))
            if kept:
                self._queues[tenant] = kept
            else:
                del self._queues[tenant]
        return gone

    def _wait(self, tenant: bytes, item: T) -> None:
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = deque()
        queue.append(item)
