"""What follows from each event, seen from outside: records in, records out."""

import hashlib
import json

import pytest
from aiokafka.partitioner import murmur2

from services.conversations.domain.state import StateError
from shared.errors import Invalid
from shared.events import codec
from shared.events.claims import Judge
from shared.events.conversation import Author, ResponseOrigin
from shared.events.topics import CONVERSATION_EVENTS, TOPICS, TURNS_FINISHED
from shared.events.turns import (
    Adherence,
    FinishResult,
    GuidelineVerdict,
    JourneyPosition,
    Outcome,
    TurnOpened,
    Verification,
)
from shared.playbook.model import Fallbacks

SETTLE = {"settle_seconds": 2.0}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class TestOpening:
    def test_a_customers_message_opens_a_turn_with_all_that_the_stages_need(self, world):
        w = world()
        w.tell("variable.set", name="tier", value="gold")
        message = w.post("Where is my card?", name="Ada")
        opened = w.opened[0]
        assert (opened.turn.epoch, opened.turn.leg, opened.turn.agent) == (1, 1, "desk")
        assert opened.turn.playbook_version == w.playbooks.current("bank", "desk")[0]
        assert (opened.turn.deadline - opened.turn.opened_at).total_seconds() == 60
        assert opened.covers == (message,)
        assert [(u.id, u.author, u.text) for u in opened.transcript] == [
            (message, Author.CUSTOMER, "Where is my card?")
        ]
        assert opened.variables == {"tier": "gold"}
        assert opened.customer_name == "Ada"
        assert opened.marks[0].stage == "conversations"
        assert w.due_ms == w.now_ms + 60_000

    def test_the_record_is_what_its_model_would_write(self, world):
        """The transcript is spliced in as bytes; nobody must be able to tell."""
        w = world()
        w.post('quotes " and \\ and "transcript":[] and \u2028 and \x01', event_id='x","transcript":[]')
        value = w.last[0].value
        assert json.loads(value) == json.loads(
            TurnOpened.model_validate_json(value).model_dump_json(exclude_unset=True)
        )
        assert w.opened[0].transcript[0].text.startswith('quotes " and')

    def test_envelopes_name_turn_cause_and_trace(self, world):
        w = world()
        message = w.post()
        event = w.envelopes[0]
        assert event.correlation_id == w.opened[0].turn.id
        assert event.causation_id == message
        assert event.traceparent.split("-")[1] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert event.traceparent.split("-")[2] != "00f067aa0ba902b7"

    def test_messages_within_the_settle_time_make_one_turn(self, world):
        w = world(limits=SETTLE)
        first = w.post("hi")
        w.now_ms += 1_500
        second = w.post("my card is gone")
        assert not w.opened
        assert w.due_ms == w.now_ms + 2_000
        w.wake()
        assert w.opened[0].covers == (first, second)
        assert not w.closed

    def test_a_burst_that_never_settles_opens_after_five_settle_times(self, world):
        w = world(limits=SETTLE)
        started = w.now_ms
        while not w.opened:
            w.post("and another thing")
            if w.due_ms <= w.now_ms + 1_000:
                w.wake()
            else:
                w.now_ms += 1_000
        assert w.now_ms - started == 10_000

    def test_a_burst_that_fills_a_turn_opens_it(self, world):
        w = world(limits=SETTLE, bounds={"covers_max": 3})
        messages = [w.post() for _ in range(3)]
        assert w.opened[0].covers == tuple(messages)

    def test_the_turns_window_is_the_playbooks(self, world):
        w = world(limits={"window_messages": 3})
        for number in range(5):
            w.post(f"message {number}")
        assert [u.text for u in w.opened[-1].transcript] == ["message 2", "message 3", "message 4"]
        assert w.opened[-1].omitted == 2

    def test_the_agent_of_a_message_applies_from_its_turn_on(self, world):
        w = world()
        w.publish(agent="loans", limits={"deadline_seconds": 5})
        w.post()
        w.post(agent="loans")
        assert [o.turn.agent for o in w.opened] == ["desk", "loans"]
        assert w.due_ms == w.now_ms + 5_000

    def test_a_turn_keeps_its_playbook_version_until_it_closes(self, world):
        w = world(playbook={"fallbacks": {"failed": "old words"}})
        w.post()
        w.publish(fallbacks={"failed": "new words"})
        w.finish(result=FinishResult.FAILED)
        assert w.responses[0].text == "old words"

    def test_the_arm_of_an_experiment_is_in_the_turn(self, world):
        w = world(playbook={"experiment": {"name": "modes", "arms": {"only": {"mode": "cot"}}}})
        w.post()
        assert w.opened[0].turn.arm == "only"


