"""
The loads of the fault matrix.
"""

import itertools
import json
from collections import Counter

import pytest

from services.operator.faults import post
from services.operator.faults.matrix import ROWS, chosen
from shared.errors import Fatal, Invalid
from shared.events.codec import decode
from shared.events.envelope import Address
from shared.events.topics import CONVERSATION_EVENTS, TOPICS

PLAN = post.LoadPlan(("hello", "where is my card?", "thanks"), events=1_500, conversations=200, seed=11)
SHAPES = [
    post.steady,
    post.hot_key,
    post.hot_tenant,
    post.bursts,
    post.duplicates,
    post.reordered,
    post.poisoned,
    post.oversized,
]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)


def _read(one):
    return decode(TOPICS[CONVERSATION_EVENTS].types, one.key, one.headers, one.value)


def _written(one):
    """What does not hold the time of writing."""
    body = json.loads(one.value) if one.expected else None
    return one.key, one.expected, one.text, body and body.get("text")


@every_shape
def test_a_seed_gives_the_same_load_again(shape):
    assert [_written(one) for one in shape(PLAN)] == [_written(one) for one in shape(PLAN)]


@every_shape
def test_what_is_expected_can_be_read_and_carries_its_tenant_s_canary_and_no_other(shape):
    for one in shape(PLAN):
        if one.expected:
            event, tenant = _read(one), Address.from_key(one.key).tenant
            (other,) = set(post.TENANTS) - {tenant}
            assert event.id == one.expected
            assert event.data.text == one.text
            assert post.canary(tenant) in one.text
            assert post.canary(other).encode() not in one.value


@every_shape
def test_ids_are_unique_except_where_a_row_repeats_them_on_purpose(shape):
    ids = Counter(one.expected for one in shape(PLAN) if one.expected)

    repeated = sum(count - 1 for count in ids.values())
    assert (repeated > 0) is (shape is post.duplicates)


@every_shape
def test_as_many_messages_are_sent_as_were_asked_for(shape):
    assert len({one.expected for one in shape(PLAN) if one.expected}) == PLAN.events


def test_tenants_take_turns_in_the_steady_load():
    tenants = [Address.from_key(one.key).tenant for one in post.steady(PLAN)]
    assert tenants[:4] == ["red", "blue", "red", "blue"]


def test_half_of_the_hot_key_s_load_is_in_one_conversation():
    keys = Counter(one.key for one in post.hot_key(PLAN))
    assert keys.most_common(1)[0] == (b"red:hot", PLAN.events // 2)


def test_the_hot_tenant_sends_ten_messages_to_one():
    """After a first half in which it is silent, and the other tenant is as it will be."""
    load = list(post.hot_tenant(PLAN))
    begin = next(n for n, one in enumerate(load) if one.key.startswith(b"red:"))
    before, after = (Counter(one.key.partition(b":")[0] for one in half) for half in (load[:begin], load[begin:]))
    assert set(before) == {b"blue", b""}
    assert before[b""] / before[b"blue"] == pytest.approx(10, rel=0.01)
    assert after[b"red"] / after[b"blue"] == pytest.approx(10, rel=0.02)


def test_bursts_are_three_messages_of_one_customer():
    load = list(post.bursts(PLAN))
    assert all(len({one.key for one in load[begin : begin + 3]}) == 1 for begin in range(0, len(load), 3))


def test_a_tenth_comes_twice_and_a_hundredth_again_with_another_text_that_is_refused():
    load = list(post.duplicates(PLAN))
    twice = len([one for one in load if one.expected]) - PLAN.events
    refused = [one for one in load if not one.expected]

    assert twice / PLAN.events == pytest.approx(0.1, rel=0.25)
    assert len(refused) / PLAN.events == pytest.approx(0.01, rel=0.5)
    texts = {one.expected: one.text for one in load if one.expected}
    assert all(_read(one).data.text != texts[_read(one).id] for one in refused)


def test_running_numbers_are_swapped_and_left_out():
    numbers: dict[bytes, list[int]] = {}
    for one in post.reordered(PLAN):
        numbers.setdefault(one.key, []).append(_read(one).data.sequence)

    inverted = sum(b < a for held in numbers.values() for a, b in itertools.pairwise(held))
    left_out = sum(max(held) - len(held) for held in numbers.values())
    assert inverted / PLAN.events == pytest.approx(0.05, rel=0.5)
    assert left_out / PLAN.events == pytest.approx(0.05, rel=0.4)


def test_a_hundredth_is_poison_of_every_kind_that_no_reader_takes_and_whose_id_no_message_has():
    load = list(post.poisoned(PLAN))
    poison = [one for one in load if not one.expected]
    ids = {one.expected for one in load}

    assert len(poison) == PLAN.events // 100 >= len(post.POISONS)
    for one in poison:
        assert dict(one.headers).get("ce_id", b"").decode() not in ids - {""}
        with pytest.raises(Invalid):
            _read(one)
    assert len({_complaint(one) for one in poison}) >= len(post.POISONS) - 1, "kinds that differ to the reader"


def _complaint(one):
    with pytest.raises(Invalid) as refusal:
        _read(one)
    return str(refusal.value).split(":", maxsplit=1)[0], one.value is None, b"_" in one.key


def test_a_hundredth_is_longer_than_a_playbook_allows_and_within_a_record_s_limit():
    long = [one for one in post.oversized(PLAN) if len(one.value) > 65_536]

    assert len(long) == PLAN.events // 100
    assert max(len(one.value) for one in long) < 1_048_576


def test_rows_are_chosen_by_name_and_all_without_one():
    assert [row.name for row in chosen(["poison", "worker-kill"])] == ["poison", "worker-kill"]
    assert chosen([]) == list(ROWS.values())
    with pytest.raises(Fatal, match="no row earthquake"):
        chosen(["earthquake"])
