"""The concurrent stage on the broker in memory, in virtual time."""

import asyncio

import pytest

from shared.errors import Fatal, Invalid, Retryable
from shared.stage.concurrent import REJOIN_SECONDS
from shared.stage.errors import OwnershipLost
from shared.stage.ports import Committed
from shared.telemetry.health import Health
from tests.unit.shared.stage.concurrent_world import Echo


def test_outputs_are_acknowledged_before_their_record_counts_as_done(simulate):
    async def scenario(world):
        world.put(b"1")
        handler = Echo()
        async with world.stage(handler):
            await asyncio.sleep(1)
            assert world.out() == [b"1"]
            assert handler.known == [b"1"]
            assert world.committed() == Committed(1, "")

    simulate(scenario)


def test_a_key_is_worked_in_order_and_keys_at_once(simulate):
    async def scenario(world):
        world.put(b"a1", b"a2", key=b"a")
        world.put(b"b1", key=b"b")
        handler = Echo(seconds=1.0)
        async with world.stage(handler):
            await asyncio.sleep(1.5)
            assert sorted(world.out()) == [b"a1", b"b1"]
            await asyncio.sleep(1)
            assert world.out()[-1] == b"a2"
            assert handler.peak == 2

    simulate(scenario)


def test_a_slow_record_does_not_hold_back_what_lies_behind_it_after_a_kill(simulate):
    """The commit names what is done beyond the slow one, so the successor repeats the slow one alone."""

    async def scenario(world):
        slow, successor = Echo(), Echo()
        client = world.broker.connect()
        never = asyncio.Event()
        handle = slow.handle

        async def stuck_on_the_first(record):
            if record.value == b"slow":
                await never.wait()
            return await handle(record)

        slow.handle = stuck_on_the_first
        world.put(b"slow", key=b"s")
        for number in range(100):
            world.put(b"%d" % number, key=b"%d" % number)
        async with world.stage(slow, client=client) as running:
            await asyncio.sleep(5)
            assert world.committed().offset == 0
            client.kill()
            running.cancel()
            await asyncio.wait([running])
            async with world.stage(successor):
                await asyncio.sleep(5)
            assert successor.begun == [b"slow"]
            assert world.committed() == Committed(101, "")

    simulate(scenario)


def test_watched_records_are_observed_and_never_handled(simulate):
    async def scenario(world):
        world.put(b"w", topic="watched")
        world.put(b"1")
        handler = Echo()
        async with world.stage(handler, watches=["watched"]):
            await asyncio.sleep(1)
            assert set(handler.observed) == {("in", b"1"), ("watched", b"w")}
            assert handler.begun == [b"1"]
            assert world.committed("watched") == Committed(1, "")

    simulate(scenario)


def test_a_record_is_observed_before_its_turn_to_be_handled_comes(simulate):
    async def scenario(world):
        world.put(b"1", b"2")
        handler = Echo(seconds=60.0)
        async with world.stage(handler) as running:
            await asyncio.sleep(1)
            assert {value for _, value in handler.observed} == {b"1", b"2"}
            assert handler.begun == [b"1"]
            running.stop()

    simulate(scenario, drain_seconds=0)


def test_what_is_fetched_across_an_assignment_is_observed_before_it_is_fetched_again(simulate):
    async def scenario(world):
        world.put(b"1")
        handler = Echo()
        note = handler.observe

        def observe(record):
            note(record)
            world.broker.fail("fetch", Retryable("away", retry_after_seconds=1_000.0))

        handler.observe = observe
        async with world.stage(handler):
            await asyncio.sleep(5)
            assert handler.observed == [("in", b"1")]
            assert handler.begun == []

    simulate(scenario)


def test_what_passes_is_tried_again_in_place_and_other_keys_go_on(simulate):
    async def scenario(world):
        world.put(b"a1", b"a2", key=b"a")
        world.put(b"b1", key=b"b")
        handler = Echo()
        handler.raising[b"a1"] = [Retryable("busy"), Retryable("busy")]
        async with world.stage(handler):
            await asyncio.sleep(10)
        assert world.out() == [b"b1", b"a1", b"a2"]

    simulate(scenario)


