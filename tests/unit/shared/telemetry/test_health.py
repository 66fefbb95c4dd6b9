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
    assert health.silent_seconds() == 0.0


def test_a_process_is_not_ready_until_it_says_so():
    assert Health().ready is False