class TestSuperseding:
    def test_a_newer_message_closes_the_open_turn_and_the_next_answers_both(self, world):
        w = world()
        first, second = w.post("one"), w.post("two")
        assert w.outcomes == [("superseded", "newer_message")]
        assert w.closed[0].covers == (first,)
        assert w.opened[1].covers == (first, second)
        assert [o.topic for o in w.last] == ["turns.closed", "turns.opened"]
        w.finish()
        assert w.responses[0].in_reply_to == (first, second)

    def test_it_closes_when_the_message_comes_not_when_the_burst_settles(self, world):
        w = world(limits=SETTLE)
        w.post()
        w.wake()
        turn = w.opened[0].turn
        w.post()
        assert w.outcomes == [("superseded", "newer_message")]
        w.finish(turn)
        assert not w.responses

    def test_of_endless_unanswered_messages_a_turn_covers_the_newest(self, world):
        w = world(bounds={"covers_max": 5})
        messages = [w.post() for _ in range(12)]
        assert w.opened[-1].covers == tuple(messages[-5:])
        covered = {message for closed in w.closed for message in closed.covers}
        assert covered == set(messages[:-1])

    def test_after_an_answer_nothing_is_carried_on(self, world):
        w = world()
        w.post()
        w.finish()
        third = w.post()
        assert w.opened[-1].covers == (third,)