def test_news_of_a_key_ends_its_wait_for_the_next_attempt(simulate):
    async def scenario(world):
        world.put(b"1")
        handler = Echo()
        handler.raising[b"1"] = [Retryable("busy", retry_after_seconds=1_000.0)]
        async with world.stage(handler):
            await asyncio.sleep(5)
            world.put(b"2")
            await asyncio.sleep(5)
            assert world.out() == [b"1", b"2"]

    simulate(scenario)


def test_what_never_passes_is_dead_lettered_and_the_key_goes_on(simulate):
    async def scenario(world):
        world.put(b"bad", b"worse", b"good")
        handler = Echo()
        handler.raising[b"bad"] = Invalid("bad_body", "field x")
        handler.raising[b"worse"] = Retryable("away")
        async with world.stage(handler):
            await asyncio.sleep(60)
        assert world.out() == [b"good"]
        assert world.out("dead.letters") == [b"bad", b"worse"]
        assert handler.begun.count(b"worse") == 3
        assert handler.known == [b"good"]
        assert world.committed() == Committed(3, "")

    simulate(scenario, retry_attempts_max=3)


def test_rejected_records_never_stop_a_stage_and_leave_at_a_bounded_rate(simulate):
    async def scenario(world):
        bad = [b"%d" % number for number in range(40)]
        world.put(*bad)
        handler = Echo()
        handler.raising = {value: Invalid("bad_body", "x") for value in bad}
        async with world.stage(handler):
            await asyncio.sleep(5)
            assert 20 <= len(world.out("dead.letters")) <= 32
            await asyncio.sleep(30)
            world.put(b"good")
            await asyncio.sleep(5)
        assert sorted(world.out("dead.letters")) == sorted(bad)
        assert world.out() == [b"good"]

    simulate(scenario, dead_letters_per_second=2.0, in_flight_max=2, read_ahead_max=2)


def test_fatal_stops_and_commits_nothing(simulate):
    async def scenario(world):
        world.put(b"1", b"2")
        handler = Echo()
        handler.raising[b"1"] = Fatal("no key")
        with pytest.raises(Fatal, match="no key"):
            async with world.stage(handler):
                await asyncio.sleep(10)
        assert world.committed() is None

    simulate(scenario)


def test_at_most_so_many_records_are_in_flight(simulate):
    async def scenario(world):
        for number in range(200):
            world.put(b"%d" % number, key=b"%d" % number)
        handler = Echo(seconds=1.0)
        async with world.stage(handler):
            await asyncio.sleep(0.5)
            assert handler.running == 20
            await asyncio.sleep(30)
        assert handler.peak == 20
        assert len(world.out()) == 200

    simulate(scenario, in_flight_max=20)


def test_a_flood_of_one_tenant_does_not_stand_before_the_others(simulate):
    """A hundred records of one tenant, a second each, four at once: the other's next one waits for one place."""

    async def scenario(world):
        for number in range(100):
            world.put(b"loud %d" % number, key=b"loud:%d" % number)
        world.put(b"quiet 1", key=b"quiet:1")
        handler = Echo(seconds=1.0)
        async with world.stage(handler):
            await asyncio.sleep(0.5)
            assert handler.begun == [b"loud %d" % number for number in range(4)]
            await asyncio.sleep(1.0)
            assert b"quiet 1" in handler.begun
            world.put(b"quiet 2", key=b"quiet:2")
            await asyncio.sleep(1.5)
            assert b"quiet 2" in handler.begun
            await asyncio.sleep(30)
        assert handler.peak == 4
        assert len(world.out()) == 102

    simulate(scenario, in_flight_max=4, read_ahead_max=200)


def test_conversations_that_never_pause_do_not_keep_their_places(simulate):
    """Each loud key has its next record at hand when one is done; the place is the quiet tenant's all the same."""

    async def scenario(world):
        for number in range(40):
            world.put(b"loud %d" % number, key=b"loud:%d" % (number % 4))
        world.put(b"quiet", key=b"quiet:1")
        handler = Echo(seconds=1.0)
        async with world.stage(handler):
            await asyncio.sleep(1.5)
            assert b"quiet" in handler.begun
            await asyncio.sleep(20)
        loud = [int(value.split()[1]) for value in handler.begun if value.startswith(b"loud")]
        assert all([n for n in loud if n % 4 == key] == list(range(key, 40, 4)) for key in range(4))

    simulate(scenario, in_flight_max=4, read_ahead_max=200)


