"""
What follows from a message of a customer, a human agent, or somebody else.
"""

from services.conversations.domain.effects import Note
from services.conversations.domain.instants import at, ms_of
from services.conversations.domain.step import NO_PLAYBOOK, Step
from services.conversations.domain.transcript import Window, entry_of
from services.conversations.domain.turns import close_at_once, open_if_admitted, settle, supersede, wait_for_more
from shared.events.conversation import Author, MessagePosted, Mode
from shared.events.envelope import Envelope
from shared.events.turns import ClosedBy, Outcome, Utterance
from shared.playbook.model import Limits


def message_posted(step: Step, event: Envelope[MessagePosted]) -> None:
    """
    `message.posted`.

    A customer's message opens a turn. A human agent's answers whatever waits for an answer, without changing the
    mode: a platform that wants Holdfast silent says so with `conversation.mode_changed`. The assistant's own words
    are known already, so an echo of them is not taken in again. Anybody else (an author of a newer contract) is
    recorded and nothing more.
    """
    author = event.data.author
    if author is Author.ASSISTANT:
        step.notes.append(Note.ASSISTANT_ECHO)
        return
    found = step.playbooks.current(step.address.tenant, event.data.agent)
    limits = found[1].limits if found else NO_PLAYBOOK
    size_bytes = len(event.data.text.encode())
    _record(step, event, limits, size_bytes)
    if author is Author.CUSTOMER:
        _customer_wrote(step, event, limits, known=found is not None, too_large=size_bytes > limits.message_bytes)
    elif author is Author.HUMAN_AGENT:
        settle(step, Outcome.HANDED_OFF, ClosedBy.HUMAN_TOOK_OVER)


def message_after_erasure(step: Step, event: Envelope[MessagePosted]) -> None:
    """`message.posted` to a conversation that was erased: a customer's is covered and refused, nothing is recorded."""
    if event.data.author is Author.CUSTOMER:
        close_at_once(step, event.data.agent, (event.id,), Outcome.REJECTED, ClosedBy.ERASED)
    else:
        step.notes.append(Note.AFTER_ERASURE)


def _customer_wrote(
    step: Step, event: Envelope[MessagePosted], limits: Limits, *, known: bool, too_large: bool
) -> None:
    state, agent = step.state, event.data.agent
    if event.data.customer_name:
        state.customer_name = event.data.customer_name
    if known:
        state.agent = agent
    if state.mode is Mode.MANUAL:
        close_at_once(step, agent, (event.id,), Outcome.HANDED_OFF, ClosedBy.MANUAL_MODE)
    elif not known:
        _refuse(step, event, Outcome.REJECTED, ClosedBy.UNKNOWN_AGENT)
    elif event.expires is not None and ms_of(event.expires) <= step.now_ms:
        _refuse(step, event, Outcome.EXPIRED, ClosedBy.EVENT_EXPIRED)
    elif too_large:
        _refuse(step, event, Outcome.REJECTED, ClosedBy.TOO_LARGE, fallback="too_large")
    else:
        supersede(step)
        wait_for_more(step, event.id, limits)


def _refuse(step: Step, event: Envelope[MessagePosted], outcome: Outcome, reason: ClosedBy, fallback: str = "") -> None:
    """
    Cover a message that gets no turn of its own by one that ends at once.

    As its epoch is the newest, an open turn could no longer answer in order: it is superseded, and opened anew for
    its messages, within the budget of its tenant.
    """
    superseded = supersede(step)
    close_at_once(step, event.data.agent, (event.id,), outcome, reason, fallback)
    if superseded:
        open_if_admitted(step)


def _record(step: Step, event: Envelope[MessagePosted], limits: Limits, size_bytes: int) -> None:
    message, state = event.data, step.state
    _count(step, message.sequence)
    text = message.text
    if size_bytes > limits.message_bytes:
        text = f"[a message of {size_bytes} bytes, left out: more than {limits.message_bytes}]"
    # A message cannot come from the future: a platform's fast clock must not order the transcript.
    posted_ms = max(0, min(ms_of(event.time), step.now_ms))
    utterance = Utterance(id=event.id, author=message.author, text=text, at=at(posted_ms))
    window = Window.of(limits, step.bounds.history_bytes_max)
    state.transcript = state.transcript.with_entry(entry_of(utterance, message.sequence), window)


def _count(step: Step, sequence: int | None) -> None:
    if sequence is None:
        return
    if sequence <= step.state.sequence:
        step.notes.append(Note.OUT_OF_ORDER)
        return
    if step.state.sequence >= 0 and sequence > step.state.sequence + 1:
        step.notes.append(Note.SEQUENCE_GAP)
    step.state.sequence = sequence
