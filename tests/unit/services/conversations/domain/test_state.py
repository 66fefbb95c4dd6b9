"""
States are read across releases: an older one's by a newer, and, when an upgrade is taken back, a newer one's by an
older.
"""

import pytest

from services.conversations.domain.state import ConversationState, StateError, decode, encode

# As release 0.1.0 wrote it; never edit, add the next release's beside it.
RELEASE_0_1_0 = (
    b'{"v":1,"agent":"desk","mode":"manual","epoch":2,"waiting_since_ms":5,"sequence":3,"seen":"00","touched_ms":7,'
    b'"retire_ms":9,"variables":{"tier":"gold"},"applied":{"g":[2,1]},"journeys":{"j":["a","b"]},"open":{"id":"t","epoch":2,'
    b'"leg":1,"agent":"desk","playbook_version":"v","opened_ms":5,"deadline_ms":65,"accepted_ms":4,"covers":["m"],"arm":"",'
    b'"traceparent":""},"sequences":[3],"tokens":[1],"omitted":4}\n{"id":"m","text":"hi"}'
)


def test_what_the_first_release_wrote_is_read():
    state = decode(RELEASE_0_1_0)
    assert (state.agent, state.mode, state.epoch, state.sequence) == ("desk", "manual", 2, 3)
    assert (state.open.covers, state.open.deadline_ms, state.due_ms) == (("m",), 65, 9)
    assert (state.applied["g"].times, state.journeys, state.variables) == (2, {"j": ("a", "b")}, {"tier": "gold"})
    assert (state.transcript.omitted, state.transcript.entries[0].utterance) == (4, b'{"id":"m","text":"hi"}')
    assert encode(state) == RELEASE_0_1_0


def test_a_field_of_a_newer_release_is_ignored():
    newer = RELEASE_0_1_0.replace(b'"agent":"desk"', b'"agent":"desk","mood":"fine"')
    assert decode(newer) == decode(RELEASE_0_1_0)


def test_what_is_missing_has_its_default():
    assert decode(b'{"v":1}') == ConversationState()


def test_a_newer_format_is_refused_and_says_what_to_do():
    with pytest.raises(StateError, match="run the release that wrote it"):
        decode(b'{"v":2}')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'{"v":"1"}',
        b'{"v":1,"mode":7}',
        b'{"v":1,"calls":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"v":1}\n{}',
    ],
)
def test_what_is_no_state_is_refused_as_that(data):
    with pytest.raises(StateError):
        decode(data)