def test_beyond_what_is_read_ahead_a_flood_stands_before_the_others(simulate):
    """The limit that is told of in shared/stage/concurrent.py; a budget of turns is what helps there."""

    async def scenario(world):
        for number in range(100):
            world.put(b"loud %d" % number, key=b"loud:%d" % number)
        world.put(b"quiet", key=b"quiet:1")
        handler = Echo(seconds=1.0)
        async with world.stage(handler):
            await asyncio.sleep(10)
            assert b"quiet" not in handler.begun
            await asyncio.sleep(30)
        assert b"quiet" in handler.begun

    simulate(scenario, in_flight_max=4, read_ahead_max=8)


def test_what_waits_for_a_place_is_given_back_at_the_end(simulate):
    async def scenario(world):
        for number in range(50):
            world.put(b"%d" % number, key=b"a:%d" % number)
        handler = Echo(seconds=1.0)
        async with world.stage(handler):
            await asyncio.sleep(0.5)
        assert len(handler.begun) == 4
        assert world.committed().offset == 4
        again = Echo()
        async with world.stage(again):
            await asyncio.sleep(1.0)
        assert len(again.begun) == 46

    simulate(scenario, in_flight_max=4, read_ahead_max=200)


def test_a_saturated_stage_goes_on_polling(simulate):
    """A group gives up a member that does not poll; a full stage fetches nothing, but fetches."""

    async def scenario(world):
        for number in range(20):
            world.put(b"%d" % number, key=b"%d" % number)
        client = world.broker.connect()
        polls = []
        step = client.step

        async def counted(operation):
            polls.append(operation)
            return await step(operation)

        client.step = counted
        handler = Echo(seconds=100.0)
        async with world.stage(handler, client=client):
            await asyncio.sleep(50)
            assert polls.count("fetch") > 100
            assert handler.running == 10

    simulate(scenario, in_flight_max=10)


def test_the_span_holds_a_position_back_until_its_oldest_record_is_done(simulate):
    async def scenario(world):
        for number in range(100):
            world.put(b"%d" % number, key=b"%d" % number)
        world.put(b"elsewhere", partition=1, key=b"e")
        handler = Echo()
        release = asyncio.Event()
        handle = handler.handle

        async def first_is_slow(record):
            if record.value == b"0":
                await release.wait()
            return await handle(record)

        handler.handle = first_is_slow
        async with world.stage(handler):
            await asyncio.sleep(5)
            assert sorted(world.out()) == sorted([b"elsewhere", *(b"%d" % number for number in range(1, 10))])
            release.set()
            await asyncio.sleep(5)
            assert len(world.out()) == 101

    simulate(scenario, span_max=10)


def test_kept_work_goes_on_through_a_rebalance_and_lost_work_is_cancelled(simulate):
    async def scenario(world):
        world.put(b"p0", partition=0, key=b"0")
        world.put(b"p1", partition=1, key=b"1")
        first, second = Echo(seconds=10.0), Echo()
        async with world.stage(first):
            await asyncio.sleep(1)
            async with world.stage(second):
                await asyncio.sleep(20)
                assert len(first.cancelled) == len(second.begun) == 1
                assert sorted(world.out()) == [b"p0", b"p1"]
                assert len(first.begun) == 2

    simulate(scenario)


def test_outputs_are_held_while_ownership_is_in_doubt(simulate):
    """A member that is slow to give up its tasks keeps the group in doubt; nothing is written until it is over."""

    async def scenario(world):
        world.put(b"1")
        handler = Echo(seconds=2.0)
        client = world.broker.connect()
        async with world.stage(handler, client=client):
            await asyncio.sleep(1)
            bystander = world.broker.connect().group("stage", ["in"])

            class Slow:
                async def revoked(self, _tasks):
                    await asyncio.sleep(10)

                async def assigned(self, _tasks):
                    pass

            await bystander.start(Slow())
            await asyncio.sleep(0.5)
            world.broker.rebalance("stage")
            await asyncio.sleep(5)
            assert handler.running == 0
            assert world.out() == []
            await bystander.stop()
            await asyncio.sleep(20)
            assert world.out() == [b"1"]
            assert handler.begun == [b"1"]

    simulate(scenario)


