"""What the good tenant waits beside a hostile one, and what that is compared with."""

from types import SimpleNamespace

import pytest

from services.operator.adapters.monkey import FELL, Fault
from services.operator.faults.hostile_rows import GOOD, HOSTILE, ROWS, good_alone, good_tenant_is_spared
from services.operator.faults.post import LoadPlan

SPANS = [(10.0, 15.0), (20.0, 25.0)]


def world(waits_ms, faults=()):
    """*waits_ms* tells what is waited for a message that is posted at a second."""
    exchanges = {
        str(second): SimpleNamespace(
            posted_ms=second * 1_000,
            closed_ms=second * 1_000 + wait,
            closed=SimpleNamespace(turn=SimpleNamespace(tenant=GOOD)),
        )
        for second, wait in waits_ms.items()
    }
    return SimpleNamespace(
        monkey=SimpleNamespace(faults=list(faults)),
        watch=SimpleNamespace(exchanges=exchanges),
        hostile_spans=SPANS,
        broken=[],
        figures={},
    )


@pytest.mark.parametrize(("beside_ms", "grew"), [(1_000, False), (1_200, False), (1_201, True), (5_000, True)])
async def test_the_wait_may_grow_by_a_fifth(beside_ms, grew):
    judged = world({8: 1_000, 12: beside_ms, 17: 1_000, 22: 900})

    await good_tenant_is_spared(judged)

    assert [finding for finding in judged.broken if "p99" in finding] == (
        [f"the good tenant's p99 grew from 1000 to {beside_ms} ms beside the hostile one"] if grew else []
    )


async def test_what_is_asked_while_processes_are_cold_is_no_measure():
    judged = world({1: 90_000, 8: 1_000, 12: 5_000})

    await good_tenant_is_spared(judged)

    assert len(judged.broken) == 1


async def test_a_run_without_both_kinds_of_block_proves_nothing():
    judged = world({8: 1_000})

    await good_tenant_is_spared(judged)

    assert judged.broken == ["the load was too short for a quiet and a hostile block"]


async def test_a_process_that_ended_breaks_the_row():
    judged = world({8: 1_000, 12: 1_000}, [Fault(FELL, "reasoner-1", 1.0)])

    await good_tenant_is_spared(judged)

    assert judged.broken == ["1 processes ended by themselves, first reasoner-1"]


def test_each_hostility_has_a_row_on_the_shared_topic_and_one_on_its_own():
    assert [(row.name, row.apart) for row in ROWS] == [
        ("hostile-publisher", ""),
        ("hostile-publisher-apart", HOSTILE),
        ("hostile-tools", ""),
        ("hostile-tools-apart", HOSTILE),
        ("hostile-playbook", ""),
        ("hostile-playbook-apart", HOSTILE),
    ]


def test_each_question_of_the_good_tenant_is_a_conversation_of_its_own():
    load = list(good_alone(LoadPlan(("How much?",), 20, 5, seed=1)))
    assert len({post.key for post in load}) == len({post.expected for post in load}) == 20
    assert all(post.key.startswith(f"{GOOD}:".encode()) for post in load)