class TestFinishing:
    def test_a_verified_reply_leaves_with_its_record_in_one_step(self, world, claim, draft):
        w = world()
        message = w.post()
        verification = Verification(passed=True, verified_by=Judge.MODEL, claims=(claim(1), claim(2)))
        w.finish(text="The fee is 5 euros.", verification=verification, draft=draft)
        response, closed = w.responses[0], w.closed[0]
        assert [o.topic for o in w.last] == ["conversation.responses", "turns.closed", *["claims.judged"] * 2]
        assert response.text_sha256 == sha256("The fee is 5 euros.") == closed.response_sha256
        assert (response.origin, response.fallback) == (ResponseOrigin.VERIFIED, "")
        assert response.in_reply_to == (message,)
        assert (closed.outcome, closed.draft, closed.verification) == (Outcome.ANSWERED, draft, verification)
        assert [(c.position, c.claims, c.mode, c.model, c.text) for c in w.claims] == [
            (1, 2, "cot", "m", ""),
            (2, 2, "cot", "m", ""),
        ]
        assert [m.stage for m in closed.marks] == ["conversations", "verifier", "conversations"]
        assert w.state.open is None

    def test_claim_texts_are_recorded_only_where_the_playbook_lets_them(self, world, claim, draft):
        w = world(playbook={"verification": {"record_claim_texts": True}})
        w.post()
        w.finish(verification=Verification(passed=True, verified_by=Judge.CODE, claims=(claim(1),)), draft=draft)
        assert w.claims[0].text == "The fee is 5 euros."

    def test_the_reply_enters_the_transcript_under_the_turns_id(self, world):
        w = world()
        w.post("q")
        w.finish(text="a")
        w.post("q2")
        said = w.opened[-1].transcript[1]
        assert (said.id, said.author, said.text) == (w.opened[0].turn.id, Author.ASSISTANT, "a")

    def test_a_rejected_draft_never_enters_the_transcript(self, world, draft):
        w = world()
        w.post("q")
        w.finish(result=FinishResult.FAILED, draft=draft)
        w.post("q2")
        assert [u.text for u in w.opened[-1].transcript] == ["q", Fallbacks().failed, "q2"]

    @pytest.mark.parametrize("result", [FinishResult.FAILED, FinishResult.OTHER])
    def test_a_failure_is_answered_with_the_playbooks_text(self, world, result):
        w = world(playbook={"fallbacks": {"failed": "Sorry."}})
        w.post()
        w.finish(result=result, reason="gate")
        assert w.outcomes == [("answered", "gate")]
        assert (w.responses[0].text, w.responses[0].origin, w.responses[0].fallback) == ("Sorry.", "fallback", "failed")
        assert (w.closed[0].fallback, w.closed[0].response_sha256) == ("failed", sha256("Sorry."))

    def test_an_empty_fallback_says_nothing(self, world):
        w = world(playbook={"fallbacks": {"failed": ""}})
        w.post()
        w.finish(result=FinishResult.FAILED)
        assert w.outcomes == [("no_reply", "")]
        assert not w.responses

    def test_silence_is_no_reply(self, world):
        w = world()
        w.post()
        w.finish(result=FinishResult.SILENT, reason="no_guideline")
        assert w.outcomes == [("no_reply", "no_guideline")]
        assert not w.responses

    def test_a_hand_off_says_so_and_holdfast_stays_silent_from_then_on(self, world):
        w = world()
        w.post()
        w.finish(result=FinishResult.HAND_OFF, reason="angry")
        w.post()
        assert w.outcomes == [("handed_off", "angry"), ("handed_off", "manual_mode")]
        assert [r.fallback for r in w.responses] == ["hand_off"]
        assert len(w.opened) == 1

    def test_an_emoji_and_a_joiner_that_the_writing_needs_leave_as_they_were_verified(self, world):
        text = "می\u200cخواهم \U0001f468\U0001f3fd\u200d\U0001f4bb"
        w = world()
        w.post()
        w.finish(text=text)
        assert [r.text for r in w.responses] == [text]

    def test_a_fallback_leaves_without_what_it_hides(self, world):
        w = world(playbook={"fallbacks": {"failed": "So\u202erry\U000e0041.\r\nA colleague will answer."}})
        w.post()
        w.finish(result=FinishResult.FAILED, reason="x")
        assert [r.text for r in w.responses] == ["Sorry.\nA colleague will answer."]

    @pytest.mark.parametrize(
        "changes",
        [
            {"text_sha256": "0" * 64},
            {"text_sha256": "é"},
            {"verification": None},
            {"verification": Verification(passed=False, verified_by=Judge.CODE)},
            {"text": " ", "text_sha256": sha256(" ")},
            {"text": "Pro\u202emise", "text_sha256": sha256("Pro\u202emise")},
            {"text": "\x1b[31mPromise", "text_sha256": sha256("\x1b[31mPromise")},
            {"text": "x" * 200_000, "text_sha256": sha256("x" * 200_000)},
        ],
    )
    def test_a_text_that_the_record_does_not_vouch_for_does_not_leave(self, world, changes):
        w = world()
        w.post()
        w.finish(**({"text": "Promise."} | changes))
        assert [r.origin for r in w.responses] == [ResponseOrigin.FALLBACK]
        assert w.outcomes == [("answered", "unverified_result")]
        assert w.note("unverified_result") == 1

    def test_only_the_first_result_of_the_open_turn_counts(self, world):
        w = world()
        w.post()
        w.finish(text="first")
        w.finish(text="second")
        w.finish(result=FinishResult.HAND_OFF)
        assert [r.text for r in w.responses] == ["first"]
        assert len(w.closed) == 1
        assert w.note("stale_result") == 2

    def test_a_result_of_another_leg_is_passed_over(self, world):
        w = world()
        w.post()
        before = w.data
        w.finish(w.opened[0].turn.model_copy(update={"leg": 2}))
        assert (w.data, w.last) == (before, ())

    def test_a_result_for_a_conversation_that_nobody_knows_is_passed_over(self, world):
        w = world()
        w.post()
        w.data = None
        assert w.finish().outputs == ()
        assert w.data is None

    def test_performed_guidelines_are_remembered_and_handed_on(self, world):
        w = world(bounds={"applied_max": 2})
        for verdicts in (("a", "b"), ("a", "c")):
            w.post()
            adherence = [Adherence(guideline_id=g, verdict=GuidelineVerdict.PERFORMED) for g in verdicts]
            adherence.append(Adherence(guideline_id="z", verdict=GuidelineVerdict.NOT_PERFORMED))
            w.finish(verification=Verification(passed=True, verified_by=Judge.MODEL, adherence=tuple(adherence)))
        w.post()
        assert {g: (a.count, a.epoch) for g, a in w.opened[-1].applied.items()} == {"a": (2, 2), "c": (1, 2)}

    def test_journey_positions_are_replaced_when_they_are_given(self, world):
        w = world()
        w.post()
        w.finish(journeys={"refund": JourneyPosition(path=("start", "ask"))})
        w.post()
        w.finish()
        w.post()
        assert w.opened[-1].journeys["refund"].path == ("start", "ask")
        w.finish(journeys={})
        w.post()
        assert w.opened[-1].journeys == {}

    def test_journey_positions_beyond_the_bound_are_refused(self, world):
        w = world(bounds={"journeys_bytes_max": 1_024})
        w.post()
        with pytest.raises(Invalid, match="JOURNEYS_BYTES_MAX") as refused:
            w.finish(journeys={"j": JourneyPosition(path=("s" * 50,) * 50)})
        assert refused.value.reason == "journeys_too_large"
        w.settle()
        assert w.outcomes == [("expired", "deadline")]

    def test_a_record_that_no_topic_would_hold_leaves_without_its_parts(self, world, draft):
        w = world()
        w.post()
        large = draft.model_copy(update={"insights": ("x" * 1_000_000,)})
        w.finish(draft=large, text="Yes.")
        assert w.closed[0].draft is None
        assert (w.responses[0].text, w.outcomes) == ("Yes.", [("answered", "")])
        assert w.note("record_trimmed") == 1


