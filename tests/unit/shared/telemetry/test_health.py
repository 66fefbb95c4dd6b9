from shared.telemetry.health import Health


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


def test_silence_up_to_the_limit_is_alive_and_beyond_it_is_not():
    clock = Clock()
    health = Health(limit_seconds=60.0, clock=clock)

    assert health.alive()
    assert health.alive(now=1_060.0)
    assert not health.alive(now=1_060.1)


def test_a_beat_revives():
    clock = Clock()
    health = Health(limit_seconds=60.0, clock=clock)
    clock.now += 100

    assert not health.alive()
    health.beat()
    assert health.alive()
    assert health.silence() == ("loop", 0.0)


def test_one_silent_part_is_enough_and_is_named():
    """An event loop that turns while its consumer hangs is no living process."""
    clock = Clock()
    health = Health(limit_seconds=60.0, clock=clock)
    health.beat("fetch")
    clock.now += 61
    health.beat()

    assert not health.alive()
    assert health.silence() == ("fetch", 61.0)


def test_a_part_that_ended_on_purpose_is_not_missed():
    clock = Clock()
    health = Health(limit_seconds=60.0, clock=clock)
    health.beat("fetch")
    health.forget("fetch")
    health.forget("never known")
    clock.now += 60

    assert health.alive()


def test_a_process_is_not_ready_until_it_says_so():
    assert Health().ready is False
