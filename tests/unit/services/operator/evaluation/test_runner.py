from datetime import UTC, datetime

from services.operator.evaluation.handlers import opened
from services.operator.evaluation.plays import Plan, plays
from shared.events.envelope import Address

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def test_what_is_finished_is_not_played_again_and_what_was_unknown_is(make_scenario, make_result):
    scenario = make_scenario()
    plan = Plan("m", repeats=3)
    first, second, third = plays([scenario], plan, {})
    done = {
        (first.fingerprint, 1): make_result(right=False),
        (first.fingerprint, 2): make_result(unknown=1),
        (first.fingerprint, 3): make_result(failure="no_answer"),
    }
    assert plays([scenario], plan, done) == [second, third]


def test_a_scenario_is_played_once_in_each_size_that_differs_for_it(make_scenario):
    found = plays([make_scenario()], Plan("m", sizes=(0, 1, 10, 10)), {})
    assert [play.guidelines for play in found] == [2, 10]
    assert len({play.fingerprint for play in found}) == 2


def test_a_play_has_the_same_turn_in_every_run_and_no_other_has_it(make_scenario):
    first, second = plays([make_scenario()], Plan("m", repeats=2), {})
    again = plays([make_scenario()], Plan("m", repeats=2), {})
    assert [first.turn, second.turn] == [play.turn for play in again]
    assert first.turn != second.turn


def test_a_turn_answers_the_newest_messages_of_the_customer_only(make_scenario):
    lines = [("customer", "1"), ("agent", "2"), ("customer", "3"), ("customer", "4")]
    scenario = make_scenario(
        conversation=[{"source": source, "text": text} for source, text in lines], applied=["b"], variables={"x": "y"}
    )
    play = plays([scenario], Plan("m"), {})[0]
    turn = opened(play, Address("evaluation", "c"), "v", NOW, 60)
    assert turn.covers == ("m3", "m4")
    assert [str(one.author) for one in turn.transcript] == ["customer", "assistant", "customer", "customer"]
    assert list(turn.applied) == ["b"]
    assert turn.variables == {"x": "y"}
    assert (turn.turn.deadline - turn.turn.opened_at).total_seconds() == 60
