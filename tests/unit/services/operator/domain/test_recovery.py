from services.operator.domain.recovery import rate, recovery_seconds

STEADY = [n / 10 for n in range(1000)]


def test_the_rate_counts_what_closed_in_the_stretch():
    assert rate(STEADY, 20.0, 30.0) == 10


def test_a_fault_that_nobody_noticed_takes_no_time():
    assert recovery_seconds(STEADY, 50.0, 10.0) == 0.0


def test_recovery_is_when_four_fifths_of_the_rate_are_back():
    closed = [moment for moment in STEADY if not 50.0 <= moment < 58.0]

    assert 7.0 < recovery_seconds(closed, 50.0, 10.0) <= 8.5


def test_what_never_comes_back_has_no_recovery():
    closed = [moment for moment in STEADY if moment < 50.0 or round(moment * 10) % 5 == 0]

    assert recovery_seconds(closed, 50.0, 10.0) is None
