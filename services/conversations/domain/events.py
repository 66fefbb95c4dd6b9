"""
What follows from each event, and from the passing of time: one function an event type.
"""

import json
from collections.abc import Callable
from typing import Any

from services.conversations.domain.approvals import approval_given, expire_approvals
from services.conversations.domain.bounds import EVENT_ID_BYTES_MAX, VARIABLE_SET_AT_BYTES
from services.conversations.domain.effects import Note
from services.conversations.domain.finish import turn_finished
from services.conversations.domain.instants import ms_of
from services.conversations.domain.legs import follow_up
from services.conversations.domain.messages import message_after_erasure, message_posted
from services.conversations.domain.seen import body_seen, fingerprint, remember
from services.conversations.domain.state import ConversationState
from services.conversations.domain.step import Step
from services.conversations.domain.turns import expire, open_if_admitted, settle
from shared.errors import Invalid
from shared.events.base import Body
from shared.events.conversation import (
    ApprovalGiven,
    ConversationClosed,
    ConversationErased,
    MessagePosted,
    Mode,
    ModeChanged,
    VariableSet,
)
from shared.events.envelope import Envelope
from shared.events.turns import ClosedBy, Outcome, TurnFinished


def mode_changed(step: Step, event: Envelope[ModeChanged]) -> None:
    """`conversation.mode_changed`: in manual mode people answer, and what waits for an answer is theirs."""
    mode = event.data.mode
    if mode is Mode.OTHER:
        step.notes.append(Note.UNKNOWN_MODE)
        return
    if mode is Mode.MANUAL:
        settle(step, Outcome.HANDED_OFF, ClosedBy.MANUAL_MODE)
    step.state.mode = mode


def variable_set(step: Step, event: Envelope[VariableSet]) -> None:
    """
    `variable.set`: what turns opened from now on carry, with when it was told; an open turn keeps what it was opened
    with. An event's time that lies ahead counts as now.

    Raises:
        Invalid: (`variables_too_large`) the conversation's variables together would be too large.

    """
    name, value = event.data.name, event.data.value
    variables = {**step.state.variables, name: value}
    if not value:
        del variables[name]
    told_ms = {**step.state.variables_ms, name: min(ms_of(event.time), step.now_ms)}
    told_ms = {known: told_ms[known] for known in variables if known in told_ms}
    size_bytes = len(json.dumps(variables)) + sum(len(json.dumps(known)) + VARIABLE_SET_AT_BYTES for known in told_ms)
    if size_bytes > step.bounds.variables_bytes_max and value:
        raise Invalid(
            "variables_too_large",
            f"with {name!r} the conversation's variables and their times take {size_bytes} bytes; at most "
            f"{step.bounds.variables_bytes_max} are kept (HOLDFAST_CONVERSATIONS_VARIABLES_BYTES_MAX)",
        )
    step.state.variables = variables
    step.state.variables_ms = told_ms


def conversation_closed(step: Step, _event: Envelope[ConversationClosed]) -> None:
    """
    `conversation.closed`: what waits for an answer gets none. A later message simply goes on with the conversation.
    """
    settle(step, Outcome.NO_REPLY, ClosedBy.CONVERSATION_CLOSED)


def conversation_erased(step: Step, _event: Envelope[ConversationErased]) -> None:
    """
    `conversation.erased`: only a marker with the epoch stays, so that late results and messages can be refused and
    epochs go on counting; it goes as well when nothing can come any more (`erasure_retention_seconds`).
    """
    settle(step, Outcome.REJECTED, ClosedBy.ERASED)
    step.state = ConversationState(
        epoch=step.state.epoch,
        erased_at_ms=step.now_ms,
        retire_ms=step.now_ms + round(step.bounds.erasure_retention_seconds * 1000),
    )


Handler = Callable[[Step, Envelope[Any]], None]
_HANDLERS: dict[type[Body], Handler] = {
    MessagePosted: message_posted,
    ModeChanged: mode_changed,
    VariableSet: variable_set,
    ApprovalGiven: approval_given,
    ConversationClosed: conversation_closed,
    ConversationErased: conversation_erased,
}


def apply_event(step: Step, event: Envelope[Any]) -> bool:
    """
    Work what follows from *event* into *step*; whether the state may have changed.

    Raises:
        Invalid: `id_conflict` (the id was seen with another body), `bad_id`, or what the event's handler raises;
            *step*
            is to be thrown away then.

    """
    if isinstance(event.data, TurnFinished):
        calls = step.state.calls
        turn_finished(step, event)
        step.state.touched_ms = step.now_ms
        if step.state.calls:
            follow_up(step)
        return bool(step.effects) or step.state.calls is not calls
    if (size_bytes := len(event.id.encode())) > EVENT_ID_BYTES_MAX or not event.id.isprintable():
        raise Invalid(
            "bad_id", f"ce_id takes {size_bytes} bytes; at most {EVENT_ID_BYTES_MAX}, all printable, are taken"
        )
    mark = fingerprint(event)
    body = body_seen(step.state.seen, mark)
    if body == mark.body:
        step.notes.append(Note.DUPLICATE)
        return False
    if body is not None:
        raise Invalid(
            "id_conflict", f"event {event.id!r} came before with another body; the first one stands. Ids must be unique"
        )
    _handler(step, event)(step, event)
    state = step.state
    if state.calls:
        follow_up(step)
    state.seen = remember(state.seen, mark, step.bounds.seen_events_max)
    state.touched_ms = step.now_ms
    if not state.retire_ms:
        state.retire_ms = step.now_ms + round(step.bounds.idle_retention_seconds * 1000)
    return True


def _handler(step: Step, event: Envelope[Body]) -> Handler:
    if not step.state.erased_at_ms:
        return _HANDLERS[type(event.data)]
    return message_after_erasure if isinstance(event.data, MessagePosted) else _after_erasure


def _after_erasure(step: Step, _event: Envelope[Body]) -> None:
    step.notes.append(Note.AFTER_ERASURE)


def apply_time(step: Step) -> bool:
    """Work what is due into *step*; False when the conversation is to be forgotten altogether."""
    state, now_ms = step.state, step.now_ms
    if state.calls:
        expire_approvals(step)
    if state.open is not None and state.open.deadline_ms <= now_ms:
        expire(step)
    elif state.is_pending and state.settle_due_ms <= now_ms:
        open_if_admitted(step)
    if state.calls:
        follow_up(step)
    if step.effects:
        state.touched_ms = now_ms
    if not state.retire_ms or state.retire_ms > now_ms:
        return True
    if state.erased_at_ms:
        return False
    state.retire_ms = max(
        state.touched_ms + round(step.bounds.idle_retention_seconds * 1000),
        *[call.due_ms + 1 for call in state.calls],
        0,
    )
    return state.retire_ms > now_ms
