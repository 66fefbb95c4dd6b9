"""
The state of a ledger task: committed bytes behind a port, and decoded objects for the keys that are being worked on.

The store holds what is committed and nothing else. What the group being filled and the transaction under way have
changed lies over it until the transaction's end is known, so a store on disk needs no undo.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

S = TypeVar("S")


class StateStore(Protocol):
    """The committed state of one task: per key the encoded state and when the key wants to be woken."""

    def get(self, key: bytes) -> bytes | None:
        """The encoded state of *key*."""
        ...

    def put(self, key: bytes, value: bytes, due_ms: int | None) -> None: ...

    def delete(self, key: bytes) -> None:
        """Forget *key*; not an error when it is unknown."""
        ...

    def iterate(self) -> Iterator[tuple[bytes, bytes, int | None]]:
        """Every key with its encoded state and its due time (unix milliseconds), in any order."""
        ...

    def __len__(self) -> int:
        """How many keys there are."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes of all keys and encoded states."""
        ...

    def close(self) -> None:
        """Let go of what the store holds."""
        ...


class MemoryStateStore:
    """A store in memory; filled from the changelog each time that its task is opened."""

    def __init__(self) -> None:
        self._entries: dict[bytes, tuple[bytes, int | None]] = {}
        self._size_bytes = 0

    def get(self, key: bytes) -> bytes | None:
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: bytes, value: bytes, due_ms: int | None) -> None:
        former = self._entries.get(key)
        self._size_bytes += len(value) - len(former[0]) if former else len(key) + len(value)
        self._entries[key] = (value, due_ms)

    def delete(self, key: bytes) -> None:
        former = self._entries.pop(key, None)
        if former:
            self._size_bytes -= len(key) + len(former[0])

    def iterate(self) -> Iterator[tuple[bytes, bytes, int | None]]:
        return ((key, value, due_ms) for key, (value, due_ms) in self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def close(self) -> None:
        self._entries.clear()
        self._size_bytes = 0


class UnreadableStateError(Exception):
    """What the store holds of a key is no state; the cause says why."""


class UnwritableStateError(Exception):
    """The state of `key` cannot be encoded; the cause says why."""

    def __init__(self, key: bytes) -> None:
        super().__init__("a state cannot be encoded")
        self.key = key


@dataclass(frozen=True, slots=True)
class Change:
    """A key's new encoded state (`None` deletes it) and due time, as they go into the changelog."""

    key: bytes
    value: bytes | None
    due_ms: int | None


class KeyedState(Generic[S]):
    """
    The states of a task as objects, over a store of bytes.

    A state is decoded when it is first touched and encoded once per group, however often the group changed it.
    Objects stay decoded while the group or the transaction under way holds them, and afterwards in a cache that is
    bounded by their encoded size.
    """

    def __init__(
        self, store: StateStore, decode: Callable[[bytes], S], encode: Callable[[S], bytes], *, cache_bytes_max: int
    ) -> None:
        self.store = store
        self._decode = decode
        self._encode = encode
        self._cache_bytes_max = cache_bytes_max
        self._cache: OrderedDict[bytes, tuple[S, int]] = OrderedDict()
        self._cache_bytes = 0
        self._changed: dict[bytes, tuple[S | None, int | None]] = {}
        self._sealed: dict[bytes, tuple[S | None, Change]] = {}

    def get(self, key: bytes) -> S | None:
        """
        The state of *key*, changes that are not committed yet included.

        Raises:
            UnreadableStateError: it cannot be decoded.

        """
        if (changed := self._changed.get(key)) is not None:
            return changed[0]
        if (sealed := self._sealed.get(key)) is not None:
            return sealed[0]
        if (cached := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            return cached[0]
        data = self.store.get(key)
        if data is None:
            return None
        state = self._decoded(data)
        self._remember(key, state, len(key) + len(data))
        return state

    def get_anew(self, key: bytes) -> S | None:
        """
        As `get`, but decoded anew from what is written, or will be, of the state: what the memory holds may be at
        fault.

        Raises:
            UnreadableStateError: it cannot be decoded.
            Exception: it cannot be encoded.

        """
        if (changed := self._changed.get(key)) is not None:
            state, due_ms = changed
            fresh = None if state is None else self._decoded(self._encode(state))
            self._changed[key] = (fresh, due_ms)
            return fresh
        if (sealed := self._sealed.get(key)) is not None:
            value = sealed[1].value
            return None if value is None else self._decoded(value)
        self._forget(key)
        return self.get(key)

    def put(self, key: bytes, state: S | None, due_ms: int | None) -> int:
        """
        Note a change of *key*; `None` deletes.

        Returns about how many bytes that adds to the group's changelog: the size of the key's last encoding on its
        first change in the group (the new size is known only when the group is sealed), nothing after that.
        """
        first = key not in self._changed
        self._changed[key] = (state, due_ms)
        if not first:
            return 0
        cached = self._cache.get(key)
        return cached[1] if cached else len(key)

    def seal(self) -> list[Change]:
        """
        Close the group: its changes, each key once, encoded. They stay uncommitted until `settle`.

        A key that came and went within the group leaves no trace.

        Raises:
            UnwritableStateError: a state cannot be encoded.

        """
        if self._sealed:
            raise RuntimeError("a group was sealed while the one before it was neither settled nor thrown away")
        changed, self._changed = self._changed, {}
        for key, (state, due_ms) in changed.items():
            if state is not None:
                self._sealed[key] = (state, Change(key, self._encoded(key, state), due_ms))
            elif self.store.get(key) is not None:
                self._sealed[key] = (None, Change(key, None, None))
        return [change for _, change in self._sealed.values()]

    def settle(self) -> None:
        """The sealed group is committed: it goes into the store."""
        for key, (state, change) in self._sealed.items():
            if state is None or change.value is None:
                self.store.delete(key)
                self._forget(key)
            else:
                self.store.put(key, change.value, change.due_ms)
                self._remember(key, state, len(key) + len(change.value))
        self._sealed = {}

    def _decoded(self, data: bytes) -> S:
        try:
            return self._decode(data)
        except MemoryError:
            raise
        except Exception as error:
            raise UnreadableStateError(f"a state cannot be decoded: {type(error).__name__}") from error

    def _encoded(self, key: bytes, state: S) -> bytes:
        try:
            return self._encode(state)
        except MemoryError:
            raise
        except Exception as error:
            raise UnwritableStateError(key) from error

    def _remember(self, key: bytes, state: S, size_bytes: int) -> None:
        self._forget(key)
        self._cache[key] = (state, size_bytes)
        self._cache_bytes += size_bytes
        while self._cache_bytes > self._cache_bytes_max:
            _, (_, evicted_bytes) = self._cache.popitem(last=False)
            self._cache_bytes -= evicted_bytes

    def _forget(self, key: bytes) -> None:
        former = self._cache.pop(key, None)
        if former:
            self._cache_bytes -= former[1]
