"""Turns that are paused for tool calls: legs, grants, claims, results, approvals, seen from outside."""

from datetime import timedelta

import pytest

from shared.events.tools import Claim, ToolCall, ToolResult, ToolStatus
from shared.events.turns import Draft, FinishResult, Matching, TurnOpened

HTTP = {"url": "https://bank.example/do", "method": "POST"}
TOOLS = (
    {"id": "block-card", "description": "Blocks a card", "http": HTTP, "consequential": True},
    {"id": "lend", "description": "Lends money", "http": HTTP, "consequential": True, "approval": True},
    {"id": "balance", "description": "Tells the balance", "http": {"url": "https://bank.example/balance"}},
)
MATCHING = Matching(active=("g1",), candidates=3)


def call(tool="block-card", call_id="k-1", **arguments):
    return ToolCall(id=call_id, tool=tool, arguments=arguments)


def tools_world(world, **changes):
    return world(**{"playbook": {"tools": TOOLS}} | changes)


def came(w, called, status=ToolStatus.DONE, data="done", **fields):
    return ToolResult(call=called, status=status, data=data, at=w.opened[-1].turn.opened_at, **fields)


def pause(w, turn=None, **fields):
    return w.finish(turn, FinishResult.PAUSED, **{"verification": None, "matching": MATCHING} | fields)


@pytest.fixture
def w(world):
    built = tools_world(world)
    built.post("please")
    return built


@pytest.fixture
def granted(w):
    """A turn whose second leg has the leave for `k-1`."""
    pause(w, calls=[call()])
    return w


@pytest.fixture
def asked(w):
    """A conversation that waits for the approval of `k-1`."""
    pause(w, calls=[call("lend", amount=50)])
    return w


class TestGrants:
    def test_a_consequential_call_is_granted_in_the_next_leg_of_the_same_turn(self, w):
        pause(w, calls=[call(card="1234")])
        first, second = w.opened
        assert second.turn == first.turn.model_copy(update={"leg": 2})
        assert [(g.call, g.claimant) for g in second.grants] == [(call(card="1234"), "")]
        assert (second.matching, second.covers, second.transcript) == (MATCHING, first.covers, first.transcript)
        assert (w.closed, w.responses) == ([], [])

    def test_the_next_leg_shows_the_way_of_the_former_one(self, granted):
        stages = [mark.stage for mark in granted.opened[-1].marks]
        assert stages == ["conversations", "verifier", "conversations"]

    def test_a_leg_that_was_paused_cannot_be_paused_or_finished_again(self, granted):
        first = granted.opened[0].turn
        pause(granted, first, calls=[call(call_id="k-2")])
        granted.finish(first)
        assert (len(granted.opened), granted.closed, granted.note("stale_result")) == (2, [], 2)

    def test_a_result_goes_into_the_next_leg_and_the_grant_does_not(self, granted):
        pause(granted, results=[came(granted, call(), data={"blocked": True})])
        third = granted.opened[-1]
        assert (third.turn.leg, third.grants, third.fresh) == (3, (), ("k-1",))
        assert third.results[0].data == {"blocked": True}
        granted.finish()
        assert granted.outcomes == [("answered", "")]
        assert granted.state.calls == ()

    def test_a_call_that_is_known_is_not_granted_again(self, granted):
        pause(granted, results=[came(granted, call())])
        pause(granted, calls=[call()])
        assert (granted.opened[-1].turn.leg, granted.opened[-1].grants) == (4, ())
        assert granted.opened[-1].results[0].status is ToolStatus.DONE
        assert granted.opened[-1].fresh == ()

    def test_of_two_results_the_first_counts(self, granted):
        second = granted.opened[-1].turn
        pause(granted, results=[came(granted, call(), data=1), came(granted, call(), data=2)])
        pause(granted, second, results=[came(granted, call(), data=3)])
        pause(granted, results=[came(granted, call(), data=4)])
        assert [result.data for result in granted.opened[-1].results] == [1]

    def test_what_was_only_read_leads_to_the_next_leg_and_ends_with_the_turn(self, w):
        read = came(w, call("balance", "r-1"), data=7)
        pause(w, results=[read])
        assert (w.opened[-1].results, w.opened[-1].fresh) == ((read,), ("r-1",))
        w.post("and?")
        assert w.opened[-1].results == ()

    def test_the_deadline_is_the_turns_whatever_its_leg(self, w):
        w.now_ms += 30_000
        pause(w, calls=[call()])
        assert w.due_ms == w.START_MS + 60_000

    def test_a_matching_that_no_record_would_hold_is_asked_for_again(self, w):
        large = MATCHING.model_copy(update={"active": ("x" * 1_000_000,)})
        pause(w, calls=[call()], matching=large)
        assert w.opened[-1].matching is None
        assert w.opened[-1].grants

    def test_the_record_of_a_leg_is_what_its_model_would_write(self, granted):
        value = granted.last[-1].value
        assert TurnOpened.model_validate_json(value).matching == MATCHING


