"""
What follows from the stages' being done with a turn.
"""

import hashlib
import hmac
import json

from services.conversations.domain.bounds import IDENTIFIER_BYTES_MAX, REASON_CHARS_MAX, REPLY_BYTES_MAX
from services.conversations.domain.calls import asks_manual, results_carried, told
from services.conversations.domain.effects import Note, Reply
from services.conversations.domain.legs import hand_off, pause, record_results
from services.conversations.domain.state import OpenTurn, Performed
from services.conversations.domain.step import Step
from services.conversations.domain.turns import close, expire, fallback_reply
from shared.errors import Invalid
from shared.events.conversation import Mode, ResponseOrigin
from shared.events.envelope import Envelope
from shared.events.turns import FinishResult, GuidelineVerdict, Outcome, TurnFinished
from shared.playbook.model import Fallbacks
from shared.text.visible import hidden

FALLBACK_NAMES = frozenset(Fallbacks.model_fields)
UNVERIFIED = "unverified_result"


def turn_finished(step: Step, event: Envelope[TurnFinished]) -> None:
    """
    `turn.finished`: the first one for the open turn closes it, any other is too late or of another leg and is passed
    over.

    * verified: the reply leaves, and what it performed is noted (`answered`);
    * silent: the stages found nothing to say (`no_reply`);
    * failed: the playbook's text leaves instead (`answered`; `no_reply` where that text is empty);
    * hand_off: the playbook's text leaves and people take over: the mode becomes manual (`handed_off`);
    * paused: the turn's next leg begins (legs.py).

    What it reports of granted calls is recorded from any leg, of this turn or a former one: a call was executed
    whether or not somebody waits for its result. A call of unknown outcome hands the conversation off.

    A result that came after the deadline expires the turn, whether or not the timer was faster: the outcome must not
    depend on which of the two was looked at first.

    Raises:
        Invalid: (`journeys_too_large`) the new journey positions do not fit the state.

    """
    turn, finished = step.state.open, event.data
    if turn is not None and (finished.turn.id, finished.turn.leg) != (turn.id, turn.leg):
        turn = None
    if turn is None:
        step.notes.append(Note.STALE_RESULT)
    elif step.now_ms >= turn.deadline_ms:
        expire(step)
        turn = None
    if finished.results and step.state.calls and _settles(step, turn, finished):
        return
    if turn is not None:
        _close(step, turn, finished)


def _settles(step: Step, turn: OpenTurn | None, finished: TurnFinished) -> bool:
    """
    Record the results of granted calls; whether that ends it, because one is unknown. *turn* is the open one, if
    *finished* is of its leg.
    """
    state, before = step.state, step.state.calls
    if turn is None and state.open is not None and step.now_ms >= state.open.deadline_ms:
        expire(step)
    unclear = record_results(step, finished.results)
    if turn is None and state.calls != before:
        step.notes.append(Note.LATE_TOOL_RESULT)
    if unclear:
        about = tuple(call for call in before if call.id in unclear)
        hand_off(step, unclear, about, finished if turn is not None else None)
    return bool(unclear)


def _close(step: Step, turn: OpenTurn, finished: TurnFinished) -> None:
    if finished.result is FinishResult.PAUSED:
        if refused := pause(step, turn, finished):
            step.state.calls = results_carried(step.state.calls, turn.agent)
            _fail(step, turn, finished, refused)
        return
    if finished.journeys is not None:
        step.state.journeys = _journeys(step, finished)
    match finished.result:
        case FinishResult.VERIFIED if _is_verified(finished):
            _answer(step, turn, finished)
        case FinishResult.SILENT:
            _honour_mode(step, finished)
            close(step, Outcome.NO_REPLY, _reason(finished), finished=finished)
            _tell(step, turn)
        case FinishResult.HAND_OFF:
            reply = fallback_reply(step, turn, _fallback(finished, "hand_off"))
            step.state.mode = Mode.MANUAL
            close(step, Outcome.HANDED_OFF, _reason(finished), reply=reply, finished=finished)
            _tell(step, turn)
        case FinishResult.VERIFIED:
            step.notes.append(Note.UNVERIFIED_RESULT)
            _fail(step, turn, finished, UNVERIFIED)
        case _:
            _fail(step, turn, finished, _reason(finished))


