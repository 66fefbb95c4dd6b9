"""
Approvals: what a person, or the passing of time, decides about a call that waits to be allowed.

The decision is owed to the customer: it goes into the open turn's next leg, or opens a turn of its own (legs.py).
"""

from services.conversations.domain.binding import decision_of, shown_digest
from services.conversations.domain.calls import Call, Standing, result_without_data
from services.conversations.domain.effects import Note
from services.conversations.domain.step import Step
from shared.errors import Invalid
from shared.events.conversation import ApprovalGiven
from shared.events.envelope import Envelope
from shared.events.tools import ToolStatus


def approval_given(step: Step, event: Envelope[ApprovalGiven]) -> None:
    """
    `approval.given`: the first decision in time counts; any other, and one about what nobody asked, changes nothing.

    One that comes when its time is over is none, whether or not the timer was faster.

    Raises:
        Invalid: (`approval_mismatch`) it allows the call without the digest that it was asked for under: the person saw
            another declaration or other arguments. The call still waits.

    """
    expire_approvals(step)
    decided = event.data
    asked = next((call for call in step.state.calls if call.id == decided.approval_id), None)
    if asked is None or asked.standing != Standing.ASKED:
        step.notes.append(Note.UNKNOWN_APPROVAL)
        return
    if decided.granted:
        _check_digest(step, asked, decided)
    told = asked._replace(decision=decision_of(decided, step.now_ms))
    if decided.granted:
        _replace(step, told._replace(standing=Standing.GRANTED, since_ms=step.now_ms, due_ms=0))
    else:
        _settle(step, told, ToolStatus.REFUSED, "a person did not allow it")


def _check_digest(step: Step, asked: Call, given: ApprovalGiven) -> None:
    if not given.digest and (step.older_release or not asked.digest):
        return  # What asked, or who decided, knew of no digest. What the call's id names never changes.
    if given.digest != shown_digest(step, asked):
        raise Invalid(
            "approval_mismatch",
            f"{given.approval_id} is allowed with the digest {given.digest or 'left out'}, and was asked for with "
            f"{asked.digest or 'another'}: give back the `digest` of the `approval.requested` that the person saw",
        )


def expire_approvals(step: Step) -> None:
    """Nobody decided in time about what was to be decided by now."""
    for call in step.state.calls:
        if call.standing == Standing.ASKED and call.due_ms <= step.now_ms:
            _settle(step, call, ToolStatus.EXPIRED, "nobody decided in time")


def _settle(step: Step, call: Call, status: ToolStatus, error: str) -> None:
    result = result_without_data(status, error, step.now_ms)
    _replace(step, call._replace(due_ms=0).settled(result, step.now_ms))


def _replace(step: Step, new: Call) -> None:
    step.state.calls = tuple(new if call.id == new.id else call for call in step.state.calls)