class TestBrokenContracts:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"calls": [call("nothing")]},
            {"calls": [call("balance")]},
            {"calls": [call(call_id="k" * 65)]},
            {"calls": [call(call_id="")]},
        ],
    )
    def test_an_unfounded_pause_fails_the_turn(self, w, fields):
        pause(w, **fields)
        assert (w.outcomes, len(w.opened), w.state.calls) == ([("answered", "refused_call")], 1, ())
        assert w.responses[0].fallback == "failed"

    def test_a_result_without_a_grant_fails_the_turn(self, w):
        pause(w, results=[came(w, call())])
        assert w.outcomes == [("answered", "refused_call")]

    def test_more_calls_than_are_kept_fail_the_turn_and_none_is_granted(self, world):
        w = tools_world(world, bounds={"calls_max": 2})
        w.post()
        pause(w, calls=[call(call_id=f"k-{n}", n=n) for n in range(3)])
        assert (w.outcomes, w.state.calls) == ([("answered", "too_many_calls")], ())

    def test_arguments_larger_than_what_is_kept_fail_the_turn(self, world):
        w = tools_world(world, bounds={"calls_bytes_max": 8_192})
        w.post()
        pause(w, calls=[call(text="x" * 8_192)])
        assert w.outcomes == [("answered", "too_many_calls")]

    def test_a_result_too_large_is_recorded_without_what_it_says(self, world):
        w = tools_world(world, bounds={"calls_bytes_max": 8_192})
        w.post()
        pause(w, calls=[call()])
        pause(w, results=[came(w, call(), data="x" * 8_192)])
        result = w.opened[-1].results[0]
        assert (result.status, result.data) == (ToolStatus.DONE, None)
        assert "left out" in result.error

    def test_legs_are_bounded_and_what_a_call_came_to_is_kept(self, world):
        w = tools_world(world, bounds={"legs_max": 2})
        w.post()
        pause(w, calls=[call()])
        pause(w, results=[came(w, call())])
        assert w.outcomes == [("answered", "too_many_legs")]
        w.post("again")
        assert [result.status for result in w.opened[-1].results] == [ToolStatus.DONE]


class TestClaims:
    def test_the_first_claim_counts_and_is_named_in_the_next_leg(self, granted):
        second = granted.opened[-1].turn
        pause(granted, claims=[Claim(call_id="k-1", claimant="mine")])
        pause(granted, second, claims=[Claim(call_id="k-1", claimant="yours")])
        pause(granted, claims=[Claim(call_id="k-1", claimant="late")])
        assert [grant.claimant for opened in granted.opened[2:] for grant in opened.grants] == ["mine", "mine"]

    def test_an_unknown_outcome_hands_the_turn_to_people(self, granted):
        pause(granted, results=[came(granted, call(), ToolStatus.UNKNOWN)])
        assert granted.outcomes == [("handed_off", "tool_outcome_unknown")]
        assert (granted.closed[0].outstanding, granted.closed[0].mode) == (("k-1",), "manual")
        assert granted.responses[0].fallback == "hand_off"
        assert (granted.state.mode, granted.state.calls) == ("manual", ())

    def test_whoever_takes_over_is_told_what_the_other_calls_had_come_to(self, w):
        """Else people would do once more what was done: no draft names the results."""
        pause(w, calls=[call(), call(call_id="k-2", card="2")])
        done, unclear = came(w, call()), came(w, call(call_id="k-2", card="2"), ToolStatus.UNKNOWN)
        pause(w, results=[done])
        pause(w, results=[unclear])
        assert (w.outcomes, w.closed[0].outstanding) == ([("handed_off", "tool_outcome_unknown")], ("k-2",))
        assert w.closed[0].results == (done,)

    def test_a_turn_that_is_handed_off_without_a_draft_names_what_its_calls_had_come_to(self, granted):
        done = came(granted, call())
        pause(granted, results=[done])
        granted.finish(None, FinishResult.HAND_OFF, verification=None, reason="model_timeout")
        assert granted.outcomes == [("handed_off", "model_timeout")]
        assert (granted.closed[0].results, granted.closed[0].mode) == ((done,), "manual")
        assert granted.state.calls == ()

    def test_a_turn_that_is_answered_leaves_the_results_to_its_draft(self, granted):
        pause(granted, results=[came(granted, call())])
        granted.finish()
        assert granted.closed[0].results == ()

    def test_a_status_of_a_newer_release_is_an_unknown_outcome(self, granted):
        pause(granted, results=[came(granted, call(), ToolStatus("postponed"))])
        assert granted.outcomes == [("handed_off", "tool_outcome_unknown")]