class TestTime:
    def test_a_turn_past_its_deadline_expires_with_the_playbooks_text(self, world):
        w = world(playbook={"fallbacks": {"expired": "Too slow."}})
        w.post()
        w.wake()
        assert w.outcomes == [("expired", "deadline")]
        assert (w.responses[0].text, w.responses[0].fallback) == ("Too slow.", "expired")
        w.finish()
        assert len(w.responses) == 1

    def test_a_result_after_the_deadline_expires_the_turn_though_the_timer_was_slower(self, world):
        w = world()
        w.post()
        w.now_ms = w.due_ms
        w.finish()
        assert w.outcomes == [("expired", "deadline")]

    def test_a_result_just_before_the_deadline_counts(self, world):
        w = world()
        w.post()
        w.now_ms = w.due_ms - 1
        w.finish()
        assert w.outcomes == [("answered", "")]

    def test_an_empty_text_expires_silently(self, world):
        w = world(playbook={"fallbacks": {"expired": ""}})
        w.post()
        w.wake()
        assert (w.outcomes, w.responses) == ([("expired", "deadline")], [])

    def test_a_retired_version_leaves_the_texts_in_force(self, world):
        w = world(playbook={"fallbacks": {"expired": "v0"}})
        w.post()
        for number in range(1, 12):
            w.publish(fallbacks={"expired": f"v{number}"})
        w.wake()
        assert w.responses[0].text == "v11"

    def test_a_deadline_below_a_millisecond_still_lies_ahead(self, world):
        w = world(limits={"deadline_seconds": 0.0001})
        w.post()
        w.wake()
        assert w.outcomes == [("expired", "deadline")]

    def test_a_conversation_is_forgotten_after_its_idle_retention(self, world):
        w = world(bounds={"idle_retention_seconds": 86_400})
        w.post()
        w.finish()
        w.now_ms += 50_000_000
        w.tell("variable.set", name="a", value="b")
        touched = w.now_ms
        w.wake()
        assert w.due_ms == touched + 86_400_000
        w.wake()
        assert w.data is None

    def test_waking_long_after_everything_was_due_ends_each_thing_once(self, world):
        w = world(limits=SETTLE, bounds={"idle_retention_seconds": 86_400})
        w.post()
        w.now_ms += 40 * 86_400_000
        w.wake()
        assert len(w.opened) == 1
        w.wake()
        assert w.outcomes == [("expired", "deadline")]
        w.wake()
        assert w.data is not None, "it was touched when its turn ended"
        w.wake()
        assert w.data is None