def test_a_member_that_was_given_up_and_comes_back_repeats_at_most_what_was_under_way(simulate):
    async def scenario(world):
        handler = Echo(seconds=0.5)
        client = world.broker.connect()
        async with world.stage(handler, client=client):
            for number in range(50):
                world.put(b"%d" % number, key=b"%d" % number)
                await asyncio.sleep(0.1)
                if number == 25:
                    client.expel()
            await asyncio.sleep(5)
        assert set(world.out()) == {b"%d" % number for number in range(50)}
        assert world.committed() == Committed(50, "")

    simulate(scenario)


def test_a_task_that_another_owned_meanwhile_is_not_taken_for_kept(simulate):
    """The process missed a generation: what it has under way may be done, and its progress lies behind."""

    async def scenario(world):
        handler, other = Echo(seconds=30.0), Echo()
        client = world.broker.connect()
        async with world.stage(handler, client=client):
            world.put(b"1")
            await asyncio.sleep(1)
            # It hears of nothing: no revocation, no new assignment, until the other has done the work and left.
            client.groups[-1]._rejoin = lambda: None
            client.expel()
            async with world.stage(other):
                await asyncio.sleep(5)
            assert world.out() == [b"1"]
            del client.groups[-1]._rejoin
            await asyncio.sleep(60)
            assert handler.cancelled == [b"1"]
            assert world.out() == [b"1"]

    simulate(scenario)


def test_a_refused_commit_is_made_up_for(simulate):
    async def scenario(world):
        world.broker.fail("commit", Retryable("coordinator moves"), times=3)
        world.put(b"1")
        async with world.stage(Echo()):
            await asyncio.sleep(5)
            assert world.committed() == Committed(1, "")

    simulate(scenario)


def test_a_membership_that_refused_commits_is_not_held_against_the_next_one(simulate):
    """Each membership may refuse commits for `REJOIN_SECONDS`; the next one begins with a clean slate."""

    async def scenario(world):
        handler = Echo()
        async with world.stage(handler):
            await asyncio.sleep(1)
            world.broker.fail("commit", OwnershipLost("the generation is void"))
            world.put(b"1")
            await asyncio.sleep(REJOIN_SECONDS + 5)
            world.put(b"2")
            await asyncio.sleep(5)
            assert world.broker.coordinator("stage").generation <= 3
            assert world.committed() == Committed(2, "")
        assert world.out() == [b"1", b"1", b"2"]

    simulate(scenario)


def test_a_broken_membership_is_replaced(simulate):
    async def scenario(world):
        world.put(b"1")
        handler = Echo()
        async with world.stage(handler):
            await asyncio.sleep(1)
            world.broker.fail("fetch", OwnershipLost("the coordination died"))
            await asyncio.sleep(1)
            world.put(b"2")
            await asyncio.sleep(5)
        assert world.out() == [b"1", b"2"]
        assert handler.begun == [b"1", b"2"]

    simulate(scenario)


def test_a_broker_that_is_away_at_the_start_is_waited_for(simulate):
    async def scenario(world):
        world.broker.fail("start", Retryable("connection refused"), times=7)
        world.put(b"1")
        health = Health()
        async with world.stage(Echo(), health=health):
            assert not health.ready
            await asyncio.sleep(100)
            assert health.ready
        assert world.out() == [b"1"]
        assert not health.ready

    simulate(scenario)


def test_a_stop_while_the_broker_is_away_ends_at_once(simulate):
    async def scenario(world):
        world.broker.fail("start", Retryable("connection refused"), times=1_000)
        async with world.stage(Echo()) as running:
            await asyncio.sleep(100)
            running.stop()
            await asyncio.wait_for(running, 0.1)

    simulate(scenario)