class TestWhatATurnLeaves:
    def test_a_newer_messages_turn_carries_the_grant(self, granted):
        granted.post("and quickly")
        assert granted.closed[0].outstanding == ("k-1",)
        third = granted.opened[-1]
        assert (third.turn.epoch, third.turn.leg) == (2, 1)
        assert [grant.call for grant in third.grants] == [call()]

    def test_the_former_turns_result_is_recorded_and_told_by_the_next(self, granted):
        old = granted.opened[-1].turn
        granted.post("and quickly")
        pause(granted, old, results=[came(granted, call(), data="first")])
        assert (granted.note("late_tool_result"), len(granted.opened)) == (1, 3)
        pause(granted, results=[came(granted, call(), data="second")])
        assert [result.data for result in granted.opened[-1].results] == ["first"]

    def test_a_result_that_no_reply_told_is_carried_on(self, granted):
        pause(granted, results=[came(granted, call())])
        granted.finish(result=FinishResult.FAILED)
        granted.post("what is it?")
        assert granted.opened[-1].fresh == ("k-1",)
        granted.finish()
        assert granted.state.calls == ()

    def test_a_call_decided_on_once_more_is_the_one_that_is_kept(self, granted):
        granted.post("block it, please")
        pause(granted, calls=[call(call_id="k-2")])
        assert [grant.call.id for grant in granted.opened[-1].grants] == ["k-1"]

    def test_an_expired_turn_says_what_is_outstanding_and_a_late_result_is_told(self, granted):
        old = granted.opened[-1].turn
        granted.wake()
        assert (granted.outcomes, granted.closed[0].outstanding) == ([("expired", "deadline")], ("k-1",))
        pause(granted, old, results=[came(granted, call())])
        followed = granted.opened[-1]
        assert (followed.turn.epoch, followed.turn.leg, followed.covers) == (2, 1, granted.opened[0].covers)
        assert followed.fresh == ("k-1",)

    def test_a_result_after_the_deadline_is_recorded_though_the_timer_is_slow(self, granted):
        granted.now_ms += 60_000
        pause(granted, results=[came(granted, call())])
        assert granted.outcomes == [("expired", "deadline")]
        assert granted.opened[-1].fresh == ("k-1",)

    def test_a_late_unknown_outcome_hands_off_by_a_turn_of_its_own(self, granted):
        old = granted.opened[-1].turn
        granted.wake()
        pause(granted, old, results=[came(granted, call(), ToolStatus.UNKNOWN)])
        assert granted.outcomes[1:] == [("handed_off", "tool_outcome_unknown")]
        assert granted.closed[1].covers == granted.opened[0].covers
        assert granted.state.mode == "manual"

    def test_a_grant_that_nobody_reports_on_is_of_unknown_outcome_after_its_time(self, granted):
        granted.wake()
        granted.now_ms += 3_600_000
        granted.post("hello?")
        assert granted.outcomes[1:] == [("handed_off", "tool_outcome_unknown")]
        assert granted.closed[1].outstanding == ("k-1",)

    def test_a_grant_of_a_tool_that_is_another_by_now_is_of_unknown_outcome(self, granted):
        changed = TOOLS[0] | {"http": HTTP | {"url": "https://bank.example/other"}}
        granted.publish(tools=(changed,))
        granted.post("hello?")
        assert granted.outcomes[1:] == [("handed_off", "tool_outcome_unknown")]

    def test_a_new_version_with_the_same_tool_goes_on_with_the_grant(self, granted):
        granted.publish(tools=TOOLS, limits={"window_messages": 7})
        granted.post("hello?")
        assert len(granted.opened[-1].grants) == 1

    def test_in_manual_mode_a_late_result_is_kept_for_when_holdfast_is_back(self, granted):
        old = granted.opened[-1].turn
        granted.tell("conversation.mode_changed", mode="manual")
        pause(granted, old, results=[came(granted, call())])
        assert granted.outcomes == [("handed_off", "manual_mode")] * 2
        granted.tell("conversation.mode_changed", mode="auto")
        granted.post("hello?")
        assert granted.opened[-1].fresh == ("k-1",)

    def test_nothing_of_a_call_outlives_erasure(self, granted):
        old = granted.opened[-1].turn
        granted.tell("conversation.erased")
        assert granted.closed[0].outstanding == ("k-1",)
        pause(granted, old, results=[came(granted, call())])
        assert (granted.state.calls, len(granted.closed), len(granted.opened)) == ((), 1, 2)


