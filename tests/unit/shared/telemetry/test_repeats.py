import logging

from shared.telemetry.repeats import RepeatLimit


def record(message, *args, name="aiokafka", level=logging.WARNING):
    return logging.LogRecord(name, level, "", 0, message, args, None)


def test_the_first_lines_pass_and_the_rest_of_the_window_is_held_back():
    limit = RepeatLimit(lines_max=2, clock=lambda: 0.0)

    assert [limit.filter(record("node %s is away", n)) for n in range(4)] == [True, True, False, False]


def test_the_first_line_of_the_next_window_tells_how_many_were_suppressed():
    now = [0.0]
    limit = RepeatLimit(lines_max=1, window_seconds=60, clock=lambda: now[0])
    for n in range(4):
        limit.filter(record("node %s is away", n))
    now[0] = 60.0
    last = record("node %s is away", 9)

    assert limit.filter(last)
    assert last.getMessage() == "node 9 is away (3 more like this were suppressed)"


def test_a_different_logger_level_or_template_has_a_window_of_its_own():
    limit = RepeatLimit(lines_max=1, clock=lambda: 0.0)
    assert limit.filter(record("away"))

    assert limit.filter(record("away", name="faust"))
    assert limit.filter(record("away", level=logging.ERROR))
    assert limit.filter(record("back"))
    assert not limit.filter(record("away"))


def test_remembered_messages_are_bounded():
    limit = RepeatLimit(lines_max=1, messages_max=10, clock=lambda: 0.0)
    for n in range(1_000):
        limit.filter(record(f"message {n}"))

    assert len(limit._windows) == 10
