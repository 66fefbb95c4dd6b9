import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.stage.state import Change, KeyedState, MemoryStateStore


class Codec:
    """Counts what it does."""

    def __init__(self):
        self.decoded = []
        self.encoded = []

    def decode(self, data):
        self.decoded.append(data)
        return data.decode()

    def encode(self, state):
        self.encoded.append(state)
        return state.encode()


@pytest.fixture
def codec():
    return Codec()


@pytest.fixture
def keyed(codec):
    store = MemoryStateStore()
    store.put(b"old", b"bytes", 7)
    return KeyedState(store, codec.decode, codec.encode, cache_bytes_max=1_000)


def test_a_state_is_decoded_when_touched_and_once(keyed, codec):
    assert codec.decoded == []

    first = keyed.get(b"old")

    assert first == "bytes"
    assert keyed.get(b"old") is first, "identity tells an unchanged state"
    assert codec.decoded == [b"bytes"]


def test_a_key_changed_several_times_in_a_group_is_encoded_once(keyed, codec):
    for n in range(5):
        keyed.put(b"k", f"v{n}", n)

    assert keyed.seal() == [Change(b"k", b"v4", 4)]
    assert codec.encoded == ["v4"]


def test_changes_are_seen_at_once_and_stored_when_their_group_is_settled(keyed):
    keyed.put(b"k", "one", None)
    keyed.seal()
    keyed.put(b"k", "two", None)

    assert keyed.get(b"k") == "two"
    assert keyed.store.get(b"k") is None

    keyed.settle()

    assert keyed.store.get(b"k") == b"one"
    assert keyed.get(b"k") == "two"


def test_a_sealed_state_is_read_before_it_is_settled(keyed):
    keyed.put(b"k", "one", None)
    keyed.put(b"old", None, None)
    keyed.seal()

    assert keyed.get(b"k") == "one"
    assert keyed.get(b"old") is None


def test_a_deletion_is_a_tombstone_and_a_key_that_came_and_went_leaves_no_trace(keyed):
    keyed.put(b"old", None, None)
    keyed.put(b"brief", "here", 1)
    keyed.put(b"brief", None, None)

    assert keyed.seal() == [Change(b"old", None, None)]
    keyed.settle()
    assert len(keyed.store) == 0
    assert keyed.get(b"old") is None


def test_a_group_is_not_sealed_over_another(keyed):
    keyed.put(b"k", "one", None)
    keyed.seal()

    with pytest.raises(RuntimeError, match="neither settled nor thrown away"):
        keyed.seal()


def test_the_least_recently_used_objects_are_let_go_beyond_the_bound(codec):
    store = MemoryStateStore()
    for key in (b"a", b"b", b"c"):
        store.put(key, b"0123456789", None)
    keyed = KeyedState(store, codec.decode, codec.encode, cache_bytes_max=25)

    for key in (b"a", b"b", b"a", b"c", b"a", b"b"):
        keyed.get(key)

    assert len(codec.decoded) == 4, "a, b, c, and b again, which c had displaced"


def test_a_change_counts_its_last_size_once_a_group(keyed):
    keyed.get(b"old")

    assert keyed.put(b"old", "other", None) == len(b"old") + len(b"bytes")
    assert keyed.put(b"old", "third", None) == 0
    assert keyed.put(b"new", "first", None) == len(b"new")


@given(st.lists(st.tuples(st.binary(max_size=2), st.none() | st.binary(max_size=5), st.none() | st.integers(0, 9))))
def test_the_memory_store_holds_the_last_of_each_key_and_knows_its_size(steps):
    store, held = MemoryStateStore(), {}
    for key, value, due_ms in steps:
        if value is None:
            store.delete(key)
            held.pop(key, None)
        else:
            store.put(key, value, due_ms)
            held[key] = (value, due_ms)

    assert {key: (value, due_ms) for key, value, due_ms in store.iterate()} == held
    assert len(store) == len(held)
    assert store.size_bytes == sum(len(key) + len(value) for key, (value, _) in held.items())
    store.close()
    assert (len(store), store.size_bytes) == (0, 0)