class TestPeople:
    def test_a_human_agents_message_takes_the_open_turn_over(self, world):
        w = world()
        w.post("q")
        w.post("I am on it", author=Author.HUMAN_AGENT)
        assert w.outcomes == [("handed_off", "human_took_over")]
        w.post("thanks")
        assert [u.author for u in w.opened[-1].transcript] == ["customer", "human_agent", "customer"]
        assert len(w.opened[-1].covers) == 1

    def test_a_human_agents_message_covers_a_burst_that_has_not_settled(self, world):
        w = world(limits=SETTLE)
        message = w.post("q")
        w.post("I am on it", author=Author.HUMAN_AGENT)
        assert w.closed[0].covers == (message,)
        assert (w.outcomes, w.state.waiting) == ([("handed_off", "human_took_over")], ())

    def test_in_manual_mode_messages_are_covered_and_no_turn_is_opened(self, world):
        w = world()
        w.tell("conversation.mode_changed", mode="manual")
        message = w.post("anybody?")
        assert (w.opened, w.outcomes) == ([], [("handed_off", "manual_mode")])
        assert (w.closed[0].covers, w.closed[0].mode) == ((message,), "manual")

    def test_manual_mode_hands_the_open_turn_over_and_auto_brings_holdfast_back(self, world):
        w = world()
        w.post()
        w.tell("conversation.mode_changed", mode="manual")
        assert w.outcomes == [("handed_off", "manual_mode")]
        w.tell("conversation.mode_changed", mode="auto")
        message = w.post()
        assert w.opened[-1].covers == (message,)

    def test_an_unknown_mode_changes_nothing(self, world):
        w = world()
        w.post()
        w.event("conversation.mode_changed", TOPICS[CONVERSATION_EVENTS].types["conversation.mode_changed"](mode="nap"))
        assert (w.closed, w.note("unknown_mode")) == ([], 1)

    def test_an_echo_of_the_assistant_is_not_taken_in_again(self, world):
        w = world()
        w.post("q")
        w.post("a", author=Author.ASSISTANT)
        assert (w.closed, w.note("assistant_echo")) == ([], 1)
        assert len(w.state.transcript.entries) == 1

    def test_an_unknown_author_is_recorded_and_nothing_more(self, world):
        w = world()
        w.post("q")
        w.post("beep", author=Author.OTHER)
        assert (w.closed, len(w.state.transcript.entries)) == ([], 2)

    def test_a_closed_conversation_answers_nothing_until_somebody_writes_again(self, world):
        w = world()
        w.post()
        w.tell("conversation.closed", reason="solved")
        assert (w.outcomes, w.responses) == ([("no_reply", "conversation_closed")], [])
        w.post()
        assert len(w.opened) == 2

    def test_an_approval_that_nobody_asked_for_is_counted(self, world):
        w = world()
        w.tell("approval.given", approval_id="a", granted=True)
        assert w.note("unknown_approval") == 1

    def test_variables_are_bounded_and_an_empty_value_removes(self, world):
        w = world(bounds={"variables_bytes_max": 1_024})
        w.tell("variable.set", name="a", value="x" * 900)
        with pytest.raises(Invalid) as refused:
            w.tell("variable.set", name="b", value="x" * 900)
        assert refused.value.reason == "variables_too_large"
        w.tell("variable.set", name="a", value="")
        w.tell("variable.set", name="never", value="")
        assert w.state.variables == {}


class TestErasure:
    def test_nothing_personal_is_left_and_what_comes_later_is_refused(self, world):
        w = world()
        w.post("my secret", name="Ada Lovelace")
        w.tell("variable.set", name="iban", value="DE00")
        turn = w.opened[0].turn
        w.tell("conversation.erased")
        assert w.outcomes == [("rejected", "erased")]
        for personal in (b"secret", b"Ada", b"DE00", b"iban"):
            assert personal not in w.data
            assert all(personal not in output.value for output in w.last)
        w.finish(turn)
        message = w.post("hello again")
        w.tell("variable.set", name="iban", value="DE00")
        assert w.outcomes[1:] == [("rejected", "erased")]
        assert (w.closed[1].covers, w.closed[1].turn.epoch) == ((message,), 2)
        assert (w.responses, len(w.opened)) == ([], 1)
        assert b"DE00" not in w.data
        assert b"hello again" not in w.data

    def test_messages_that_wait_are_covered(self, world):
        w = world(limits=SETTLE)
        message = w.post()
        w.tell("conversation.erased")
        assert (w.closed[0].covers, w.outcomes) == ((message,), [("rejected", "erased")])

    def test_the_marker_goes_after_its_retention(self, world):
        w = world(bounds={"erasure_retention_seconds": 86_400})
        w.post()
        w.tell("conversation.erased")
        w.post("late")
        assert w.due_ms == w.START_MS + 86_400_000
        w.wake()
        assert w.data is None

    def test_a_repeated_late_message_is_refused_once(self, world):
        w = world()
        w.tell("conversation.erased")
        w.post("late", event_id="m")
        w.post("late", event_id="m")
        assert len(w.closed) == 1


