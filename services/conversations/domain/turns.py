"""
The life of a turn: opened once the burst of messages has settled, superseded by a newer message, closed once.

Epochs count the turns of a conversation; only the newest may be open. A turn that ends the moment it begins (a refused
message, manual mode) never reaches the stages: it is closed without having been opened on `turns.opened`.
"""

from typing import Any

from services.conversations.domain import calls
from services.conversations.domain.binding import decisions, rebound
from services.conversations.domain.bounds import SETTLE_CAP
from services.conversations.domain.effects import Acknowledged, Closed, Note, Opened, Reply
from services.conversations.domain.experiment import arm_of
from services.conversations.domain.instants import at
from services.conversations.domain.state import OpenTurn
from services.conversations.domain.step import Step
from services.conversations.domain.transcript import Window, entry_of
from shared.events.conversation import Author, Mode, ResponseOrigin
from shared.events.envelope import derived_id
from shared.events.tools import ToolStatus
from shared.events.turns import ClosedBy, Outcome, TurnFinished, Utterance
from shared.playbook.model import Limits, Playbook
from shared.text.visible import cleaned


def wait_for_more(step: Step, message_id: str, limits: Limits) -> None:
    """
    Note that *message_id* awaits a turn, and open it when there is nothing to wait for.

    The turn opens `settle_seconds` after the last message of a burst, after `SETTLE_CAP` times as long since the
    first, or when the burst fills a turn.
    """
    state, settle_ms = step.state, round(limits.settle_seconds * 1000)
    if not state.waiting:
        state.burst_ms = step.now_ms
        if not state.carried:
            state.waiting_since_ms = step.now_ms
    state.waiting = (*state.waiting, message_id)
    state.traceparent = step.traceparent
    state.settle_due_ms = state.slot_ms or min(step.now_ms + settle_ms, state.burst_ms + SETTLE_CAP * settle_ms)
    if state.settle_due_ms <= step.now_ms or len(state.waiting) >= step.bounds.covers_max:
        open_if_admitted(step)


def open_if_admitted(step: Step) -> None:
    """
    Open the turn for a burst that has settled, or for what a superseded turn left, when its tenant's budget allows it:
    now, later (the conversation is woken then), or not at all; then the customer is told that we are busy.

    A burst that fills a turn while it waits for its slot is refused as well: it cannot grow on.
    """
    state = step.state
    if not state.slot_ms:
        slot_ms = step.admission.reserve(step.address.tenant, step.now_ms)
        if slot_ms is None:
            _refuse_for_budget(step)
            return
        if slot_ms > step.now_ms:
            state.slot_ms = state.settle_due_ms = slot_ms
            step.notes.append(Note.HELD_BY_BUDGET)
            if len(state.waiting) < step.bounds.covers_max:
                return
    if state.slot_ms > step.now_ms:
        _refuse_for_budget(step)
    else:
        open_turn(step)


def _refuse_for_budget(step: Step) -> None:
    step.notes.append(Note.OVER_BUDGET)
    close_at_once(step, step.state.agent, unanswered(step), Outcome.REJECTED, ClosedBy.OVER_BUDGET, "busy")


def open_turn(step: Step) -> None:
    """
    Open the turn that answers every message since the last answer: those that wait, and those that a superseded turn
    left.

    Of those left over only the newest are covered again where there are more than `covers_max`; each was covered
    before.
    """
    first = not step.state.carried
    begin(step, step.state.agent, unanswered(step), accepted_ms=step.state.waiting_since_ms)
    if first:
        _acknowledge(step)


def _acknowledge(step: Step) -> None:
    """Say the playbook's words for that, but not again in the turn that takes a superseded one's place."""
    turn = step.state.open
    found = step.playbooks.version(step.address.tenant, turn.agent, turn.playbook_version) if turn else None
    if turn is not None and found is not None and (text := cleaned(found.acknowledgement)):
        step.effects.append(Acknowledged(turn, text))


def begin(step: Step, agent: str, covers: tuple[str, ...], *, accepted_ms: int) -> None:
    """Open a turn of *agent* for *covers*; without a playbook, or over a call of unknown outcome, it ends at once."""
    state = step.state
    found = step.playbooks.current(step.address.tenant, agent)
    if found is None:
        close_at_once(step, agent, covers, Outcome.REJECTED, ClosedBy.UNKNOWN_AGENT)
        return
    if state.calls and (lapsed := _lapsed(step, agent, found[1])):
        about = tuple(call for call in state.calls if call.id in lapsed)
        unknown = calls.result_without_data(ToolStatus.UNKNOWN, "nobody reported on it", step.now_ms)
        state.calls = calls.given_up(state.calls, dict.fromkeys(lapsed, unknown), step.now_ms)
        hand_off_at_once(step, agent, covers, outstanding=lapsed, about=about)
        return
    version, playbook = found
    let_go: tuple[dict[str, Any], ...] = ()
    if state.calls:
        covers, let_go = _let_go(step, agent, playbook, covers)
    turn = _turn(
        step,
        agent,
        covers,
        version,
        deadline_ms=step.now_ms + max(1, round(playbook.limits.deadline_seconds * 1000)),
        accepted_ms=accepted_ms,
        arm=arm_of(playbook.experiment, step.address),
    )
    state.transcript = state.transcript.within(Window.of(playbook.limits, step.bounds.history_bytes_max))
    open_leg(step, turn._replace(lapsed=let_go) if let_go else turn)


