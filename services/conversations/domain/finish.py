"""
What follows from the stages' being done with a turn.
"""

import hashlib
import hmac
import json

from services.conversations.domain.bounds import IDENTIFIER_BYTES_MAX, REASON_CHARS_MAX, REPLY_BYTES_MAX
from services.conversations.domain.effects import Note, Reply
from services.conversations.domain.state import OpenTurn, Performed
from services.conversations.domain.step import Step
from services.conversations.domain.turns import close, expire, fallback_reply
from shared.errors import Invalid
from shared.events.conversation import Mode, ResponseOrigin
from shared.events.envelope import Envelope
from shared.events.turns import FinishResult, GuidelineVerdict, Outcome, TurnFinished
from shared.playbook.model import Fallbacks

FALLBACK_NAMES = frozenset(Fallbacks.model_fields)
UNVERIFIED = "unverified_result"


def turn_finished(step: Step, event: Envelope[TurnFinished]) -> None:
    """
    `turn.finished`: the first one for the open turn closes it, any other is too late or of another leg and is passed
    over.

    * verified: the reply leaves, and what it performed is noted (`answered`);
    * silent: the stages found nothing to say (`no_reply`);
    * failed: the playbook's text leaves instead (`answered`; `no_reply` where that text is empty);
    * hand_off: the playbook's text leaves and people take over: the mode becomes manual (`handed_off`).

    A result that came after the deadline expires the turn, whether or not the timer was faster: the outcome must not
    depend on which of the two was looked at first.

    Raises:
        Invalid: (`journeys_too_large`) the new journey positions do not fit the state.

    """
    turn, finished = step.state.open, event.data
    if turn is None or (finished.turn.id, finished.turn.leg) != (turn.id, turn.leg):
        step.notes.append(Note.STALE_RESULT)
        return
    if step.now_ms >= turn.deadline_ms:
        expire(step)
        return
    if finished.journeys is not None:
        step.state.journeys = _journeys(step, finished)
    match finished.result:
        case FinishResult.VERIFIED if _is_verified(finished):
            _answer(step, turn, finished)
        case FinishResult.SILENT:
            close(step, Outcome.NO_REPLY, _reason(finished), finished=finished)
        case FinishResult.HAND_OFF:
            reply = fallback_reply(step, turn, _fallback(finished, "hand_off"))
            close(step, Outcome.HANDED_OFF, _reason(finished), reply=reply, finished=finished)
            step.state.mode = Mode.MANUAL
        case FinishResult.VERIFIED:
            step.notes.append(Note.UNVERIFIED_RESULT)
            _fail(step, turn, finished, UNVERIFIED)
        case _:
            _fail(step, turn, finished, _reason(finished))


def _answer(step: Step, turn: OpenTurn, finished: TurnFinished) -> None:
    playbook = step.playbooks.version(step.address.tenant, turn.agent, turn.playbook_version)
    close(
        step,
        Outcome.ANSWERED,
        _reason(finished),
        reply=Reply(finished.text, ResponseOrigin.VERIFIED),
        finished=finished,
        records_claim_texts=playbook is not None and playbook.verification.record_claim_texts,
    )
    step.state.applied = _applied(step, turn, finished)


def _fail(step: Step, turn: OpenTurn, finished: TurnFinished, reason: str) -> None:
    reply = fallback_reply(step, turn, _fallback(finished, "failed"))
    close(step, Outcome.ANSWERED if reply else Outcome.NO_REPLY, reason, reply=reply, finished=finished)


def _is_verified(finished: TurnFinished) -> bool:
    """
    Whether the record vouches for its text: verification passed, and the hash that came with it is the text's own.
    """
    text = finished.text.encode()
    return (
        finished.verification is not None
        and finished.verification.passed
        and bool(finished.text.strip())
        and len(text) <= REPLY_BYTES_MAX
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