class TestWhatWasTold:
    """A message may be answered again, when a decision about one of its calls comes late."""

    @pytest.fixture
    def told(self, w):
        """A turn asked for two calls; the one without approval was made, and a newer turn has told so."""
        pause(w, calls=[call(card="1"), call("lend", "k-2", amount=50)])
        pause(w, results=[came(w, call(card="1"))])
        assert w.outcomes == [("answered", "approval_requested")]
        w.post("and?")
        assert [result.call.id for result in w.opened[-1].results] == ["k-1"]
        w.finish()
        return w

    def test_the_turn_of_a_late_decision_knows_what_was_done_for_its_message_already(self, told):
        told.tell("approval.given", approval_id="k-2", granted=True)
        opened = told.opened[-1]
        assert [grant.call.id for grant in opened.grants] == ["k-2"]
        assert [result.call.id for result in opened.results] == ["k-1"]
        pause(told, results=[came(told, call("lend", "k-2", amount=50))])
        pause(told, calls=[call(call_id="k-3", card="1")])
        assert told.opened[-1].grants == ()
        told.finish()
        assert told.state.calls == ()

    def test_a_turn_about_other_messages_may_do_the_same_again(self, told):
        told.post("once more, please")
        assert told.opened[-1].results == ()
        pause(told, calls=[call(call_id="k-3", card="1")])
        assert [grant.call.id for grant in told.opened[-1].grants] == ["k-3"]

    def test_it_is_forgotten_with_the_decision_wherever_that_is_told(self, told):
        told.post("once more, please")
        told.tell("approval.given", approval_id="k-2", granted=False)
        told.finish()
        told.finish()
        assert told.state.calls == ()


