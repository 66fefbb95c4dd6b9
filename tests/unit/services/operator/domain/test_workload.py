import itertools

from services.operator.domain.workload import messages


def test_a_load_is_the_same_for_the_same_seed():
    load = [list(messages(["a", "b"], count=100, conversations=9, seed=4)) for _ in range(2)]

    assert load[0] == load[1]


def test_a_load_has_exactly_as_many_messages_as_asked_for_and_some_bursts():
    load = list(messages(["a"], count=500, conversations=50, seed=1))

    assert len(load) == 500
    assert any(first.conversation == second.conversation for first, second in itertools.pairwise(load))