def _let_go(
    step: Step, agent: str, playbook: Playbook, covers: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """
    Forget what was allowed under another declaration: *covers* with its messages, which the turn answers anew, and who
    had decided.
    """
    ids = rebound(step, agent, playbook)
    if not ids:
        return covers, ()
    lapsed = [call for call in step.state.calls if call.id in ids]
    step.state.calls = tuple(call for call in step.state.calls if call.id not in ids)
    step.notes += [Note.APPROVAL_LAPSED] * len(lapsed)
    again = tuple(dict.fromkeys(call.about for call in lapsed if call.about not in covers))
    kept = (*again, *covers)[-step.bounds.covers_max :]
    return kept, tuple({**decision, "lapsed": True} for decision in decisions(lapsed, agent))


def _lapsed(step: Step, agent: str, playbook: Playbook) -> tuple[str, ...]:
    """
    The calls that are outstanding for too long, or whose tool is another by now: under another endpoint, or without
    the header by which it recognises a call, the same call could be executed a second time.
    """
    tools = {tool.id: tool for tool in playbook.tools}
    lapsed = calls.lapsed(step.state.calls, step.now_ms, step.bounds.grant_seconds)
    for call in step.state.calls:
        if call.is_outstanding and call.agent == agent and call.id not in lapsed:
            before = step.playbooks.version(step.address.tenant, agent, call.version)
            if before is None or call.tool not in tools or tools[call.tool] not in before.tools:
                lapsed = (*lapsed, call.id)
    return lapsed


def open_leg(step: Step, turn: OpenTurn, paused: TurnFinished | None = None) -> None:
    """Let the stages work on *turn*, with the calls that are kept in mind; *paused* ended its former leg, if any."""
    state = step.state
    state.open = turn
    taken: calls.Calls = ()
    if state.calls:
        playbook = step.playbooks.version(step.address.tenant, turn.agent, turn.playbook_version)
        held = rebound(step, turn.agent, playbook)
        taken = calls.of_leg([call for call in state.calls if call.id not in held], turn.agent, turn.covers)
        state.calls = calls.carried(state.calls, turn.agent, held)
    step.effects.append(
        Opened(
            turn,
            state.transcript,
            state.applied,
            state.journeys,
            state.variables,
            state.customer_name,
            taken,
            paused,
            state.variables_ms,
        )
    )


def supersede(step: Step) -> bool:
    """
    Close the open turn because of a newer message, and carry what it covers into the next one; whether there was one.

    It closes when the message comes, not when the burst has settled: an answer that left in between would read as one
    to the newer message.
    """
    turn = step.state.open
    if turn is None:
        return False
    close(step, Outcome.SUPERSEDED, ClosedBy.NEWER_MESSAGE)
    step.state.carried = turn.covers
    step.state.waiting_since_ms = turn.accepted_ms
    return True


def settle(step: Step, outcome: Outcome, reason: ClosedBy) -> None:
    """End whatever awaits an answer, an open turn or a burst that has not opened one yet, without a reply."""
    state = step.state
    if state.open is not None:
        close(step, outcome, reason)
    elif state.is_pending:
        close_at_once(step, state.agent, unanswered(step), outcome, reason)


def close(
    step: Step,
    outcome: Outcome,
    reason: str,
    *,
    reply: Reply | None = None,
    finished: TurnFinished | None = None,
    records_claim_texts: bool = False,
    outstanding: tuple[str, ...] = (),
    about: calls.Calls = (),
) -> None:
    """
    Close the open turn; a reply goes into the transcript, as the customer sees it. *about* are calls that it ends over,
    and that are not kept in mind any more.
    """
    turn, step.state.open = step.state.open, None
    if turn is None:
        raise RuntimeError("a turn was closed while none was open; a handler must look first")
    if step.state.calls:
        _part_with_calls(step, turn, outcome)
    _end(
        step,
        turn,
        outcome,
        reason,
        reply,
        finished,
        records_claim_texts=records_claim_texts,
        outstanding=outstanding,
        about=about,
    )


def close_at_once(
    step: Step,
    agent: str,
    covers: tuple[str, ...],
    outcome: Outcome,
    reason: ClosedBy,
    fallback: str = "",
    *,
    outstanding: tuple[str, ...] = (),
    about: calls.Calls = (),
) -> None:
    """A turn for *covers* that ends as it begins, with the playbook's text *fallback* where one is named."""
    found = step.playbooks.current(step.address.tenant, agent)
    turn = _turn(
        step, agent, covers, found[0] if found else "", deadline_ms=step.now_ms, accepted_ms=step.now_ms, arm=""
    )
    reply = fallback_reply(step, turn, fallback) if fallback else None
    _end(step, turn, outcome, reason, reply, None, outstanding=outstanding, about=about)


def hand_off_at_once(
    step: Step, agent: str, covers: tuple[str, ...], *, outstanding: tuple[str, ...], about: calls.Calls
) -> None:
    """
    A turn that passes *covers* to people as it begins: of *outstanding*, the calls *about*, nobody can tell what they
    did. Where
    people have the conversation already, the customer is not told so again.
    """
    fallback = "hand_off" if step.state.mode is not Mode.MANUAL else ""
    step.state.mode = Mode.MANUAL
    close_at_once(
        step,
        agent,
        covers,
        Outcome.HANDED_OFF,
        ClosedBy.TOOL_OUTCOME_UNKNOWN,
        fallback,
        outstanding=outstanding,
        about=about,
    )


def expire(step: Step) -> None:
    """Close the open turn because its deadline has passed."""
    turn = step.state.open
    reply = fallback_reply(step, turn, "expired") if turn else None
    close(step, Outcome.EXPIRED, ClosedBy.DEADLINE, reply=reply)


def fallback_reply(step: Step, turn: OpenTurn, name: str) -> Reply | None:
    """The text that *turn*'s playbook has under *name*, without what it hides; None where it says nothing."""
    fallbacks = step.fallbacks(turn)
    text = cleaned(getattr(fallbacks, name, ""))
    return Reply(text, ResponseOrigin.FALLBACK, name) if text else None


def unanswered(step: Step) -> tuple[str, ...]:
    """The newest of the messages that no reply answers; none waits any more."""
    state = step.state
    covers = (*state.carried, *state.waiting)[-step.bounds.covers_max :]
    state.carried = state.waiting = ()
    state.settle_due_ms = state.burst_ms = state.slot_ms = 0
    return covers


def _part_with_calls(step: Step, turn: OpenTurn, outcome: Outcome) -> None:
    """
    What was only read ends with *turn*; the mode that a result asked for comes into force, unless the turn that takes
    this one's place is to be answered first.
    """
    state = step.state
    if outcome is not Outcome.SUPERSEDED:
        manual, state.calls = calls.without_mode(state.calls, turn.agent)
        state.mode = Mode.MANUAL if manual else state.mode
    state.calls = tuple(call for call in state.calls if not call.reads)


def _turn(
    step: Step, agent: str, covers: tuple[str, ...], version: str, *, deadline_ms: int, accepted_ms: int, arm: str
) -> OpenTurn:
    state = step.state
    state.epoch += 1
    return OpenTurn(
        id=derived_id(step.address.tenant, step.address.conversation, state.epoch, covers[-1]),
        epoch=state.epoch,
        leg=1,
        agent=agent,
        playbook_version=version,
        opened_ms=step.now_ms,
        deadline_ms=deadline_ms,
        accepted_ms=accepted_ms,
        covers=covers,
        arm=arm,
        traceparent=step.traceparent,
    )


def _end(
    step: Step,
    turn: OpenTurn,
    outcome: Outcome,
    reason: str,
    reply: Reply | None,
    finished: TurnFinished | None,
    *,
    records_claim_texts: bool = False,
    outstanding: tuple[str, ...] = (),
    about: calls.Calls = (),
) -> None:
    state = step.state
    results: calls.Calls = ()
    if state.calls:
        outstanding = (*outstanding, *calls.outstanding(state.calls))
        if outcome is Outcome.HANDED_OFF:
            results = calls.settled(state.calls, turn.agent)
    step.effects.append(
        Closed(
            turn,
            outcome,
            reason,
            state.mode,
            step.now_ms,
            reply,
            finished,
            records_claim_texts=records_claim_texts,
            outstanding=outstanding,
            results=results,
            decisions=(*turn.lapsed, *decisions((*about, *state.calls), turn.agent)),
        )
    )
    if reply is not None:
        said = Utterance(id=turn.id, author=Author.ASSISTANT, text=reply.text, at=at(step.now_ms))
        window = Window.of(step.limits(turn.agent), step.bounds.history_bytes_max)
        state.transcript = state.transcript.with_entry(entry_of(said), window)
