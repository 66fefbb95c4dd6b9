"""The last state of a conversation."""

from services.observer.domain.projection import outlived, shown, with_turn


def test_turns_add_up_and_the_last_one_is_shown(turn):
    state = with_turn(None, 3, 10, turn("answered", number=1))
    state = with_turn(state, 3, 12, turn("expired", number=2, reason="deadline"))

    assert state["outcomes"] == {"answered": 1, "expired": 1}
    assert state["epoch"] == 2
    assert (state["last_turn"]["outcome"], state["last_turn"]["reason"]) == ("expired", "deadline")
    assert not shown(state).keys() & {"partition", "offset"}


def test_a_replayed_turn_changes_nothing(turn):
    state = with_turn(None, 3, 10, turn())

    assert with_turn(state, 3, 10, turn()) is None
    assert with_turn(state, 3, 4, turn()) is None


def test_a_turn_in_another_partition_is_no_replay(turn):
    state = with_turn(None, 3, 10, turn())

    assert with_turn(state, 1, 2, turn("rejected", reason="erased", responded=False))["erased"] is True


def test_of_an_erased_conversation_nothing_is_kept_but_that_it_is(turn):
    state = with_turn(with_turn(None, 0, 1, turn()), 0, 2, turn("rejected", reason="erased", responded=False))

    assert shown(state) == {"erased": True, "closed_at": state["closed_at"]}


def test_the_old_and_the_too_many_are_let_go():
    states = [(f"c{at}", {"closed_at": float(at)}) for at in range(10)]

    assert outlived(states, now_seconds=10, retention_seconds=8, kept_max=100) == ["c1", "c0"]
    assert outlived(states, now_seconds=10, retention_seconds=100, kept_max=7) == ["c2", "c1", "c0"]
