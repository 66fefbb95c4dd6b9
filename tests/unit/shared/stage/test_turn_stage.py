"""What the frame around a model stage does with a turn's record."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from shared.errors import Invalid, Retryable
from shared.events.codec import decode, encode
from shared.events.envelope import Envelope
from shared.events.topics import TOPICS, TURNS_FINISHED, TURNS_MATCHED, TURNS_OPENED, TURNS_VERIFIED
from shared.events.turns import FinishResult, Turn, TurnFinished, TurnOpened
from shared.stage import turn_stage
from shared.stage.base import Record
from shared.stage.turn_stage import TurnStage

START = datetime.fromtimestamp(1_000.0, UTC)


def opened(epoch=1, leg=1, *, deadline_seconds=30.0, tenant="acme", offset=0, topic=TURNS_OPENED, traceparent=""):
    turn = Turn(
        id=f"t{epoch}",
        tenant=tenant,
        conversation="c",
        epoch=epoch,
        leg=leg,
        agent="a",
        playbook_version="v",
        opened_at=START,
        deadline=START + timedelta(seconds=deadline_seconds),
    )
    headers, value = encode(
        Envelope(
            id=f"e{epoch}.{leg}",
            source="/tenants/acme/conversations",
            type="turn.opened",
            time=START,
            subject="c",
            data=TurnOpened(turn=turn, covers=("m",), transcript=()),
            traceparent=traceparent,
        )
    )
    return Record(topic, 0, offset, 1_000_000, b"acme:c", value, headers)


class Work:
    """Finishes the turn after `seconds`."""

    def __init__(self, seconds=0.0, error=None, products=1):
        self.seconds, self.error, self.products, self.calls = seconds, error, products, 0

    async def process(self, event):
        self.calls += 1
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        turn = event.data.turn
        body = TurnFinished(turn=turn, stage="matcher", result=FinishResult.FAILED, reason="why")
        return [(TURNS_FINISHED, "turn.finished", body)] * self.products


@pytest.fixture
def make_stage(metrics, settings):
    def make(work, *, clock=None, directory=None, **changes):
        return TurnStage(
            "matcher",
            work,
            inputs=[TURNS_OPENED],
            settings=settings.model_copy(update=changes),
            metrics=metrics,
            clock=clock or asyncio.get_running_loop().time,
            directory=directory,
        )

    return make


@pytest.fixture
def results(registry):
    def count(result):
        return registry.get_sample_value("holdfast_stage_events_total", {"stage": "matcher", "result": result}) or 0

    return count


def test_the_envelope_is_filled_around_the_body(virtual, make_stage, results):
    async def scenario():
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        (output,) = await make_stage(Work()).handle(opened(traceparent=parent))
        event = decode(TOPICS[TURNS_FINISHED].types, output.key, output.headers, output.value)
        assert (output.topic, output.key) == (TURNS_FINISHED, b"acme:c")
        assert (event.type, event.source, event.subject) == ("turn.finished", "/tenants/acme/matcher", "c")
        assert (event.correlation_id, event.causation_id) == ("t1", "e1.1")
        assert event.data.reason == "why"
        assert event.traceparent.startswith("00-0af7651916cd43dd8448eb211c80319c-")
        assert event.traceparent != parent
        assert results("done") == 1

    virtual(scenario())


def test_a_repetition_writes_the_same_id_and_another_leg_another(virtual, make_stage):
    async def scenario():
        def ids(outputs):
            return [dict(output.headers)["ce_id"] for output in outputs]

        once = ids(await make_stage(Work()).handle(opened()))
        assert ids(await make_stage(Work()).handle(opened())) == once
        assert ids(await make_stage(Work()).handle(opened(leg=2))) != once

    virtual(scenario())


def test_a_repeated_input_costs_nothing_once_its_output_is_in_the_log(virtual, make_stage, results, registry):
    async def scenario():
        work = Work()
        stage = make_stage(work)
        record = opened()
        assert await stage.handle(record)
        # Not acknowledged yet: the output may be lost, so the work is done again.
        assert await stage.handle(record)
        stage.acknowledged(record)
        assert await stage.handle(replace(record, offset=9)) == []
        assert work.calls == 2
        assert results("duplicate") == 1
        assert registry.get_sample_value("holdfast_dedupe_hits_total", {"stage": "matcher"}) == 1

    virtual(scenario())


def test_a_turn_past_its_deadline_is_dropped(virtual, make_stage, results):
    async def scenario():
        work = Work()
        assert await make_stage(work).handle(opened(deadline_seconds=0.0)) == []
        assert work.calls == 0
        assert results("expired") == 1

    virtual(scenario())


@pytest.mark.parametrize("ahead_seconds", [600.0, -600.0])
def test_a_clock_apart_from_the_ledger_s_neither_ends_a_turn_early_nor_late(
    virtual, make_stage, results, registry, ahead_seconds
):
    async def scenario():
        clock = asyncio.get_running_loop().time
        stage = make_stage(Work(seconds=29.0), clock=lambda: clock() + ahead_seconds)
        fresh = replace(opened(), fresh=True)
        stage.observe(fresh)
        assert len(await stage.handle(fresh)) == 1
        late = opened(epoch=2, offset=1)
        stage.observe(late)
        assert await stage.handle(late) == [], "29 of its 30 seconds are over"
        assert (results("done"), results("expired")) == (1, 1)
        assert registry.get_sample_value("holdfast_clock_lead_seconds", {"stage": "matcher"}) == pytest.approx(
            ahead_seconds, abs=30.0
        )
        assert registry.get_sample_value("holdfast_event_age_seconds_sum", {"stage": "matcher"}) == pytest.approx(29.0)

    virtual(scenario())


def test_a_backlog_is_not_taken_for_a_clock_that_is_ahead(virtual, make_stage, results):
    async def scenario():
        clock = asyncio.get_running_loop().time
        stage = make_stage(Work(), clock=lambda: clock() + 600.0)
        stage.observe(opened())
        assert await stage.handle(opened()) == []
        assert results("expired") == 1

    virtual(scenario())


def test_work_ends_at_the_deadline(virtual, make_stage, results):
    async def scenario():
        started = asyncio.get_running_loop().time()
        assert await make_stage(Work(seconds=100.0)).handle(opened(deadline_seconds=30.0)) == []
        assert asyncio.get_running_loop().time() - started == pytest.approx(30.0)
        assert results("expired") == 1

    virtual(scenario())


def test_a_newer_turn_ends_the_work_on_an_older_one(virtual, make_stage, results):
    async def scenario():
        stage = make_stage(Work(seconds=10.0))
        stage.observe(opened(1))
        asyncio.get_running_loop().call_later(1, stage.observe, opened(2))
        started = asyncio.get_running_loop().time()
        assert await stage.handle(opened(1)) == []
        assert asyncio.get_running_loop().time() - started == pytest.approx(1.0)
        assert await stage.handle(opened(2))
        assert results("superseded") == 1

    virtual(scenario())


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b'{"turn": 1}'])
def test_what_cannot_be_read_is_observed_in_silence_and_refused_when_handled(virtual, make_stage, value):
    async def scenario():
        stage = make_stage(Work())
        record = replace(opened(), value=value)
        stage.observe(record)
        with pytest.raises(Invalid):
            await stage.handle(record)

    virtual(scenario())


def test_a_turn_of_another_tenant_than_the_key_is_refused(virtual, make_stage):
    async def scenario():
        work = Work()
        with pytest.raises(Invalid, match="another conversation"):
            await make_stage(work).handle(opened(tenant="other"))
        assert work.calls == 0

    virtual(scenario())


@pytest.mark.parametrize("error", [Retryable("away"), Invalid("bad", "x"), TimeoutError(), ZeroDivisionError()])
def test_an_error_of_the_work_passes_through(virtual, make_stage, error):
    async def scenario():
        with pytest.raises(type(error)):
            await make_stage(Work(error=error)).handle(opened())

    virtual(scenario())


@pytest.mark.parametrize(
    "error",
    [RecursionError(), BaseExceptionGroup("a library's", [asyncio.CancelledError(), ValueError()])],
    ids=lambda error: type(error).__name__,
)
def test_work_that_ends_oddly_when_it_is_cut_short_is_superseded_or_expired_all_the_same(
    virtual, make_stage, results, error
):
    class Odd(Work):
        async def process(self, _event):
            try:
                await asyncio.sleep(100.0)
            finally:
                raise error

    async def scenario():
        stage = make_stage(Odd())
        asyncio.get_running_loop().call_later(1, stage.observe, opened(2))
        assert await stage.handle(opened(1)) == []
        assert await stage.handle(opened(2)) == []
        assert (results("superseded"), results("expired")) == (1, 1)

    virtual(scenario())


class Given:
    """A directory of one playbook."""

    def __init__(self, when_failed):
        self.playbook = SimpleNamespace(verification=SimpleNamespace(when_failed=when_failed))

    def version(self, tenant, agent, version):
        return self.playbook if (tenant, agent, version) == ("acme", "a", "v") else None


class Broken:
    def version(self, *_):
        raise RecursionError


def later(record, ce_type, body):
    """The record of a later stage about the same turn, as far as *body* goes."""
    headers = [(name, ce_type.encode() if name == "ce_type" else value) for name, value in record.headers]
    return replace(record, headers=tuple(headers), value=json.dumps(body).encode())


def finished(outputs):
    (output,) = outputs
    return output, decode(TOPICS[output.topic].types, output.key, output.headers, output.value)


@pytest.mark.parametrize(
    ("directory", "result", "fallback"),
    [
        (None, FinishResult.FAILED, "failed"),
        (Given("fallback"), FinishResult.FAILED, "failed"),
        (Given("hand_off"), FinishResult.HAND_OFF, "hand_off"),
        (Broken(), FinishResult.FAILED, "failed"),
    ],
)
def test_a_turn_that_is_given_up_ends_with_the_playbook_s_fallback(virtual, make_stage, directory, result, fallback):
    async def scenario():
        stage = make_stage(Work(), directory=directory)
        output, event = finished(stage.given_up(opened(leg=2), "unexpected_error"))
        assert (output.topic, output.key) == (TURNS_FINISHED, b"acme:c")
        assert (event.data.result, event.data.fallback) == (result, fallback)
        assert (event.data.reason, event.data.stage, event.data.turn.leg) == ("unexpected_error", "matcher", 2)
        assert (event.correlation_id, event.causation_id) == ("t1", "e1.2")

    virtual(scenario())


@pytest.mark.parametrize(("ce_type", "topic"), [("turn.matched", TURNS_FINISHED), ("turn.drafted", TURNS_VERIFIED)])
def test_nothing_but_its_turn_need_be_readable(virtual, make_stage, ce_type, topic):
    async def scenario():
        head = {"opened": {"turn": json.loads(opened().value)["turn"], "transcript": 7}, "matching": [], "draft": 1}
        output, event = finished(make_stage(Work()).given_up(later(opened(), ce_type, head), "unexpected_error"))
        assert (output.topic, event.data.turn.id) == (topic, "t1")

    virtual(scenario())


def test_a_turn_once_given_up_is_not_worked_on_again(virtual, make_stage):
    async def scenario():
        work = Work()
        stage = make_stage(work)
        stage.given_up(opened(), "unexpected_error")
        stage.acknowledged(opened())
        assert await stage.handle(opened(offset=9)) == []
        assert work.calls == 0

    virtual(scenario())


@pytest.mark.parametrize(
    "record", [opened(tenant="other"), replace(opened(), value=b"{}"), replace(opened(), value=None)]
)
def test_a_record_that_names_no_turn_of_its_own_gives_none_up(virtual, make_stage, record):
    async def scenario():
        with pytest.raises(Invalid):
            make_stage(Work()).given_up(record, "unexpected_error")

    virtual(scenario())


def test_a_log_that_cannot_be_written_costs_no_turn(virtual, make_stage, registry, monkeypatch):
    def broken(*_, **__):
        raise OSError(28, "No space left on device")

    async def scenario():
        monkeypatch.setattr(turn_stage, "canonical", broken)
        assert len(await make_stage(Work()).handle(opened())) == 1
        labels = {"stage": "matcher", "during": "account"}
        assert registry.get_sample_value("holdfast_unexpected_errors_total", labels) == 1

    virtual(scenario())


def test_two_products_of_one_type_are_a_bug(virtual, make_stage):
    async def scenario():
        with pytest.raises(ValueError, match="same id"):
            await make_stage(Work(products=2)).handle(opened())

    virtual(scenario())


def test_watched_topics_other_than_turns_opened_are_ignored(virtual, make_stage):
    async def scenario():
        stage = make_stage(Work())
        stage.observe(opened(5, topic=TURNS_MATCHED))
        assert await stage.handle(opened(1))

    virtual(scenario())
