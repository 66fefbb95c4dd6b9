"""What nobody foresaw costs its record alone: the concurrent stage on the broker in memory, in virtual time."""

import asyncio

import pytest

from shared.errors import Fatal, Invalid, Retryable
from shared.stage.ports import Committed
from shared.stage.unexpected import ends_the_stage
from tests.unit.shared.stage.concurrent_world import Echo


class SdkError(Exception):
    """As a library of others raises it."""


UNEXPECTED = [
    RecursionError("maximum recursion depth exceeded"),
    UnicodeEncodeError("utf-8", "my card is \ud83d", 11, 12, "surrogates not allowed"),
    ValueError("Port out of range 0-65535"),
    KeyError("usage"),
    TypeError("unhashable"),
    OverflowError("int too large"),
    TimeoutError(),
    SdkError(),
    ExceptionGroup("several", [ValueError(), ExceptionGroup("inner", [KeyError()])]),
    BaseExceptionGroup("a library's own cancellation", [asyncio.CancelledError(), SdkError()]),
    asyncio.CancelledError(),
]


def names(error):
    return type(error).__name__


@pytest.fixture
def count(registry):
    def of(during):
        labels = {"stage": "matcher", "during": during}
        return registry.get_sample_value("holdfast_unexpected_errors_total", labels) or 0

    return of


@pytest.mark.parametrize("error", UNEXPECTED, ids=names)
def test_it_is_tried_so_often_then_given_up_and_the_rest_goes_on(simulate, count, error):
    async def scenario(world):
        world.put(b"bad", b"good")
        world.put(b"other", partition=1, key=b"o")
        handler = Echo()
        handler.raising[b"bad"] = error
        handler.farewell = b"%s: %s"
        async with world.stage(handler):
            await asyncio.sleep(10)
            assert world.committed() == Committed(2, "")
        assert sorted(world.out()) == [b"good", b"other"]
        assert world.out("ended") == [b"bad: unexpected_error"]
        assert world.out("dead.letters") == []
        assert handler.begun.count(b"bad") == 3
        assert count("handle") == 3

    simulate(scenario, unexpected_attempts_max=3)


def test_a_storm_of_them_does_not_end_the_stage(simulate):
    async def scenario(world):
        handler = Echo()
        for number in range(300):
            world.put(b"bad %d" % number, key=b"%d" % number)
            handler.raising[b"bad %d" % number] = RecursionError()
        world.put(b"good", key=b"g")
        handler.farewell = b"%s: %s"
        async with world.stage(handler):
            await asyncio.sleep(30)
        assert world.out() == [b"good"]
        assert len(world.out("ended")) == 300

    simulate(scenario, restarts_max=0)


def test_one_that_does_not_come_again_costs_a_retry(simulate):
    async def scenario(world):
        world.put(b"1", b"2")
        handler = Echo()
        handler.raising[b"1"] = [KeyError()]
        async with world.stage(handler):
            await asyncio.sleep(10)
        assert world.out() == [b"1", b"2"]

    simulate(scenario)


@pytest.mark.parametrize("farewell", [None, RecursionError(), Invalid("bad_body", "no turn in it")], ids=repr)
def test_where_nothing_can_be_said_about_it_the_record_is_a_dead_letter(simulate, farewell):
    async def scenario(world):
        world.put(b"bad", b"good")
        handler = Echo()
        handler.raising[b"bad"] = UNEXPECTED[1]
        handler.farewell = farewell
        async with world.stage(handler):
            await asyncio.sleep(10)
        [letter] = world.broker.records("dead.letters")
        headers = dict(letter.headers)
        assert (letter.value, headers["x-holdfast-reason"]) == (b"bad", b"unexpected_error")
        assert b"UnicodeEncodeError" in headers["__connect.errors.exception.message"]
        assert b"my card" not in b"".join(headers.values())
        assert world.out() == [b"good"]

    simulate(scenario)


def test_an_output_too_large_gives_its_record_up_and_is_no_dead_letter(simulate):
    async def scenario(world):
        world.put(b"1", b"2")
        world.broker.fail("send", Invalid("output_too_large", "2 MiB"))
        handler = Echo()
        handler.farewell = b"%s: %s"
        async with world.stage(handler):
            await asyncio.sleep(1)
        assert world.out() == [b"2"]
        assert world.out("ended") == [b"1: output_too_large"]
        assert world.out("dead.letters") == []

    simulate(scenario)


