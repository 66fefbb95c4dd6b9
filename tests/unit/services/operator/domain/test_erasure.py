"""A certificate claims no more than what was seen, and tells how long the rest will be there."""

from datetime import UTC, datetime, timedelta

import pytest

from services.conversations.domain.state import ConversationState, encode
from services.operator.domain.erasure import Certificate, Keeping, Probe, keeping_of, remains_of
from services.operator.domain.marker import KEPT, head_of
from shared.errors import Fatal
from shared.events.envelope import Address
from shared.stage.base import Record

ADDRESS = Address("acme", "chat-1")
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
MARKER = head_of(encode(ConversationState(epoch=3, erased_at_ms=7, retire_ms=9, touched_ms=7, seen="ab")))
REFUSED = Probe("m-1", "t-1", "rejected", "erased")


def certificate(**changes):
    made = {
        "address": ADDRESS,
        "event_id": "e-1",
        "made_at": NOW,
        "state": MARKER,
        "state_place": "0:4",
        "probe": REFUSED,
        "remains": (),
        "letters_barred": True,
    }
    return Certificate(**made | changes)


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


def test_a_tombstone_has_no_head_and_what_is_no_state_is_told():
    assert head_of(None) is None
    with pytest.raises(Fatal, match="no state"):
        head_of(b"nonsense")


@pytest.mark.parametrize(
    ("changes", "proven"),
    [
        ({}, True),
        ({"probe": None}, True),
        ({"state": None}, True),
        ({"probe": Probe("m-1", "t-1", "answered", "")}, False),
        ({"state": head_of(encode(ConversationState(epoch=3, erased_at_ms=7, customer_name="Ada")))}, False),
    ],
)
def test_it_is_proven_only_where_the_state_is_empty_and_the_probe_refused(changes, proven):
    assert certificate(**changes).proven is proven
    assert certificate(**changes).document()["proven"] is proven


@pytest.mark.parametrize(
    ("config", "keeping"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "1000", "segment.ms": "50"}, Keeping(1_000, 50)),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, Keeping(None, 0)),
        ({"cleanup.policy": "compact", "max.compaction.lag.ms": "60", "segment.ms": "5"}, Keeping(60, 5)),
        ({}, Keeping(None, 0)),
    ],
)
def test_how_long_a_topic_keeps_is_read_from_its_own_settings(config, keeping):
    assert keeping_of(config) == keeping


def test_records_are_gone_a_retention_and_a_segment_after_the_newest():
    records = [Record("turns.closed", 0, n, at_ms, ADDRESS.key, b"{}") for n, at_ms in enumerate((5_000, 9_000))]

    found = remains_of("turns.closed", records, Keeping(1_000, 500))

    assert (found.records, found.gone_by - found.newest) == (2, timedelta(seconds=1.5))
    assert remains_of("turns.closed", records, Keeping(None)).gone_by is None
    assert remains_of("turns.closed", [], Keeping(1_000)) is None
