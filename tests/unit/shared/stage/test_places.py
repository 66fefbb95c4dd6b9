"""Places: as many as there are, a lone tenant's all of them, tenants that wait by turns."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from shared.stage.places import Places, tenant_of


def test_a_lone_tenant_has_every_place():
    places = Places(3)
    assert [places.enter(b"a", n) for n in range(5)] == [True, True, True, False, False]


def test_tenants_that_wait_take_turns_each_in_order():
    places = Places(1)
    places.enter(b"a", 0)
    for number in range(1, 4):
        places.enter(b"a", number)
    for number in range(10, 13):
        places.enter(b"b", number)
    places.enter(b"c", 20)
    assert [places.leave() for _ in range(8)] == [1, 10, 20, 2, 11, 3, 12, None]
    assert places.enter(b"a", 9)


def test_whoever_is_done_goes_on_only_where_nobody_waits():
    places = Places(1)
    places.enter(b"a", 0)
    assert places.stay(b"a", 1)
    places.enter(b"b", 10)
    assert not places.stay(b"a", 2)
    assert [places.leave(), places.leave(), places.leave()] == [10, 2, None]


def test_what_is_forgotten_has_no_turn():
    places = Places(1)
    places.enter(b"a", 0)
    for number in range(1, 6):
        places.enter(b"b" if number % 2 else b"a", number)
    assert sorted(places.forget(lambda item: item != 4)) == [1, 2, 3, 5]
    assert [places.leave(), places.leave()] == [4, None]


def test_a_key_names_its_tenant():
    assert tenant_of(b"acme:c:1") == b"acme"
    assert tenant_of(b"no colon") == b"no colon"
    assert tenant_of(None) == b""


@given(
    most=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.sampled_from(["come", "come", "go", "stay"]))),
)
def test_places_are_bounded_used_and_shared(most, steps):
    """Beside a model that keeps everything: who is in, who waits since when."""
    places, inside, waiting, passed = Places(most), deque(), {}, {}
    for number, (tenant, step) in enumerate(steps):
        item = (tenant, number)
        if step == "come":
            if places.enter(tenant, item):
                inside.append(item)
                assert not any(waiting.values())
            else:
                waiting.setdefault(tenant, deque()).append(item)
                passed.setdefault(item, [])
        elif inside and step == "go":
            inside.popleft()
            _take(places, inside, waiting, passed)
        elif inside:
            old = inside.popleft()
            item = (old[0], number)
            if places.stay(old[0], item):
                inside.append(item)
                assert not any(waiting.values())
            else:
                waiting.setdefault(old[0], deque()).append(item)
                passed.setdefault(item, [])
                _take(places, inside, waiting, passed)
        assert len(inside) <= most
        assert len(inside) == most or not any(waiting.values())


def _take(places, inside, waiting, passed):
    following = places.leave()
    assert (following is None) == (not any(waiting.values()))
    if following is None:
        return
    assert waiting[following[0]].popleft() == following
    inside.append(following)
    del passed[following]
    for queue in waiting.values():
        for position, item in enumerate(queue):
            passed[item].append(following)
            if position == 0:
                others = [one[0] for one in passed[item] if one[0] != item[0]]
                own = sum(one[0] == item[0] for one in passed[item])
                assert all(others.count(other) <= own + 1 for other in others)
