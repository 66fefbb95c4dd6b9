from hypothesis import given
from hypothesis import strategies as st

from shared.stage.timers import _STALE_MAX, Timers

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("schedule"), st.integers(0, 5), st.none() | st.integers(0, 50)),
        st.tuples(st.just("pop"), st.integers(0, 60), st.none()),
    )
)


@given(STEPS)
def test_a_key_is_woken_once_at_its_latest_due_time_the_earliest_first(steps):
    timers, wanted = Timers(), {}
    for step, number, due_ms in steps:
        if step == "schedule":
            key = bytes([number])
            timers.schedule(key, due_ms)
            wanted.pop(key, None)
            if due_ms is not None:
                wanted[key] = due_ms
        else:
            come = sorted((due, key) for key, due in wanted.items() if due <= number)
            popped = timers.pop_due(number)
            assert popped == (come[0] if come else None)
            if popped:
                del wanted[popped[1]]
        assert len(timers) == len(wanted)
        assert timers.next_due() == min(wanted.values(), default=None)
        assert all(timers.due_of(bytes([n])) == wanted.get(bytes([n])) for n in range(6))


def test_keys_due_at_once_come_in_the_order_of_their_bytes():
    timers = Timers()
    for key in (b"b", b"c", b"a"):
        timers.schedule(key, 5)

    assert [timers.pop_due(5)[1] for _ in range(3)] == [b"a", b"b", b"c"]


def test_a_key_whose_wish_returns_to_an_earlier_one_is_woken_once():
    timers = Timers()
    for due_ms in (5, 9, 5):
        timers.schedule(b"k", due_ms)

    assert timers.pop_due(9) == (5, b"k")
    assert timers.pop_due(9) is None


def test_overtaken_entries_do_not_pile_up():
    timers = Timers()
    for due_ms in range(10 * _STALE_MAX):
        timers.schedule(b"k", due_ms)

    assert len(timers._heap) <= _STALE_MAX + 3
    assert timers.next_due() == 10 * _STALE_MAX - 1
