import io
import json
import logging
import sys
import warnings

import pytest
import structlog
from pydantic import BaseModel

from shared.errors import Retryable
from shared.telemetry.logging import LIBRARIES, canonical, configure


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Body(BaseModel):
    amount: int


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with warnings.catch_warnings():
        yield
    logging.captureWarnings(capture=False)
    for handler in [h for h in root.handlers if h not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_logger_and_service():
    out = io.StringIO()
    configure("matcher", stream=out)

    structlog.get_logger("room").info("started", partitions=12)

    [line] = lines(out)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "room",
        "service": "matcher",
        "message": "started",
        "partitions": 12,
    }


def test_auto_is_console_on_a_terminal_only():
    out = Terminal()
    configure("matcher", stream=out)

    structlog.get_logger().info("started")

    assert "started" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_the_level_holds_back_what_lies_below_it():
    out = io.StringIO()
    configure("matcher", level="warning", stream=out)

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("heard")

    assert [line["message"] for line in lines(out)] == ["heard"]


def test_library_records_come_out_in_the_same_form():
    out = io.StringIO()
    configure("matcher", stream=out)

    logging.getLogger("aiokafka.conn").warning("node %s is away", 3)
    logging.getLogger("aiokafka.conn").info("not heard")

    [line] = lines(out)
    assert (line["message"], line["logger"], line["level"], line["service"]) == (
        "node 3 is away",
        "aiokafka.conn",
        "warning",
        "matcher",
    )


def test_a_library_that_repeats_itself_is_bounded():
    out = io.StringIO()
    configure("matcher", stream=out)

    for n in range(1_000):
        logging.getLogger("aiokafka.conn").warning("node %s is away", n)

    assert len(lines(out)) == 5


def test_configuring_again_replaces_the_former_set_up():
    first, second = io.StringIO(), io.StringIO()
    configure("matcher", stream=first)
    configure("reasoner", stream=second)

    structlog.get_logger().info("one")
    logging.getLogger("aiokafka").warning("two")

    assert first.getvalue() == ""
    assert [line["service"] for line in lines(second)] == ["reasoner", "reasoner"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_shows_neither_locals_nor_the_input_that_was_refused(form):
    out = io.StringIO()
    configure("matcher", format=form, stream=out)

    card = "my card is 4929"

    def read(text):
        return Body(amount=text)

    try:
        read(card)
    except ValueError:
        structlog.get_logger().exception("cannot read")

    assert "ValidationError" in out.getvalue()
    assert "4929" not in out.getvalue()


def test_what_our_own_errors_say_is_told():
    out = io.StringIO()
    configure("matcher", stream=out)

    structlog.get_logger().error("closed", exc_info=Retryable("the broker is away"))

    assert lines(out)[0]["exception"] == ["shared.errors.Retryable: the broker is away"]


def test_what_an_exception_says_may_stand_in_a_debug_line():
    out = io.StringIO()
    configure("matcher", level="debug", stream=out)

    structlog.get_logger().debug("refused", exc_info=ValueError("my card is 4929"))

    assert lines(out)[0]["exception"] == ["builtins.ValueError: my card is 4929"]


def test_bound_context_is_in_every_line():
    out = io.StringIO()
    configure("matcher", stream=out)

    with structlog.contextvars.bound_contextvars(tenant="acme"):
        structlog.get_logger().info("one")
        logging.getLogger("aiokafka").warning("two")

    assert [line["tenant"] for line in lines(out)] == ["acme", "acme"]


def test_python_warnings_are_log_lines():
    out = io.StringIO()
    configure("matcher", stream=out)
    warnings.simplefilter("default")

    warnings.warn("soon gone", FutureWarning, stacklevel=1)

    assert "soon gone" in lines(out)[0]["message"]


def test_an_uncaught_exception_is_one_line_and_an_interrupt_is_left_alone(capsys):
    out = io.StringIO()
    configure("matcher", stream=out)

    sys.excepthook(ValueError, ValueError("my card is 4929"), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    [line] = lines(out)
    assert line["level"] == "critical"
    assert line["exception"] == ["builtins.ValueError"]
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_values_that_json_does_not_know_do_not_stop_a_line():
    out = io.StringIO()
    configure("matcher", stream=out)

    structlog.get_logger().info("odd", ratio=float("nan"), when=object())
    structlog.get_logger().info("odd", broken="\ud800")

    assert lines(out)[0]["ratio"] == "NaN"
    assert lines(out)[1]["broken"] == "\ud800"


def test_the_canonical_line_names_the_record_and_leaves_out_what_is_empty():
    out = io.StringIO()
    configure("matcher", stream=out)

    canonical(
        structlog.get_logger(),
        topic="turns.opened",
        partition=3,
        offset=17,
        outcome="matched",
        duration_seconds=0.25,
        tenant="acme",
        candidates=20,
    )

    [line] = lines(out)
    assert {k: v for k, v in line.items() if k not in {"time", "logger", "service", "level"}} == {
        "message": "record handled",
        "topic": "turns.opened",
        "partition": 3,
        "offset": 17,
        "outcome": "matched",
        "duration_seconds": 0.25,
        "tenant": "acme",
        "candidates": 20,
    }
