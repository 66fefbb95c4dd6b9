"""Lanes: first in, first out for a key; one head per key."""

from hypothesis import given
from hypothesis import strategies as st

from shared.stage.lanes import Lanes


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.booleans())))
def test_each_key_is_worked_in_order_and_by_one_at_a_time(steps):
    lanes, heads, worked, joined = Lanes(), {}, [], []
    for number, (key, advance) in enumerate(steps):
        if advance and key in heads:
            worked.append(heads.pop(key))
            following = lanes.advance(key)
            if following is not None:
                heads[key] = following
        else:
            joined.append((key, number))
            if lanes.join(key, (key, number)) == 0:
                assert key not in heads
                heads[key] = (key, number)
        assert len(lanes) == len(heads)
    for key in list(heads):
        while key in heads:
            worked.append(heads.pop(key))
            if (following := lanes.advance(key)) is not None:
                heads[key] = following
    for key in (b"a", b"b", b"c"):
        assert [item for item in worked if item[0] == key] == [item for item in joined if item[0] == key]
    assert len(lanes) == 0


def test_leaving_forgets_what_waits_and_keeps_the_heads():
    lanes = Lanes()
    assert lanes.join(b"a", 1) == 0
    assert lanes.join(b"a", 2) == 1
    assert lanes.join(b"a", 3) == 2
    assert lanes.join(b"b", 4) == 0
    assert lanes.depth(b"a") == 3
    assert lanes.leave() == 2
    assert lanes.advance(b"a") is None
    assert lanes.advance(b"b") is None
    assert lanes.depth(b"a") == 0