def _answer(step: Step, turn: OpenTurn, finished: TurnFinished) -> None:
    playbook = step.playbooks.version(step.address.tenant, turn.agent, turn.playbook_version)
    _honour_mode(step, finished)
    close(
        step,
        Outcome.ANSWERED,
        _reason(finished),
        reply=Reply(finished.text, ResponseOrigin.VERIFIED),
        finished=finished,
        records_claim_texts=playbook is not None and playbook.verification.record_claim_texts,
    )
    step.state.applied = _applied(step, turn, finished)
    _tell(step, turn)


def _honour_mode(step: Step, finished: TurnFinished) -> None:
    """What a tool that only read may ask for as well: its result comes with the draft, without a leg of its own."""
    if finished.draft is not None and any(asks_manual(result.mode) for result in finished.draft.results):
        step.state.mode = Mode.MANUAL


def _tell(step: Step, turn: OpenTurn) -> None:
    """The results that the stages had before them have had their effect."""
    if step.state.calls:
        step.state.calls = told(step.state.calls, turn.agent, turn.covers)


def _fail(step: Step, turn: OpenTurn, finished: TurnFinished, reason: str) -> None:
    reply = fallback_reply(step, turn, _fallback(finished, "failed"))
    close(step, Outcome.ANSWERED if reply else Outcome.NO_REPLY, reason, reply=reply, finished=finished)


def _is_verified(finished: TurnFinished) -> bool:
    """
    Whether the record vouches for its text: verification passed, the hash that came with it is the text's own, and
    the text hides nothing.
    """
    text = finished.text.encode(errors="replace")
    return (
        finished.verification is not None
        and finished.verification.passed
        and bool(finished.text.strip())
        and len(text) <= REPLY_BYTES_MAX
        and not hidden(finished.text)
        and hmac.compare_digest(hashlib.sha256(text).hexdigest().encode(), finished.text_sha256.lower().encode())
    )


def _reason(finished: TurnFinished) -> str:
    return finished.reason[:REASON_CHARS_MAX]


def _fallback(finished: TurnFinished, otherwise: str) -> str:
    return finished.fallback if finished.fallback in FALLBACK_NAMES else otherwise


def _applied(step: Step, turn: OpenTurn, finished: TurnFinished) -> dict[str, Performed]:
    """The guidelines performed so far, without those longest not performed where there are too many."""
    applied = dict(step.state.applied)
    for judged in finished.verification.adherence if finished.verification else ():
        if judged.verdict is GuidelineVerdict.PERFORMED and len(judged.guideline_id.encode()) <= IDENTIFIER_BYTES_MAX:
            former = applied.pop(judged.guideline_id, Performed(0, 0))
            applied[judged.guideline_id] = Performed(former.times + 1, turn.epoch)
    surplus = len(applied) - step.bounds.applied_max
    return dict(list(applied.items())[surplus:]) if surplus > 0 else applied


def _journeys(step: Step, finished: TurnFinished) -> dict[str, tuple[str, ...]]:
    journeys = {name: position.path for name, position in (finished.journeys or {}).items()}
    size_bytes = len(json.dumps(journeys))
    if size_bytes > step.bounds.journeys_bytes_max:
        raise Invalid(
            "journeys_too_large",
            f"the journey positions of turn {finished.turn.id} take {size_bytes} bytes; at most "
            f"{step.bounds.journeys_bytes_max} are kept (HOLDFAST_CONVERSATIONS_JOURNEYS_BYTES_MAX)",
        )
    return journeys
