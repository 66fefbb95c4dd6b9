"""A certificate claims no more than what was seen, and tells how long the rest will be there."""

from datetime import UTC, datetime, timedelta

import pytest

from services.conversations.domain.state import ConversationState, encode
from services.operator.domain.erasure import Certificate, Erased, Holding, Keeping, Probe, Survey, is_of, keeping_of
from services.operator.domain.marker import KEPT, forgotten_by_observer, head_of
from shared.events import topics
from shared.events.envelope import Address
from shared.stage.base import Record

ADDRESS = Address("acme", "chat-1")
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
MARKER_BYTES = encode(ConversationState(epoch=3, erased_at_ms=7, retire_ms=9, touched_ms=7, seen="ab"))
MARKER = head_of(MARKER_BYTES)
HOLDS_A_NAME = head_of(encode(ConversationState(epoch=3, erased_at_ms=7, customer_name="Ada")))
REFUSED = Probe("m-1", "t-1", "rejected", "erased")
A_DAY = Keeping(86_400_000)


def record(
    topic=topics.CONVERSATION_EVENTS, *, partition=0, offset=0, at_ms=5_000, key=ADDRESS.key, value=b"{}", headers=()
):
    return Record(topic, partition, offset, at_ms, key, value, headers)


def holding(topic, *records, keeping=A_DAY):
    return Holding(topic, keeping, records)


def certificate(*erased, holdings=()):
    return Certificate(ADDRESS, "e-1", NOW, erased, Survey(holdings))


def test_the_marker_of_the_conversations_service_is_known_as_one():
    assert MARKER.is_empty_marker
    assert set(MARKER.names) == KEPT


@pytest.mark.parametrize(
    "state",
    [
        ConversationState(epoch=3),
        ConversationState(epoch=3, erased_at_ms=7, customer_name="Ada"),
        ConversationState(epoch=3, erased_at_ms=7, variables={"account": "student"}),
        ConversationState(epoch=3, erased_at_ms=7, waiting=("m-1",)),
    ],
)
def test_a_state_that_still_holds_something_is_no_marker(state):
    assert not head_of(encode(state)).is_empty_marker


def test_messages_behind_the_first_line_are_counted():
    assert head_of(encode(ConversationState(erased_at_ms=7)) + b'\n{"text":"hi"}').messages == 1


def test_a_tombstone_has_no_head():
    assert head_of(None) is None


@pytest.mark.parametrize("value", [b"nonsense", b"[1]", b"[" * 100_000, b"\xff"])
def test_what_is_no_state_is_no_marker(value):
    assert not head_of(value).is_empty_marker
    assert not head_of(value).readable


@pytest.mark.parametrize(
    ("value", "forgotten"),
    [
        (None, True),
        (b'{"erased":true,"partition":1}', True),
        (b'{"erased":false,"agent":"bank"}', False),
        (b'{"agent":"bank"}', False),
        (b"nonsense", False),
    ],
)
def test_the_observer_has_forgotten_what_it_calls_erased(value, forgotten):
    assert forgotten_by_observer(value) is forgotten


@pytest.mark.parametrize(
    ("erased", "doubt"),
    [
        (Erased(0, MARKER, 4, REFUSED), None),
        (Erased(0, None, None, REFUSED), None),
        (Erased(0, MARKER, 4, None), "no message was sent to see it refused"),
        (Erased(0, MARKER, 4, Probe("m-1", "t-1", "answered", "")), "a message sent afterwards was answered"),
        (Erased(0, HOLDS_A_NAME, 4, REFUSED), "still holds"),
        (Erased(0, head_of(b"nonsense"), 4, REFUSED), "cannot be read"),
    ],
)
def test_a_partition_is_in_doubt_unless_its_state_is_empty_and_the_probe_was_refused(erased, doubt):
    doubts = certificate(erased).doubts

    assert (not doubts) if doubt is None else (doubt in doubts[0])


def test_one_partition_in_doubt_keeps_the_whole_from_being_proven():
    made = certificate(Erased(0, MARKER, 4, REFUSED), Erased(3, HOLDS_A_NAME, 9, REFUSED))

    assert not made.proven
    assert made.document()["doubts"] == list(made.doubts)
    assert made.doubts[0].startswith("partition 3:")