class TestBadInput:
    def test_the_same_event_twice_counts_once(self, world):
        w = world()
        w.post("hi", event_id="m")
        w.finish()
        before = w.data
        w.post("hi", event_id="m")
        assert (w.data, w.last, w.note("duplicate")) == (before, (), 1)

    def test_the_same_id_with_another_body_is_a_conflict_and_the_truth_stays(self, world):
        w = world()
        w.post("hi", event_id="m")
        before = w.data
        with pytest.raises(Invalid) as refused:
            w.post("something else", event_id="m")
        assert (refused.value.reason, w.data) == ("id_conflict", before)

    def test_the_same_id_from_another_source_is_another_event(self, world):
        w = world()
        w.post("hi", event_id="m")
        w.post("ho", event_id="m", source="crm")
        assert len(w.opened) == 2

    def test_key_order_of_the_body_makes_no_conflict(self, world):
        w = world()
        w.post("hi", event_id="m")
        headers, _ = codec.encode(w.envelopes[0])
        headers = tuple(
            (n, {"ce_id": b"m", "ce_type": b"message.posted", "ce_source": b"/tenants/bank"}.get(n, v))
            for n, v in headers
        )
        w.apply(w.record(CONVERSATION_EVENTS, headers, b'{"text": "hi", "author": "customer", "agent": "desk"}'))
        assert w.note("duplicate") == 1

    def test_the_memory_of_ids_is_bounded(self, world):
        w = world(bounds={"seen_events_max": 2})
        for number in range(4):
            w.tell("variable.set", name="n", value=str(number), event_id=f"v{number}")
        assert len(w.state.seen) == 2 * 28

    def test_an_unknown_agent_is_rejected_until_its_playbook_is_published(self, world):
        w = world()
        message = w.post("hi", agent="nobody")
        assert (w.outcomes, w.responses) == ([("rejected", "unknown_agent")], [])
        assert (w.closed[0].covers, w.closed[0].turn.agent) == ((message,), "nobody")
        w.publish(agent="nobody")
        second = w.post("hi?", agent="nobody")
        assert w.opened[0].covers == (second,)
        assert [u.text for u in w.opened[0].transcript] == ["hi", "hi?"]

    def test_a_playbook_withdrawn_while_a_burst_settles_rejects_it(self, world):
        w = world(limits=SETTLE)
        message = w.post()
        w.playbooks.withdraw("bank", "desk")
        w.wake()
        assert (w.outcomes, w.closed[0].covers) == ([("rejected", "unknown_agent")], (message,))

    def test_a_message_too_large_is_rejected_and_its_text_is_not_kept(self, world):
        w = world(limits={"message_bytes": 10}, playbook={"fallbacks": {"too_large": "Shorter, please."}})
        w.post("é" * 6)
        assert w.outcomes == [("rejected", "too_large")]
        assert (w.responses[0].text, w.responses[0].fallback) == ("Shorter, please.", "too_large")
        assert "é" not in w.data.decode()
        w.post("short")
        assert "12 bytes" in w.opened[-1].transcript[0].text

    def test_a_refused_message_lets_the_open_turn_be_answered_in_order(self, world):
        w = world(limits={"message_bytes": 10})
        first = w.post("q")
        large = w.post("x" * 11)
        assert w.outcomes == [("superseded", "newer_message"), ("rejected", "too_large")]
        assert [(o.turn.epoch, o.covers) for o in w.opened] == [(1, (first,)), (3, (first,))]
        assert w.closed[1].covers == (large,)
        w.finish()
        assert [r.epoch for r in w.responses] == [2, 3]

    def test_an_expired_event_is_covered_without_an_answer(self, world):
        w = world()
        w.post("old", expires_ms=w.now_ms)
        assert (w.outcomes, w.responses, w.opened) == ([("expired", "event_expired")], [], [])
        w.post("new", expires_ms=w.now_ms + 1)
        assert len(w.opened) == 1

    def test_a_clock_that_runs_ahead_does_not_order_the_transcript(self, world, times):
        w = world()
        w.post("from the future", time_ms=w.now_ms + 10_000_000)
        assert w.opened[0].transcript[0].at == times.instant(w.now_ms)

    def test_a_message_out_of_order_takes_its_place(self, world):
        w = world()
        for sequence, text in ((1, "one"), (3, "three"), (2, "two")):
            w.post(text, sequence=sequence)
        assert [u.text for u in w.opened[-1].transcript] == ["one", "two", "three"]
        assert (w.note("sequence_gap"), w.note("out_of_order")) == (1, 1)
        assert len(w.opened[-1].covers) == 3

    def test_a_late_message_after_the_answer_opens_a_turn(self, world):
        w = world()
        w.post("two", sequence=2)
        w.finish(text="a")
        late = w.post("one", sequence=1)
        assert w.opened[-1].covers == (late,)
        assert [u.text for u in w.opened[-1].transcript] == ["one", "two", "a"]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"event_id": "x" * 257}, "bad_id"),
            ({"event_id": "x\x01"}, "bad_id"),
        ],
    )
    def test_out_of_range_is_refused(self, world, changes, reason):
        w = world()
        with pytest.raises(Invalid) as refused:
            w.post(**changes)
        assert (refused.value.reason, w.data) == (reason, None)

    @pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[]", b'{"agent": 1}'])
    def test_an_unreadable_value_is_refused(self, world, value):
        w = world()
        w.post()
        headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", b"x"),
            ("ce_source", b"/tenants/bank"),
            ("ce_type", b"message.posted"),
        )
        headers += (("ce_time", b"2026-01-01T00:00:00Z"), ("ce_subject", b"c-1"))
        with pytest.raises(Invalid):
            w.apply(w.record(CONVERSATION_EVENTS, headers, value))

    def test_the_type_of_another_topic_is_refused(self, world):
        w = world()
        w.post()
        headers, value = codec.encode(w.envelopes[0])
        with pytest.raises(Invalid) as refused:
            w.apply(w.record(TURNS_FINISHED, headers, value))
        assert refused.value.reason == "wrong_topic"

    def test_a_new_conversation_on_the_wrong_partition_is_refused_where_the_count_is_told(self, world):
        home, elsewhere = b"bank:c-1", b"bank:c-0"
        assert [murmur2(key) % 2 for key in (home, elsewhere)] == [0, 1]
        world(partitions=2, conversation="c-1").post()
        with pytest.raises(Invalid) as refused:
            world(partitions=2, conversation="c-0").post()
        assert refused.value.reason == "misrouted"

    def test_a_known_conversation_is_at_home_where_it_is(self, world):
        w = world(conversation="c-0")
        w.post()
        w.ledger._partitions = 2
        w.post()
        assert len(w.opened) == 2


class TestRepetition:
    def test_a_step_that_is_repeated_writes_the_same_bytes(self, world):
        first, second = world(), world()
        for w in (first, second):
            w.post("q")
            w.post("q2")
            w.finish()
            w.post("q3")
            w.wake()
        assert first.data == second.data
        assert [e.id for e in first.envelopes] == [e.id for e in second.envelopes]
        assert first.envelopes == second.envelopes

    def test_ids_are_never_used_twice(self, world, claim, draft):
        w = world()
        w.post()
        w.post()
        w.finish(
            verification=Verification(passed=True, verified_by=Judge.CODE, claims=(claim(1), claim(1))), draft=draft
        )
        ids = [e.id for e in w.envelopes]
        assert len(ids) == len(set(ids))


class TestMetrics:
    def test_acceptance_outcomes_and_latency_are_counted(self, world):
        w = world()
        w.post()
        w.now_ms += 1_500
        w.finish()
        sample = w.registry.get_sample_value
        assert sample("holdfast_events_accepted_total", {"type": "message.posted"}) == 1
        assert sample("holdfast_event_outcomes_total", {"outcome": "answered"}) == 1
        assert sample("holdfast_response_latency_seconds_sum") == 1.5


def test_a_damaged_state_is_refused(world):
    for data in (b"", b"{", b"[]", b'{"v":2}', b'{"v":1}\nx', b'{"v":1,"open":{}}'):
        with pytest.raises(StateError):
            world().ledger.decode(data)