class TestWhatNobodyCanTell:
    """A call of unknown outcome may have been done; a turn about the same message must not do it again."""

    @pytest.fixture
    def handed_off(self, w):
        """One call may have been made, the other waits for approval, and people have had the conversation."""
        pause(w, calls=[call(card="1"), call("lend", "k-2", amount=50)])
        pause(w, results=[came(w, call(card="1"), ToolStatus.UNKNOWN)])
        assert w.outcomes == [("handed_off", "tool_outcome_unknown")]
        w.tell("conversation.mode_changed", mode="auto")
        return w

    @pytest.mark.parametrize("granted", [True, False])
    def test_it_is_not_done_again_by_the_turn_of_a_late_decision(self, handed_off, granted):
        handed_off.tell("approval.given", approval_id="k-2", granted=granted)
        assert ("k-1", ToolStatus.UNKNOWN) in [(r.call.id, r.status) for r in handed_off.opened[-1].results]
        if granted:
            pause(handed_off, results=[came(handed_off, call("lend", "k-2", amount=50))])
        pause(handed_off, calls=[call(call_id="k-3", card="1")])
        assert handed_off.opened[-1].grants == ()
        handed_off.finish()
        assert handed_off.state.calls == ()

    def test_another_message_may_ask_for_it(self, handed_off):
        handed_off.post("try the card again")
        assert handed_off.opened[-1].results == ()
        pause(handed_off, calls=[call(call_id="k-3", card="1")])
        assert [grant.call.id for grant in handed_off.opened[-1].grants] == ["k-3"]

    def test_a_report_that_comes_too_late_changes_nothing(self, handed_off):
        pause(handed_off, handed_off.opened[0].turn, results=[came(handed_off, call(card="1"))])
        handed_off.tell("approval.given", approval_id="k-2", granted=False)
        assert ("k-1", ToolStatus.UNKNOWN) in [(r.call.id, r.status) for r in handed_off.opened[-1].results]

    def test_nor_is_what_nobody_reported_on(self, w):
        pause(w, calls=[call(card="1"), call("lend", "k-2", amount=50)])
        w.wake()
        w.now_ms += 3_600_000
        w.post("hello?")
        assert w.outcomes[-1] == ("handed_off", "tool_outcome_unknown")
        w.tell("conversation.mode_changed", mode="auto")
        w.tell("approval.given", approval_id="k-2", granted=True)
        shown = [(r.call.id, r.status) for r in w.opened[-1].results]
        assert w.opened[-1].covers == w.opened[0].covers
        assert ("k-1", ToolStatus.UNKNOWN) in shown


class TestModes:
    def test_a_result_may_ask_for_people_once_the_turn_has_ended(self, granted):
        pause(granted, results=[came(granted, call(), mode="manual")])
        assert granted.state.mode == "auto"
        granted.finish()
        assert (granted.closed[0].mode, granted.state.mode) == ("manual", "manual")

    def test_so_may_a_result_that_came_with_the_draft(self, w, draft):
        read = came(w, call("balance", "r-1"), mode="manual")
        w.finish(draft=Draft(**dict(draft) | {"results": (read,)}))
        assert w.state.mode == "manual"

    def test_a_turn_that_failed_heeds_it_too_and_once(self, granted):
        pause(granted, results=[came(granted, call(), mode="manual")])
        granted.finish(result=FinishResult.FAILED)
        assert granted.state.mode == "manual"
        granted.tell("conversation.mode_changed", mode="auto")
        granted.post("again")
        granted.finish(result=FinishResult.FAILED)
        assert granted.state.mode == "auto"


