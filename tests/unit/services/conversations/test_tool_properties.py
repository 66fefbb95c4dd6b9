"""
Tool calls under any interleaving: messages, pauses, repeated and late finishes of any leg, approvals, expiries,
erasures, modes, slow timers.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.events.tools import Claim, ToolCall, ToolResult, ToolStatus
from shared.events.turns import FinishResult, Matching

HTTP = {"url": "https://bank.example/do", "method": "POST"}
TOOLS = [
    {"id": "act", "description": "Acts", "http": HTTP, "consequential": True},
    {"id": "ask", "description": "Acts", "http": HTTP, "consequential": True, "approval": True, "approval_seconds": 90},
    {"id": "read", "description": "Reads", "http": HTTP},
    {"id": "strange", "description": "Reads", "http": HTTP},
]
STATUSES = [ToolStatus.DONE, ToolStatus.DONE, ToolStatus.DONE, ToolStatus.FAILED, ToolStatus.UNKNOWN]
ENDS = [FinishResult.VERIFIED, FinishResult.SILENT, FinishResult.FAILED, FinishResult.HAND_OFF]


class Calling(RuleBasedStateMachine):
    """Does to a conversation with tools all that can be done; *world* is the driver's class."""

    def __init__(self, world):
        super().__init__()
        self.world = world
        self.messages, self.at_start = [], 0
        self.numbers = iter(range(1_000_000))
        self.reported = {}
        self.decided = {}
        self.erased = False

    @initialize(settle=st.sampled_from([0.0, 2.0]), texts=st.sampled_from([{}, {"approval_requested": ""}]))
    def begin(self, settle, texts):
        self.w = self.world(
            limits={"settle_seconds": settle, "window_messages": 3},
            playbook={"fallbacks": texts, "tools": TOOLS},
            bounds={"covers_max": 4, "calls_max": 4, "calls_bytes_max": 8_192, "legs_max": 4, "grant_seconds": 200},
        )

    @rule()
    def customer_writes(self):
        self.messages.append(self.w.post("please"))

    def some_turn(self, data):
        recent = [opened.turn for opened in self.w.opened[-6:]]
        return data.draw(st.sampled_from([recent[-1], *recent]))

    def call(self, data, turn):
        """A call whose id says of what turn, tool and argument it is, as the reasoner's do."""
        tool = data.draw(st.sampled_from(["act", "act", "ask", "ask", "read", "nothing"]))
        amount = data.draw(st.integers(0, 1))
        return ToolCall(id=f"{turn.epoch}-{tool}-{amount}", tool=tool, arguments={"amount": amount})

    def result(self, data, call):
        number = next(self.numbers)
        padding = "x" * data.draw(st.sampled_from([0, 0, 3_000, 9_000]))
        mode = data.draw(st.sampled_from(["", "", "", "manual"]))
        status = data.draw(st.sampled_from(STATUSES))
        at = self.w.opened[-1].turn.opened_at
        return ToolResult(call=call, status=status, data=f"{number}:{padding}", mode=mode, at=at)

    @precondition(lambda self: self.w.opened)
    @rule(data=st.data())
    def a_leg_is_paused_for_calls(self, data):
        turn = self.some_turn(data)
        calls = [self.call(data, turn) for _ in range(data.draw(st.integers(0, 3)))]
        self.pause(turn, calls=calls)

    @precondition(lambda self: self.w.opened)
    @rule(data=st.data())
    def grants_are_worked_on(self, data):
        """Executed, claimed, or a bit of both; of the newest leg, or one of long ago."""
        recent = self.w.opened[-6:]
        opened = data.draw(st.sampled_from([recent[-1], *recent]))
        claims, results = [], []
        for grant in opened.grants:
            if data.draw(st.booleans()):
                claims.append(Claim(call_id=grant.call.id, claimant=f"p{next(self.numbers)}"))
            else:
                results.append(self.result(data, grant.call))
        if claims or results:
            self.pause(opened.turn, claims=claims, results=results)

    @precondition(lambda self: self.w.opened)
    @rule(data=st.data())
    def something_is_read(self, data):
        turn = self.some_turn(data)
        read = ToolCall(id=f"{turn.epoch}-read-{next(self.numbers)}", tool="read")
        self.pause(turn, results=[self.result(data, read)])

    def pause(self, turn, **fields):
        self.w.finish(turn, FinishResult.PAUSED, verification=None, matching=Matching(active=()), **fields)

    @precondition(lambda self: self.w.opened)
    @rule(data=st.data(), result=st.sampled_from(ENDS))
    def a_turn_is_finished(self, data, result):
        self.w.finish(self.some_turn(data), result)

    @precondition(lambda self: self.w.asked)
    @rule(data=st.data(), granted=st.booleans())
    def a_person_decides(self, data, granted):
        request = data.draw(st.sampled_from(self.w.asked))
        self.w.tell("approval.given", approval_id=request.approval_id, granted=granted)

    @rule(mode=st.sampled_from(["auto", "auto", "manual"]))
    def mode_changes(self, mode):
        self.w.tell("conversation.mode_changed", mode=mode)

    @rule()
    def platform_closes(self):
        self.w.tell("conversation.closed")

    @rule(really=st.integers(0, 19))
    def platform_erases(self, really):
        if really == 0:
            self.w.tell("conversation.erased")
            self.erased = True
            self.openings = len(self.w.opened)

    @rule(ms=st.integers(0, 40_000))
    def time_passes(self, ms):
        self.w.now_ms += ms
        while self.w.due_ms is not None and self.w.due_ms <= self.w.now_ms:
            self.w.wake()

    @rule(ms=st.integers(0, 70_000))
    def time_passes_and_timers_are_slow(self, ms):
        self.w.now_ms += ms

    @invariant()
    def each_turn_has_one_outcome_and_epochs_grow(self):
        if not hasattr(self, "w"):
            return
        state = self.w.state
        closed = [c.turn.id for c in self.w.closed]
        assert len(closed) == len(set(closed))
        assert {o.turn.id for o in self.w.opened} - set(closed) == ({state.open.id} if state and state.open else set())
        legs = [(o.turn.epoch, o.turn.leg) for o in self.w.opened]
        assert legs == sorted(set(legs))
        epochs = [c.turn.epoch for c in self.w.closed]
        assert epochs == sorted(set(epochs))
        assert all(o.turn.leg <= 4 for o in self.w.opened)

    @invariant()
    def a_call_has_one_result_and_one_claimant_for_ever(self):
        """And none is granted again once its result was in a leg."""
        claimants, results = {}, {}
        for opened in self.w.opened if hasattr(self, "w") else ():
            assert len({g.call.id for g in opened.grants}) == len(opened.grants)
            for grant in opened.grants:
                assert grant.call.id not in results
                assert claimants.setdefault(grant.call.id, grant.claimant) in ("", grant.claimant)
                claimants[grant.call.id] = grant.claimant
            for result in opened.results:
                said = (result.status, result.data)
                assert results.setdefault(result.call.id, said) == said

    @invariant()
    def nothing_is_granted_without_leave(self):
        if not hasattr(self, "w"):
            return
        asked = [request.approval_id for request in self.w.asked]
        assert len(asked) == len(set(asked))
        for opened in self.w.opened:
            for grant in opened.grants:
                assert grant.call.tool in ("act", "ask")
                assert grant.call.tool == "act" or grant.call.id in asked

    @invariant()
    def no_grant_is_forgotten(self):
        """Until it has a result, is told to be outstanding by a hand-off, or the conversation is erased."""
        if not hasattr(self, "w") or self.erased or self.w.state is None:
            return
        state = self.w.state
        granted = {g.call.id for o in self.w.opened for g in o.grants}
        settled = {r.call.id for o in self.w.opened for r in o.results}
        given_up = {k for c in self.w.closed if c.reason == "tool_outcome_unknown" for k in c.outstanding}
        assert granted - settled - given_up <= {call.id for call in state.calls}
        if state.open:
            newest = self.w.opened[-1]
            shown = {g.call.id for g in newest.grants} | {r.call.id for r in newest.results}
            concerned = [call for call in state.calls if call.concerns(newest.covers) and not call.reads]
            assert {call.id for call in concerned if call.carried} <= shown | settled

    @invariant()
    def what_is_owed_has_a_turn_to_come(self):
        state = self.w.state if hasattr(self, "w") else None
        if state and any(call.is_owed for call in state.calls):
            assert state.open or state.waiting

    @invariant()
    def what_is_kept_is_bounded(self):
        state = self.w.state if hasattr(self, "w") else None
        if state:
            assert len(state.calls) <= 4
            assert len(self.w.ledger.encode(state)) < 40_000

    @invariant()
    def nothing_of_a_call_outlives_erasure(self):
        if self.erased and self.w.state is not None:
            assert self.w.state.calls == ()
            assert len(self.w.opened) == self.openings

    def teardown(self):
        """In the end every message is covered, and nothing is owed."""
        if not hasattr(self, "w"):
            return
        if not self.erased:
            for _ in range(50):
                state = self.w.state
                asks = state is not None and any(call.standing == "asked" for call in state.calls)
                if state is None or not (state.open or state.waiting or asks):
                    break
                self.w.wake()
            else:
                raise AssertionError("the conversation never comes to rest")
        assert set(self.messages) <= {m for c in self.w.closed for m in c.covers}


def test_no_call_is_granted_twice_or_forgotten(world):
    run_state_machine_as_test(
        lambda: Calling(world), settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )
