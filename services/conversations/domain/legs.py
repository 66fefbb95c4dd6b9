"""
The legs of a turn: it is paused for calls of tools, and goes on when the ledger has answered.

A pause ends the open turn's leg, not the turn. The next leg carries what is kept in mind (calls.py): grants of what
the stages asked leave for, reserved for a claimant where one was the first to claim, and the results so far. A pause
that breaks the contract (a tool that the playbook does not have or that changes nothing, a result without a grant,
more calls or legs than there may be) fails the turn; what it reports of granted calls is recorded all the same.

A call that needs a person's approval is asked for at once; when nothing else of the turn is under way any more, the
turn ends with the playbook's words for that, and the decision opens another one. A call that does what one that is
kept in mind does already, from a turn that was superseded say, is that call, not another.
"""

from collections.abc import Iterable
from typing import Any

from services.conversations.domain import calls
from services.conversations.domain.binding import digest_of, holds, rebound
from services.conversations.domain.bounds import CALL_ID_CHARS_MAX
from services.conversations.domain.calls import Call, Calls, Standing
from services.conversations.domain.effects import Asked, Note
from services.conversations.domain.state import OpenTurn
from services.conversations.domain.step import Step
from services.conversations.domain.turns import (
    begin,
    close,
    close_at_once,
    fallback_reply,
    hand_off_at_once,
    open_leg,
    unanswered,
)
from shared.events.conversation import Mode
from shared.events.tools import Claim, ToolCall, ToolResult, ToolStatus
from shared.events.turns import ClosedBy, Outcome, TurnFinished
from shared.playbook.model import Playbook
from shared.playbook.tools import Tool

UNCLEAR = frozenset({ToolStatus.UNKNOWN, ToolStatus.OTHER})


def record_results(step: Step, results: tuple[ToolResult, ...]) -> tuple[str, ...]:
    """
    Record those of *results* that a grant waits for, whichever leg they come from; the first one counts. Returns the
    ids of the calls of which nobody can tell what they did; people are to be handed them.
    """
    state, unclear = step.state, dict[str, dict[str, Any]]()
    for result in results:
        call = next((call for call in state.calls if call.id == result.call.id), None)
        if call is None or call.standing != Standing.GRANTED:
            continue
        if result.status in UNCLEAR:
            unclear[call.id] = _kept(result) | {"status": str(ToolStatus.UNKNOWN)}
        else:
            settled = call.settled(_kept(result), step.now_ms)
            state.calls = calls.with_call(state.calls, settled, step.bounds.calls_bytes_max)
    if unclear:
        state.calls = calls.given_up(state.calls, unclear, step.now_ms)
    return tuple(unclear)


def hand_off(step: Step, unclear: tuple[str, ...], about: Calls, finished: TurnFinished | None) -> None:
    """
    Pass the conversation to people, because nobody can tell what the calls *unclear* did; *about* are those calls,
    *finished* is the record of the open turn's leg, where that is what reported it.
    """
    state = step.state
    if state.open is not None:
        turn, reply = state.open, fallback_reply(step, state.open, "hand_off")
        state.mode = Mode.MANUAL
        reason = ClosedBy.TOOL_OUTCOME_UNKNOWN
        close(step, Outcome.HANDED_OFF, reason, reply=reply, finished=finished, outstanding=unclear, about=about)
        state.calls = calls.told(state.calls, turn.agent, turn.covers)
        return
    covers = unanswered(step) if state.is_pending else _about(about)
    hand_off_at_once(step, about[-1].agent, covers, outstanding=unclear, about=about)


def pause(step: Step, turn: OpenTurn, finished: TurnFinished) -> str:
    """
    End the leg of *turn* that *finished* pauses; its results of granted calls are recorded already. Returns why that
    may not be, in a bounded word; then nothing was changed.
    """
    state = step.state
    playbook = step.playbooks.version(step.address.tenant, turn.agent, turn.playbook_version)
    tools = {tool.id: tool for tool in playbook.tools} if playbook else {}
    if turn.leg >= step.bounds.legs_max:
        return ClosedBy.TOO_MANY_LEGS
    known = {call.id for call in state.calls}
    read = {result.call.id: result for result in finished.results if result.call.id not in known}
    wanted = {call.id: call for call in finished.calls if call.id not in known}
    made = [result.call for result in read.values()]
    if not (finished.calls or finished.claims or finished.results):
        return ClosedBy.REFUSED_CALL
    if not (_declared(tools, made, consequential=False) and _declared(tools, wanted.values(), consequential=True)):
        return ClosedBy.REFUSED_CALL
    grown, asked = _with_calls(step, turn, playbook, wanted.values())
    for result in read.values():
        grown = calls.with_call(grown, _read(step, turn, result), step.bounds.calls_bytes_max)
    grown = calls.with_room(grown, turn=turn.id, count=step.bounds.calls_max)
    if len(grown) > step.bounds.calls_max or calls.size_bytes(grown) > step.bounds.calls_bytes_max:
        return ClosedBy.TOO_MANY_CALLS
    state.calls = _claimed(grown, finished.claims)
    step.effects += [Asked(turn, call, tools[call.tool].description) for call in asked]
    _go_on(step, turn, finished)
    return ""


def follow_up(step: Step) -> None:
    """
    Open a turn for what is owed, if no turn is open or about to be. In manual mode, or where the agent has no playbook
    any more, that turn ends at once; a call that was only now allowed is not made then.
    """
    state = step.state
    while state.open is None and not state.is_pending:
        owed = [call for call in state.calls if call.is_owed]
        if not owed:
            return
        agent = owed[0].agent
        mine = tuple(call for call in owed if call.agent == agent)
        if state.mode is Mode.MANUAL:
            close_at_once(step, agent, _about(mine), Outcome.HANDED_OFF, ClosedBy.MANUAL_MODE)
        else:
            begin(step, agent, _about(mine), accepted_ms=step.now_ms)
        if state.open is None:
            state.calls = tuple(call for call in state.calls if call not in mine or call.standing != Standing.GRANTED)
            state.calls = calls.results_carried(state.calls, agent)


def _go_on(step: Step, turn: OpenTurn, finished: TurnFinished) -> None:
    state = step.state
    waits = any(call.standing == Standing.ASKED and call.turn == turn.id for call in state.calls)
    playbook = step.playbooks.version(step.address.tenant, turn.agent, turn.playbook_version)
    held = rebound(step, turn.agent, playbook)
    allowed = (call for call in state.calls if call.standing == Standing.GRANTED and call.id not in held)
    goes_on = any(call.agent == turn.agent for call in allowed)
    if goes_on or not waits:
        open_leg(step, turn._replace(leg=turn.leg + 1), finished)
        return
    # What came of the other calls is told by the turn that the decision opens.
    state.calls = calls.results_carried(state.calls, turn.agent)
    reply = fallback_reply(step, turn, "approval_requested")
    outcome = Outcome.ANSWERED if reply else Outcome.NO_REPLY
    close(step, outcome, ClosedBy.APPROVAL_REQUESTED, reply=reply, finished=finished)


def _with_calls(
    step: Step, turn: OpenTurn, playbook: Playbook | None, wanted: Iterable[ToolCall]
) -> tuple[Calls, list[Call]]:
    """The calls kept in mind with those *wanted*, and which of them a person is now to be asked about."""
    tools = {tool.id: tool for tool in playbook.tools} if playbook else {}
    grown, asked = step.state.calls, []
    for want in wanted:
        known = (call for call in grown if call.concerns(turn.covers))
        same = next((call for call in known if call.is_same(turn.agent, want.tool, want.arguments)), None)
        if same is not None and same.standing == Standing.ASKED and not holds(step, same, playbook):
            # What the person was shown is not what would be done: they are asked again.
            step.notes.append(Note.APPROVAL_LAPSED)
            grown = tuple(call for call in grown if call.id != same.id)
        elif same is not None:
            # Asked for once more, it is this turn that waits, and its messages that the decision answers.
            again = same._replace(turn=turn.id, about=turn.covers[-1]) if same.standing == Standing.ASKED else same
            grown = tuple(again if call.id == same.id else call for call in grown)
            continue
        call = _new(step, turn, want, tools[want.tool])
        grown = (*grown, call)
        if call.standing == Standing.ASKED:
            asked.append(call)
    return grown, asked


def _new(step: Step, turn: OpenTurn, want: ToolCall, tool: Tool) -> Call:
    return Call(
        id=want.id,
        tool=want.tool,
        arguments=want.arguments,
        agent=turn.agent,
        version=turn.playbook_version,
        turn=turn.id,
        about=turn.covers[-1],
        standing=Standing.ASKED if tool.approval else Standing.GRANTED,
        since_ms=step.now_ms,
        due_ms=step.now_ms + round(tool.approval_seconds * 1000) if tool.approval else 0,
        digest=digest_of(tool, want.arguments) if tool.approval else "",
    )


def _read(step: Step, turn: OpenTurn, result: ToolResult) -> Call:
    call = Call(
        id=result.call.id,
        tool=result.call.tool,
        arguments=result.call.arguments,
        agent=turn.agent,
        version=turn.playbook_version,
        turn=turn.id,
        about=turn.covers[-1],
        standing=Standing.SETTLED,
        since_ms=step.now_ms,
        reads=True,
    )
    return call.settled(_kept(result), step.now_ms)


def _kept(result: ToolResult) -> dict[str, Any]:
    shown = result.model_dump(mode="json", exclude={"call"})
    return shown | {"error": result.error[: calls.ERROR_CHARS_MAX]}


def _claimed(held: Calls, claims: tuple[Claim, ...]) -> Calls:
    """*held* with the claimants of what was granted and nobody has claimed."""
    first = {claim.call_id: claim.claimant for claim in reversed(claims) if len(claim.claimant) <= CALL_ID_CHARS_MAX}
    return tuple(
        call._replace(claimant=first[call.id])
        if call.id in first and call.standing == Standing.GRANTED and not call.claimant
        else call
        for call in held
    )


def _declared(tools: dict[str, Tool], made: Iterable[ToolCall], *, consequential: bool) -> bool:
    return all(
        0 < len(call.id) <= CALL_ID_CHARS_MAX
        and call.id.isprintable()
        and call.tool in tools
        and tools[call.tool].consequential is consequential
        for call in made
    )


def _about(held: Calls) -> tuple[str, ...]:
    return tuple(dict.fromkeys(call.about for call in held))
