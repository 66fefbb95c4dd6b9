"""A tenant's own topic that brings too many rejected records is paused, alone, until an operator releases it."""

import asyncio
from dataclasses import replace

import pytest

from shared.errors import Invalid
from shared.stage.base import Output, Transition
from shared.stage.commit_group import Applied
from shared.stage.input_pause import INPUT_HEADER, Pauses, RejectedShare, input_released_by, paused_since
from shared.stage.ports import Committed, Position
from shared.stage.settings import StageSettings
from tests.unit.shared.stage.test_ledger import PARTITIONS, World, reasons

ACME, GLOBEX = "tenant.acme.conversation.events", "tenant.globex.conversation.events"
RELEASE = ((INPUT_HEADER, ACME.encode()),)


def share(**changes):
    return RejectedShare(StageSettings(**{f"tenant_topic_rejected_{name}": value for name, value in changes.items()}))


def noted(counting, *rejected):
    return [counting.note(rejected=bool(one)) for one in rejected]


def test_too_many_in_a_row_are_one_too_many():
    assert noted(share(consecutive_max=3), 1, 1, 0, 1, 1, 1) == [False] * 5 + [True]


def test_so_is_too_large_a_share_of_a_full_window():
    assert noted(share(ratio_max=0.3, window_records=10), 1, 1, 1, *[0] * 6, 1) == [False] * 9 + [True]


def test_what_leaves_the_window_counts_no_more():
    assert not any(noted(share(ratio_max=0.3, window_records=10), *[1, 1, 1, 0, 0, 0, 0, 0, 0, 0] * 5))


@pytest.mark.parametrize("metadata", ["", "1bAA==", "paused:", "paused:soon", "paused:-1", "paused"])
def test_metadata_of_something_else_is_no_pause(metadata):
    assert paused_since(metadata) is None


def test_a_release_names_its_topic(make_record):
    assert input_released_by(make_record(0, headers=RELEASE)) == ACME
    assert input_released_by(make_record(0, headers=(("ce_type", b"x"), ("other", None)))) == ""


@pytest.fixture
def fold(build):
    settings = StageSettings(tenant_topic_rejected_consecutive_max=2)
    positions = {ACME: 10, "in": 10, "releases": 0}
    return build(positions=positions, releases="releases", pauses=Pauses([ACME], {}, settings))


def reject(fold, ledger, make_record, topic, *offsets):
    ledger.then = Invalid("bad_json", "no")
    return [fold.apply(make_record(offset, topic=topic), 7) for offset in offsets]


def test_the_pause_commits_with_the_letter_that_is_one_too_many(fold, ledger, make_record):
    assert reject(fold, ledger, make_record, ACME, 10, 11, 12) == [Applied.REJECTED, Applied.REJECTED, Applied.PASSED]
    group = fold.seal()
    assert group.progress == {Position(ACME, 3): Committed(12, "paused:7")}
    assert len(group.outputs) == 2


def test_a_topic_that_tenants_share_is_never_paused(fold, ledger, make_record):
    assert reject(fold, ledger, make_record, "in", *range(10, 200)) == [Applied.REJECTED] * 190
    assert fold.seal().progress == {Position("in", 3): Committed(200)}


def test_the_other_topics_of_the_task_go_on(fold, ledger, make_record):
    reject(fold, ledger, make_record, ACME, 10, 11)
    ledger.then = Transition("new")
    assert fold.apply(make_record(10), 8) is Applied.CHANGED


def test_a_release_is_committed_and_the_topic_read_again_once_it_is_sought(fold, ledger, make_record):
    reject(fold, ledger, make_record, ACME, 10, 11, 12)
    fold.seal()
    assert fold.apply(make_record(0, topic="releases", headers=RELEASE), 9) is Applied.CHANGED
    ledger.then = Transition("new")
    assert fold.apply(make_record(13, topic=ACME), 9) is Applied.PASSED
    assert fold.seal().progress == {Position("releases", 3): Committed(1), Position(ACME, 3): Committed(12)}
    fold.pauses.sought()
    assert fold.apply(make_record(12, topic=ACME), 9) is Applied.CHANGED


def test_a_release_of_what_is_not_paused_changes_nothing(fold, make_record):
    assert fold.apply(make_record(0, topic="releases", headers=RELEASE), 9) is Applied.UNCHANGED


@pytest.fixture
def tenants(monkeypatch, registry):
    """A world whose ledger reads two tenants' topics; its values `bad` are rejected."""

    def make():
        for topic in (ACME, GLOBEX, "releases"):
            monkeypatch.setitem(PARTITIONS, topic, 2)
        world = World(registry)
        world.inputs = [ACME, GLOBEX, "releases"]
        world.releases = "releases"
        world.ledger.errors[b"bad"] = Invalid("bad_json", "no")
        return world

    return make


def paused(world, partition=0):
    return paused_since(world.broker.committed("counter")[Position(ACME, partition)].metadata) is not None


def test_a_flood_pauses_its_topic_in_its_partition_and_nothing_else(tenants, virtual):
    async def main():
        world = tenants()
        async with world.running(tenant_topic_rejected_consecutive_max=5):
            world.feed(*[b"bad"] * 20, topic=ACME)
            await asyncio.sleep(2)
            assert (len(reasons(world)), paused(world)) == (5, True)
            world.feed(b"a", topic=GLOBEX)
            world.feed(b"b", topic=ACME, partition=1)
            await asyncio.sleep(2)
            assert (world.out(), world.out(1)) == (["a 1"], ["b 1"])
            assert world.value("holdfast_ledger_inputs_paused") == 1

    virtual(main())


def test_a_pause_survives_a_restart_and_a_takeover(tenants, virtual):
    async def main():
        world = tenants()
        async with world.running(tenant_topic_rejected_consecutive_max=5):
            world.feed(*[b"bad"] * 20, topic=ACME)
            await asyncio.sleep(2)
        async with world.running(tenant_topic_rejected_consecutive_max=5):
            await asyncio.sleep(2)
            async with world.running(tenant_topic_rejected_consecutive_max=5):
                await asyncio.sleep(30)
                assert (len(reasons(world)), paused(world)) == (5, True)
        async with world.running(tenant_topic_rejected_consecutive_max=5):
            await asyncio.sleep(30)
            assert len(reasons(world)) == 5

    virtual(main())


def test_a_release_reads_on_from_where_the_topic_stands(tenants, virtual):
    async def main():
        world = tenants()
        async with world.running(tenant_topic_rejected_consecutive_max=5):
            world.feed(*[b"bad"] * 5, *[b"a"] * 20, topic=ACME)
            await asyncio.sleep(2)
            assert world.out() == []
            world.broker.append(replace(Output("releases", ACME.encode(), b"{}"), headers=RELEASE), 0)
            await asyncio.sleep(5)
            assert world.out() == [f"a {number}" for number in range(1, 21)]
            assert not paused(world)
            assert world.value("holdfast_ledger_inputs_paused") == 0

    virtual(main())