def test_an_output_too_large_of_which_nothing_can_be_said_is_a_dead_letter(simulate):
    async def scenario(world):
        world.put(b"1", b"2")
        world.broker.fail("send", Invalid("output_too_large", "2 MiB"))
        async with world.stage(Echo()):
            await asyncio.sleep(1)
        assert world.out() == [b"2"]
        assert world.out("dead.letters") == [b"1"]

    simulate(scenario)


@pytest.mark.parametrize("error", [Invalid("output_too_large", "2 MiB"), ValueError("a header that is None")])
def test_a_letter_that_cannot_be_written_goes_without_its_value(simulate, error):
    async def scenario(world):
        world.put(b"1")
        handler = Echo()
        handler.raising[b"1"] = Invalid("bad_body", "x")
        world.broker.fail("send", error)
        async with world.stage(handler):
            await asyncio.sleep(1)
        assert world.out("dead.letters") == [None]

    simulate(scenario)


def test_what_cannot_be_read_is_a_dead_letter_and_what_waits_for_it_is_told(simulate):
    async def scenario(world):
        world.put(b"bad")
        handler = Echo()
        handler.raising[b"bad"] = Invalid("bad_body", "x")
        handler.farewell = b"%s: %s"
        async with world.stage(handler):
            await asyncio.sleep(1)
        assert (world.out("dead.letters"), world.out("ended")) == ([b"bad"], [b"bad: bad_body"])

    simulate(scenario)


def test_what_waited_for_something_for_too_long_is_given_up(simulate):
    async def scenario(world):
        world.put(b"1")
        handler = Echo()
        handler.raising[b"1"] = Retryable("away")
        handler.farewell = b"%s: %s"
        async with world.stage(handler):
            await asyncio.sleep(100)
        assert world.out("ended") == [b"1: retries_exhausted"]
        assert world.out("dead.letters") == []

    simulate(scenario, retry_attempts_max=3)


@pytest.mark.parametrize("method", ["observe", "acknowledged"])
def test_a_note_that_cannot_be_taken_costs_nothing(simulate, count, method):
    async def scenario(world):
        class Forgetful(Echo):
            pass

        def broken(_self, record):
            raise KeyError(record.value)

        setattr(Forgetful, method, broken)
        world.put(b"1", b"2")
        async with world.stage(Forgetful()):
            await asyncio.sleep(1)
            assert world.committed() == Committed(2, "")
        assert world.out() == [b"1", b"2"]
        assert count({"observe": "observe", "acknowledged": "acknowledge"}[method]) >= 2

    simulate(scenario)


def test_a_commit_that_fails_oddly_is_made_again(simulate, count):
    async def scenario(world):
        world.put(b"1")
        world.broker.fail("commit", ValueError("offset must not be negative"), times=3)
        async with world.stage(Echo()):
            await asyncio.sleep(10)
            assert world.committed() == Committed(1, "")
        assert count("commit") == 3

    simulate(scenario)


def test_a_producer_that_writes_nothing_any_more_ends_the_process_and_nothing_is_passed_over(simulate):
    async def scenario(world):
        world.put(b"1")
        world.broker.fail("send", AttributeError("closed"), times=1_000)
        with pytest.raises(Fatal, match="3 unexpected errors"):
            async with world.stage(Echo()):
                await asyncio.sleep(100)
        assert world.committed() is None

    simulate(scenario, restarts_max=2)


@pytest.mark.parametrize(
    "error",
    [Fatal("no key"), MemoryError(), ExceptionGroup("several", [ValueError(), MemoryError()])],
    ids=names,
)
def test_what_is_the_process_s_own_ends_the_stage_at_once(simulate, error):
    async def scenario(world):
        world.put(b"1", b"2")
        handler = Echo()
        handler.raising[b"1"] = error
        handler.farewell = b"%s: %s"
        with pytest.raises(type(error)):
            async with world.stage(handler):
                await asyncio.sleep(10)
        assert handler.begun.count(b"1") == 1
        assert world.committed() is None
        assert world.out("ended") == []

    simulate(scenario)


@pytest.mark.parametrize("error", UNEXPECTED, ids=names)
def test_nothing_that_comes_in_ends_the_stage(error):
    assert not ends_the_stage(error)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()], ids=names)
def test_the_end_of_the_interpreter_is_no_record_s(error):
    assert ends_the_stage(error)