def test_records_in_a_partition_where_nothing_was_erased_keep_it_from_being_proven():
    held = holding(topics.CONVERSATION_EVENTS, record(partition=2))

    made = certificate(Erased(0, MARKER, 4, REFUSED), holdings=(held,))

    assert made.doubts == ("partition 2: records came while this ran; run it again",)


def test_a_row_of_the_observer_keeps_it_from_being_proven_until_it_tells_of_the_erasure():
    telling = record(topics.OBSERVER_CONVERSATIONS, value=b'{"erased":false}')
    forgotten = record(topics.OBSERVER_CONVERSATIONS, offset=1, value=b'{"erased":true}')

    before = certificate(Erased(0, MARKER, 4, REFUSED), holdings=(holding(telling.topic, telling),))
    after = certificate(Erased(0, MARKER, 4, REFUSED), holdings=(holding(telling.topic, telling, forgotten),))

    assert "the observer still holds a row" in before.doubts[0]
    assert after.proven


def test_records_that_never_go_keep_it_from_being_proven():
    held = holding(topics.TURNS_CLOSED, record(topics.TURNS_CLOSED), keeping=Keeping(None))

    made = certificate(Erased(0, MARKER, 4, REFUSED), holdings=(held,))

    assert made.doubts == ("turns.closed: 1 records never go; set retention.ms on that topic",)


def test_each_record_that_remains_is_listed_with_the_time_when_it_goes():
    held = holding(topics.TURNS_CLOSED, record(offset=7, at_ms=9_000), keeping=Keeping(1_000, 500))

    [remaining] = certificate(Erased(0, MARKER, 4, REFUSED), holdings=(held,)).remains

    assert (remaining.topic, remaining.partition, remaining.offset) == (topics.TURNS_CLOSED, 0, 7)
    assert remaining.gone_by - remaining.taken == timedelta(seconds=1.5)


def test_the_marker_in_force_does_not_remain_but_the_states_before_it_do():
    older = record(topics.CONVERSATIONS_STATE, offset=1, value=encode(ConversationState(customer_name="Ada")))
    marker = record(topics.CONVERSATIONS_STATE, offset=2, value=MARKER_BYTES)

    made = certificate(Erased(0, MARKER, 2, REFUSED), holdings=(holding(marker.topic, older, marker),))

    assert [one.offset for one in made.remains] == [1]


@pytest.mark.parametrize(
    ("one", "belongs"),
    [
        (record(), True),
        (record(key=b'"acme:chat-1"'), True),
        (record(key=b"acme:chat-2"), False),
        (record(key=b"other:chat-1"), False),
        (record(key=None), False),
        (record(key=None, headers=(("ce_source", b"/tenants/acme"), ("ce_subject", b"chat-1"))), True),
        (record(key=b"x", headers=(("ce_source", b"/tenants/acme/reasoner"), ("ce_subject", b"chat-1"))), True),
        (record(key=b"x", headers=(("ce_source", b"/tenants/acme2"), ("ce_subject", b"chat-1"))), False),
        (record(key=b"x", headers=(("ce_source", None), ("ce_subject", b"chat-1"))), False),
    ],
)
def test_a_record_is_of_the_conversation_by_its_key_or_by_what_its_event_says(one, belongs):
    assert is_of(one, ADDRESS) is belongs


@pytest.mark.parametrize(
    ("config", "keeping"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "1000", "segment.ms": "50"}, Keeping(1_000, 50)),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, Keeping(None)),
        ({"cleanup.policy": "compact", "max.compaction.lag.ms": "60", "segment.ms": "5"}, Keeping(60, 5)),
        ({"cleanup.policy": "compact", "max.compaction.lag.ms": str(2**63 - 1)}, Keeping(None)),
        ({"cleanup.policy": "compact", "retention.ms": "60"}, Keeping(None)),
        ({"cleanup.policy": "compact,delete", "retention.ms": "60"}, Keeping(60)),
        ({}, Keeping(None)),
    ],
)
def test_how_long_a_topic_keeps_is_read_from_its_own_settings(config, keeping):
    assert keeping_of(config) == keeping