class TestApprovals:
    def test_a_call_that_needs_approval_is_asked_for_and_ends_the_turn(self, asked):
        request = asked.asked[0]
        assert (request.approval_id, request.tool, request.arguments) == ("k-1", "lend", {"amount": 50})
        assert request.expires_at - asked.opened[0].turn.opened_at == timedelta(seconds=3_600)
        assert asked.outcomes == [("answered", "approval_requested")]
        assert asked.responses[0].fallback == "approval_requested"
        assert asked.due_ms == asked.now_ms + 3_600_000

    def test_without_words_for_it_the_turn_ends_without_a_reply(self, world):
        w = tools_world(world, playbook={"tools": TOOLS, "fallbacks": {"approval_requested": ""}})
        w.post()
        pause(w, calls=[call("lend")])
        assert (w.outcomes, w.responses) == ([("no_reply", "approval_requested")], [])
        assert len(w.asked) == 1

    def test_once_given_a_turn_performs_it(self, asked):
        asked.tell("approval.given", approval_id="k-1", granted=True, by="Ada")
        opened = asked.opened[-1]
        assert (opened.turn.epoch, opened.covers) == (2, asked.opened[0].covers)
        assert [grant.call.id for grant in opened.grants] == ["k-1"]
        pause(asked, results=[came(asked, call("lend", amount=50))])
        asked.finish()
        assert asked.outcomes[-1] == ("answered", "")
        assert asked.state.calls == ()

    def test_refused_a_turn_says_so(self, asked):
        asked.tell("approval.given", approval_id="k-1", granted=False)
        opened = asked.opened[-1]
        assert (opened.grants, opened.results[0].status) == ((), ToolStatus.REFUSED)

    def test_undecided_in_time_a_turn_says_so(self, asked):
        asked.wake()
        assert asked.opened[-1].results[0].status is ToolStatus.EXPIRED
        asked.tell("approval.given", approval_id="k-1", granted=True)
        assert asked.note("unknown_approval") == 1
        assert asked.opened[-1].grants == ()

    def test_given_too_late_it_is_none_though_the_timer_is_slow(self, asked):
        asked.now_ms += 3_600_000
        asked.tell("approval.given", approval_id="k-1", granted=True)
        assert asked.opened[-1].results[0].status is ToolStatus.EXPIRED

    def test_the_first_decision_counts(self, asked):
        asked.tell("approval.given", approval_id="k-1", granted=False)
        asked.tell("approval.given", approval_id="k-1", granted=True)
        asked.tell("approval.given", approval_id="nobody-asked", granted=True)
        assert (len(asked.opened), asked.note("unknown_approval")) == (2, 2)

    def test_given_while_a_turn_is_open_it_waits_for_that_ones_end(self, asked):
        asked.post("another thing")
        asked.tell("approval.given", approval_id="k-1", granted=True)
        assert (len(asked.opened), asked.opened[-1].grants) == (2, ())
        asked.finish()
        assert [grant.call.id for grant in asked.opened[-1].grants] == ["k-1"]
        assert asked.opened[-1].covers == asked.opened[0].covers

    def test_given_while_a_turn_is_open_it_joins_that_ones_next_leg(self, asked):
        asked.post("another thing")
        asked.tell("approval.given", approval_id="k-1", granted=True)
        pause(asked, calls=[call(call_id="k-2")])
        assert [grant.call.id for grant in asked.opened[-1].grants] == ["k-1", "k-2"]

    def test_given_while_a_burst_settles_it_joins_the_bursts_turn(self, world):
        w = tools_world(world, limits={"settle_seconds": 2.0})
        w.post()
        w.wake()
        pause(w, calls=[call("lend")])
        w.post("and")
        w.tell("approval.given", approval_id="k-1", granted=True)
        assert len(w.opened) == 1
        w.wake()
        assert [grant.call.id for grant in w.opened[-1].grants] == ["k-1"]

    def test_in_manual_mode_it_is_left_to_people(self, asked):
        asked.tell("conversation.mode_changed", mode="manual")
        asked.tell("approval.given", approval_id="k-1", granted=True)
        assert (asked.outcomes[-1], len(asked.opened), asked.state.calls) == (("handed_off", "manual_mode"), 1, ())

    def test_without_a_playbook_it_is_not_made(self, asked):
        asked.playbooks.withdraw("bank", "desk")
        asked.tell("approval.given", approval_id="k-1", granted=True)
        assert (asked.outcomes[-1], asked.state.calls) == (("rejected", "unknown_agent"), ())

    def test_the_same_wish_again_asks_nobody_twice(self, asked):
        again = asked.post("well?")
        pause(asked, calls=[call("lend", "k-2", amount=50)])
        assert (len(asked.asked), asked.outcomes[-1]) == (1, ("answered", "approval_requested"))
        asked.tell("approval.given", approval_id="k-1", granted=True)
        assert asked.opened[-1].covers == (again,)

    def test_what_needs_no_approval_is_done_before_the_turn_ends(self, w):
        pause(w, calls=[call(), call("lend", "k-2")])
        assert (len(w.asked), [grant.call.id for grant in w.opened[-1].grants]) == (1, ["k-1"])
        pause(w, results=[came(w, call())])
        assert (w.outcomes, len(w.opened)) == ([("answered", "approval_requested")], 2)
        w.tell("approval.given", approval_id="k-2", granted=True)
        assert ([r.call.id for r in w.opened[-1].results], len(w.opened[-1].grants)) == (["k-1"], 1)

    def test_after_erasure_an_approval_is_nothing(self, asked):
        asked.tell("conversation.erased")
        asked.tell("approval.given", approval_id="k-1", granted=True)
        assert (len(asked.opened), asked.note("after_erasure")) == (1, 1)

    def test_a_conversation_is_not_forgotten_while_it_waits(self, world):
        lend = TOOLS[1] | {"approval_seconds": 3 * 86_400.0}
        w = tools_world(world, playbook={"tools": [lend]}, bounds={"idle_retention_seconds": 86_400})
        w.post()
        pause(w, calls=[call("lend")])
        w.wake()
        assert w.state is not None
        w.wake()
        assert w.opened[-1].results[0].status is ToolStatus.EXPIRED
