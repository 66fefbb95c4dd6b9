"""Turns that were decided anew: what counts as changed, and what may be decided anew at all."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.adapters.replay import Recording, Run, again, read, write
from services.operator.adapters.samples import bank_playbook
from services.operator.domain.replay import (
    Aspect,
    Decision,
    RecordedTurn,
    compared,
    counts,
    decision_of,
    recorded,
    word_changes,
)
from shared.errors import Fatal
from shared.events.examples import example
from shared.events.tools import Grant, ToolCall
from shared.events.turns import Outcome

OPENED = example("turn.opened").data
FINISHED = example("turn.verified").data
CLOSED = example("turn.closed").data
TURN = RecordedTurn(opened=OPENED, decision=decision_of(FINISHED))
SAID = Decision(outcome="verified", matches=("a", "b"), verdicts=("supported",), reply="It takes two working days.")
TEXTS = st.text("ab ", max_size=12)
DECISIONS = st.builds(
    Decision,
    outcome=st.sampled_from(["verified", "silent"]),
    matches=st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
    verdicts=st.lists(st.sampled_from("xy"), max_size=3).map(tuple),
    reply=TEXTS,
)


def other(**changes):
    return SAID.model_copy(update=changes)


@pytest.mark.parametrize(
    ("candidate", "aspects"),
    [
        (other(), set()),
        (other(outcome="silent"), {Aspect.OUTCOME}),
        (other(matches=("a",)), {Aspect.MATCHES}),
        (other(verdicts=("supported", "supported")), {Aspect.VERDICTS}),
        (other(reply="It takes three working days."), {Aspect.REPLY}),
        (other(reply="It  takes two\nworking days."), set()),
    ],
)
def test_with_one_run_a_side_every_difference_counts(candidate, aspects):
    assert compared(TURN, [SAID], [candidate]).changes.keys() == aspects


def test_what_the_baseline_varies_by_itself_is_no_change():
    baseline = [SAID, other(reply="Two working days."), other(reply="It takes 2 days")]

    assert not compared(TURN, baseline, [baseline[1], baseline[2], baseline[0]]).changes
    assert not compared(TURN, baseline, [other(reply="It takes 2 working days.")] * 3).changes


def test_what_lies_beyond_the_baselines_own_variation_is_one():
    baseline = [SAID, other(reply="It takes two days.")]

    assert Aspect.REPLY in compared(TURN, baseline, [other(reply="I cannot tell you that, sorry!")] * 2).changes


@given(st.lists(DECISIONS, min_size=1, max_size=4))
def test_a_candidate_that_decides_as_the_baseline_does_changes_nothing(decisions):
    assert compared(TURN, decisions, decisions).changes == {}


@given(st.lists(DECISIONS, min_size=1, max_size=3), st.lists(DECISIONS, min_size=1, max_size=3))
def test_distances_are_shares(baseline, candidate):
    assert all(0 < distance <= 1 for distance in compared(TURN, baseline, candidate).changes.values())


@given(TEXTS, TEXTS)
def test_the_words_of_both_replies_are_all_there(before, after):
    parts = word_changes(before, after)

    assert " ".join(words for kind, words in parts if kind in "=-").split() == before.split()
    assert " ".join(words for kind, words in parts if kind in "=+").split() == after.split()


def test_changes_are_counted_by_aspect():
    found = [compared(TURN, [SAID], [one]) for one in (SAID, other(outcome="silent", reply=""))]

    assert counts(found) == {"turns": 2, "changed": 1, "outcome": 1, "matches": 0, "verdicts": 0, "reply": 1}


def test_a_decision_is_the_stages_last_word():
    assert TURN.decision.outcome == "verified"
    assert TURN.decision.matches == ("offer-transfer",)
    assert TURN.decision.verdicts == ("contradicted",)
    assert TURN.decision.reply == FINISHED.text


def test_of_a_turn_of_two_legs_the_last_is_taken_with_its_first_result():
    leg = OPENED.model_copy(update={"turn": OPENED.turn.model_copy(update={"leg": 2})})
    word = FINISHED.model_copy(update={"turn": leg.turn, "text": "done"})

    found, left_out = recorded(
        [OPENED, leg], [FINISHED, word, word.model_copy(update={"text": "late"})], {OPENED.turn.id: CLOSED}
    )

    assert [(one.opened.turn.leg, one.decision.reply) for one in found] == [(2, "done")]
    assert not left_out


@pytest.mark.parametrize(
    ("finished", "closed", "why"),
    [
        ([FINISHED], {}, "not closed"),
        ([], {OPENED.turn.id: CLOSED}, "gone"),
        ([FINISHED], {OPENED.turn.id: CLOSED.model_copy(update={"outcome": Outcome.SUPERSEDED})}, "superseded"),
    ],
)
def test_what_cannot_be_decided_anew_is_counted(finished, closed, why):
    found, left_out = recorded([OPENED], finished, closed)

    assert found == []
    assert left_out == {why: 1}


def test_a_turn_is_decided_anew_in_a_conversation_of_its_own_without_leave_to_change_anything():
    granted = OPENED.model_copy(update={"grants": (Grant(call=ToolCall(id="c", tool="transfer")),)})
    run = Run("candidate", 2, 1, 30.0)

    first, second = (again(granted, "v2", run, repeat, datetime(2026, 5, 4, tzinfo=UTC)) for repeat in range(2))

    assert first.grants == ()
    assert first.turn.conversation != second.turn.conversation
    assert (first.turn.playbook_version, first.transcript) == ("v2", OPENED.transcript)
    assert (first.turn.deadline - first.turn.opened_at).total_seconds() == 30


def test_a_recording_is_read_as_it_was_written(tmp_path):
    found = Recording([TURN, TURN], {("acme", "bank", "v1"): bank_playbook()})
    write(found, tmp_path / "turns.jsonl")

    assert read(tmp_path / "turns.jsonl").turns == found.turns
    assert read(tmp_path / "turns.jsonl").playbooks == found.playbooks


@pytest.mark.parametrize(("text", "told"), [("{}\n", "line 1"), ("nonsense\n", "line 1"), ("", "no turn")])
def test_what_is_no_recording_is_told(tmp_path, text, told):
    path = tmp_path / "turns.jsonl"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(Fatal, match=told):
        read(path)
