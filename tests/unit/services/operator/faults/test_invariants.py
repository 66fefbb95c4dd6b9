"""
What the fault matrix judges beside the audit of the topics.
"""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from services.operator.adapters.fleet import Fleet, Member
from services.operator.adapters.watch import Exchange
from services.operator.faults import invariants
from services.operator.faults.post import canary
from shared.broker.local import free_port_base
from shared.errors import Fatal
from shared.events.turns import Outcome, Turn, TurnClosed

METRICS = """\
# TYPE holdfast_events_accepted counter
holdfast_events_accepted_total{type="message.posted"} 7.0
holdfast_events_accepted_total{type="mode.changed"} 2.0
# TYPE holdfast_event_outcomes counter
holdfast_event_outcomes_total{outcome="answered"} 4.0
holdfast_event_outcomes_total{outcome="superseded"} 1.0
"""


@pytest.fixture
def fleet(tmp_path):
    built = Fleet(tmp_path, {})
    for name in ("matcher-1", "verifier-1"):
        built.members[name] = Member(name, f"services.{name}", (), {}, tmp_path / f"{name}.log")
    return built


def test_counters_of_all_processes_together_must_be_what_the_topics_hold():
    scraped = {"conversations-1": METRICS, "conversations-2": METRICS}

    assert list(invariants.conserved(scraped, messages=14, turns=10)) == []
    assert list(invariants.conserved(scraped, messages=15, turns=10)) == [
        "I9: 14 messages accepted by the metrics, 15 on the topic"
    ]
    assert list(invariants.conserved(scraped, messages=14, turns=11)) == [
        "I9: 10 turns closed by the metrics, 11 on the topic"
    ]


def test_a_customer_s_word_in_a_log_or_a_metric_is_told(fleet):
    assert list(invariants.spoken(fleet, ["nothing here"])) == []

    fleet.members["verifier-1"].log.write_text(f"failed on {canary('blue')}")
    assert list(invariants.spoken(fleet, [f"m{{x='{canary('red')}'}} 1"])) == [
        "I4: the log of verifier-1 holds a canary",
        "I4: a metric holds a canary",
    ]


def test_turns_that_ran_out_of_time_are_told_with_the_first_and_the_last_of_them():
    opened = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def exchange(number, outcome):
        turn = Turn(
            id=f"t{number}",
            tenant="red",
            conversation=f"c{number}",
            epoch=1,
            agent="bank",
            playbook_version="v",
            deadline=opened + timedelta(minutes=1),
            opened_at=opened + timedelta(seconds=number),
        )
        closed = TurnClosed(turn=turn, outcome=outcome, reason="deadline", covers=(), closed_at=turn.deadline)
        return Exchange(f"c{number}", "?", closed, closed_ms=0, posted_ms=0)

    answered = exchange(1, Outcome.ANSWERED)

    assert list(invariants.in_time([answered])) == []
    [told] = invariants.in_time([exchange(9, Outcome.EXPIRED), answered, exchange(5, Outcome.EXPIRED)])
    assert told.startswith("2 turns expired")
    assert told.endswith("the first is t5 in c5, opened 12:00:05, the last t9, opened 12:00:09")


def test_model_calls_are_bounded_by_the_turns():
    assert list(invariants.bounded(400, 100)) == []
    assert list(invariants.bounded(401, 100)) == ["I8: 401 model calls for 100 turns, more than 4 each"]
    assert list(invariants.bounded(5, 0)), "without a turn there is nothing to call for"


def test_the_last_outcome_comes_within_a_minute_of_the_last_fault():
    assert list(invariants.quiet(60.0)) == []
    assert list(invariants.quiet(61.0)) == ["I10: the last outcome came 61 s after the last fault"]


def test_every_process_leaves_with_0_within_half_a_minute():
    assert list(invariants.left({"matcher-1": 0}, 30.0)) == []
    assert list(invariants.left({"matcher-1": 0, "verifier-1": -9}, 31.0)) == [
        "I12: verifier-1 left with exit code -9",
        "I12: the processes took 31 s to leave",
    ]


async def test_metrics_are_waited_for_where_a_process_has_just_been_started(fleet, monkeypatch):
    """A process that serves nothing yet is asked again; one that has ended is told of."""
    free_port = free_port_base()
    member = fleet.members["matcher-1"]
    member.environ = {"HOLDFAST_TELEMETRY_PORT": str(free_port)}
    fleet.members = {"matcher-1": member}
    member.log.write_text("the end")
    monkeypatch.setattr(Member, "alive", property(lambda _: next(lives)))

    lives = iter([True, False])
    with pytest.raises(Fatal, match="matcher-1 serves no metrics; the end of its log:\nthe end"):
        await invariants.scrape(fleet)

    lives = itertools.cycle([True])
    scraping = asyncio.create_task(invariants.scrape(fleet))
    await asyncio.sleep(0)
    server = await asyncio.start_server(_answer, "127.0.0.1", free_port)
    async with server:
        assert await scraping == {"matcher-1": "up 1"}


async def _answer(_, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nup 1")
    await writer.drain()
    writer.close()