def test_a_broker_that_goes_away_is_waited_for_with_outputs_in_hand(simulate):
    async def scenario(world):
        handler = Echo()
        async with world.stage(handler):
            await asyncio.sleep(1)
            world.broker.fail("send", Retryable("not now"), times=6)
            world.put(b"1")
            await asyncio.sleep(100)
        assert world.out() == [b"1"]
        assert handler.begun == [b"1"]

    simulate(scenario)


def test_draining_finishes_what_is_under_way_and_gives_the_rest_back(simulate):
    async def scenario(world):
        world.put(b"a1", b"a2", key=b"a")
        world.put(b"b1", key=b"b")
        handler = Echo(seconds=5.0)
        async with world.stage(handler) as running:
            await asyncio.sleep(1)
            running.stop()
            await asyncio.wait_for(running, 6)
        assert sorted(world.out()) == [b"a1", b"b1"]
        assert handler.begun == [b"a1", b"b1"]
        successor = Echo()
        async with world.stage(successor):
            await asyncio.sleep(1)
        assert successor.begun == [b"a2"]

    simulate(scenario)


def test_draining_ends_with_its_budget(simulate):
    async def scenario(world):
        world.put(b"1")
        handler = Echo(seconds=1_000.0)
        async with world.stage(handler) as running:
            await asyncio.sleep(1)
            running.stop()
            await asyncio.wait_for(running, 3)
        assert handler.cancelled == [b"1"]
        assert world.committed() is None

    simulate(scenario, drain_seconds=2)


def test_draining_gives_back_what_waits_for_its_next_attempt(simulate):
    async def scenario(world):
        world.put(b"1")
        handler = Echo()
        handler.raising[b"1"] = Retryable("busy", retry_after_seconds=1_000.0)
        async with world.stage(handler) as running:
            await asyncio.sleep(1)
            running.stop()
            await asyncio.wait_for(running, 1)
        assert world.committed() is None
        assert world.out("dead.letters") == []

    simulate(scenario)


def test_gaps_in_the_log_do_no_harm(simulate):
    async def scenario(world):
        for number in range(10):
            world.put(b"%d" % number)
            world.broker.skip("in", 0, offsets=number)
        async with world.stage(Echo()):
            await asyncio.sleep(5)
        assert world.out() == [b"%d" % number for number in range(10)]

    simulate(scenario)


def test_a_topic_that_was_recreated_is_read_from_its_new_beginning(simulate):
    """Its offsets lie below what was committed; taken for done, they would be skipped in silence."""

    async def scenario(world):
        world.put(*(b"old%d" % number for number in range(5)))
        async with world.stage(Echo()):
            await asyncio.sleep(1)
            world.broker.recreate("in")
            world.put(b"new0", b"new1")
            await asyncio.sleep(5)
        assert world.out()[5:] == [b"new0", b"new1"]
        assert world.committed() == Committed(2, "")
        assert world.lost() == 1

    simulate(scenario)


def test_records_deleted_before_they_were_read_are_counted_once_and_the_next_ones_handled(simulate):
    async def scenario(world):
        world.put(b"a", b"b")
        async with world.stage(Echo()):
            await asyncio.sleep(1)
        world.put(b"lost", b"lost", b"lost")
        world.broker.delete_records("in", 0, 5)
        for _ in range(2):
            async with world.stage(Echo()):
                await asyncio.sleep(1)
        assert world.committed() == Committed(5, "")
        assert world.lost() == 3
        world.put(b"c")
        async with world.stage(Echo()):
            await asyncio.sleep(1)
        assert world.out() == [b"a", b"b", b"c"]
        assert world.lost() == 3

    simulate(scenario)


def test_records_deleted_while_a_stage_has_no_room_are_counted_and_what_is_under_way_goes_on(simulate):
    async def scenario(world):
        world.put(b"a", b"b", b"lost", b"lost")
        async with world.stage(Echo(seconds=3)):
            await asyncio.sleep(1)
            world.broker.delete_records("in", 0, 4)
            world.put(b"c")
            await asyncio.sleep(20)
        assert world.out() == [b"a", b"b", b"c"]
        assert world.committed() == Committed(5, "")
        assert world.lost() == 2

    simulate(scenario, in_flight_max=1, read_ahead_max=1)
