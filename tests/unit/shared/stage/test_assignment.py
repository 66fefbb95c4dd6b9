"""Assignment: every task has one owner, shares are even, and nothing moves without need."""

from hypothesis import given
from hypothesis import strategies as st

from shared.stage.assignment import Claim, assign

claims = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.builds(Claim, st.frozensets(st.integers(0, 30)), st.integers(0, 3)),
    min_size=1,
)


@given(claims, st.integers(0, 30))
def test_every_task_has_exactly_one_owner_and_shares_are_even(members, count):
    shares = assign(members, range(count))
    assert sorted(task for share in shares.values() for task in share) == list(range(count))
    assert shares.keys() == members.keys()
    sizes = [len(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(
    st.sets(st.sampled_from("abcdefgh"), min_size=1),
    st.sets(st.sampled_from("abcdefgh"), min_size=1),
    st.integers(0, 40),
)
def test_only_what_must_move_moves(before, after, count):
    """From a balanced assignment, members that come and go move only their own share."""
    old = assign({member: Claim() for member in before}, range(count))
    new = assign({member: Claim(old.get(member, frozenset()), 1) for member in after}, range(count))
    stayed = sum(len(old[member] & new[member]) for member in before & after)
    # What a staying member may keep at most: no more than it had, and no more than an even share, the odd tasks going
    # to those that had most.
    share, odd = divmod(count, len(after))
    having = sorted((len(old[member]) for member in before & after), reverse=True)
    best = sum(min(had, share + (index < odd)) for index, had in enumerate(having))
    assert stayed == best


@given(claims, st.integers(0, 30))
def test_assigning_again_changes_nothing(members, count):
    once = assign(members, range(count))
    assert assign({member: Claim(share, 9) for member, share in once.items()}, range(count)) == once


def test_a_member_that_was_away_does_not_take_back_what_another_owned_since():
    shares = assign({"back": Claim(frozenset({0, 1}), 3), "here": Claim(frozenset({0, 1}), 4)}, range(4))
    assert shares == {"here": frozenset({0, 1}), "back": frozenset({2, 3})}


def test_no_members_own_nothing():
    assert assign({}, range(3)) == {}
