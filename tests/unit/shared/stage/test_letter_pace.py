"""A source of rejected records is slowed; it neither stops a stage nor costs another source anything."""

from shared.stage.letter_pace import BURST_SECONDS, LetterPace, Rests
from shared.stage.ports import Position

SLOWED, OTHER = Position("in", 3), Position("in", 4)
ELSEWHERE = Position("tenant.a.conversation.events", 3)


def beyond(pace, seconds, *, per_second):
    """Write as many letters at 100.0 as are *seconds* beyond the pace."""
    for _ in range(round(per_second * (BURST_SECONDS + seconds))):
        pace.letter(SLOWED, 100.0)


def test_a_burst_costs_nothing():
    pace = LetterPace(2.0)
    beyond(pace, 0.0, per_second=2.0)
    assert not pace.resting(100.0)


def test_what_comes_after_it_lets_the_position_rest_as_long_as_it_takes_at_the_pace():
    pace = LetterPace(2.0)
    beyond(pace, 30.0, per_second=2.0)
    assert pace.resting(129.9) == {SLOWED}
    assert not pace.resting(130.0)


def test_letters_of_a_position_that_rests_make_its_rest_longer():
    pace = LetterPace(2.0)
    beyond(pace, 1.0, per_second=2.0)
    pace.letter(SLOWED, 100.5)
    assert pace.resting(101.4) == {SLOWED}


def test_a_position_of_the_same_topic_rests_once_it_rejects_too():
    pace = LetterPace(2.0)
    beyond(pace, 1.0, per_second=2.0)
    assert pace.resting(100.0) == {SLOWED}
    pace.letter(OTHER, 100.0)
    assert pace.resting(100.0) == {SLOWED, OTHER}


def test_each_topic_has_a_pace_of_its_own():
    pace = LetterPace(1.0)
    beyond(pace, 90.0, per_second=1.0)
    pace.letter(ELSEWHERE, 100.0)
    assert pace.resting(100.0) == {SLOWED}


def test_a_look_tells_what_has_changed_since_the_last_one():
    pace = LetterPace(2.0)
    rests = Rests(pace)
    beyond(pace, 1.0, per_second=2.0)
    assert rests.look(100.0) == ({SLOWED}, set())
    assert rests.look(100.5) == (set(), set())
    assert rests.awake([SLOWED, OTHER]) == [OTHER]
    assert rests.look(101.0) == (set(), {SLOWED})
    assert rests.awake([SLOWED, OTHER]) == [SLOWED, OTHER]
