"""
`conversation.events`: what a chat platform publishes; `conversation.decisions`: what people decide;
`conversation.responses`: what the customer sees.
"""

from enum import StrEnum

from pydantic import Field

from shared.events.base import INTEGER_MAX, Body, Instant, OpenEnum
from shared.events.values import BoundedObject


class Author(OpenEnum):
    """Who wrote a message."""

    CUSTOMER = "customer"
    HUMAN_AGENT = "human_agent"
    ASSISTANT = "assistant"
    OTHER = "other"


class Mode(OpenEnum):
    """Whether Holdfast answers (`auto`) or stays silent while people do (`manual`)."""

    AUTO = "auto"
    MANUAL = "manual"
    OTHER = "other"


class MessagePosted(Body):
    """
    `message.posted`: somebody wrote a message. The first one of a conversation says which agent's playbook applies.
    """

    agent: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """whose playbook applies"""
    author: Author
    """who wrote it; only a customer's message asks for an answer"""
    text: str
    """what was written, as plain text"""
    sequence: int | None = Field(
        None,
        ge=0,
        le=INTEGER_MAX,
        description="the platform's running number within the conversation, where it has one",
    )
    customer_id: str = Field("", max_length=128)
    """the platform's name for the customer"""
    customer_name: str = Field("", max_length=128)
    """how to address the customer"""


class ModeChanged(Body):
    """`conversation.mode_changed`: a person takes over (`manual`) or hands back (`auto`)."""

    mode: Mode
    """from now on"""
    reason: str = Field("", max_length=512)
    """for the record"""


class VariableSet(Body):
    """`variable.set`: the platform tells a fact about this conversation; an empty value removes it."""

    name: str = Field(min_length=1, max_length=64)
    """such as `account_kind`"""
    value: str = Field(max_length=4_096)
    """empty removes it"""


class ApprovalGiven(Body):
    """`approval.given`: a person allows or refuses what a turn asked approval for."""

    approval_id: str = Field(min_length=1, max_length=64)
    """what the turn asked under"""
    granted: bool
    """whether it may be done"""
    digest: str = Field("", max_length=64)
    """that of the request, so that only what was shown is allowed; to refuse, it may be left out"""
    by: str = Field("", max_length=128)
    """who decided"""
    reason: str = Field("", max_length=512)
    """for the record"""


class Decision(Body):
    """What a person decided about a call, on the record of each turn that had it before it."""

    approval_id: str
    """what was asked under"""
    tool: str
    """what was to be done"""
    granted: bool
    """whether it was allowed"""
    by: str = ""
    """who decided, shortened where it is long"""
    reason: str = ""
    """why, shortened where it is long"""
    decided_at: Instant
    """when it was taken in"""
    lapsed: bool = False
    """that it held no longer when the turn began: the tool was declared anew, so the call was not made"""


class ApprovalRequested(Body):
    """`approval.requested`: a call waits for a person's `approval.given`; without it nothing is done."""

    approval_id: str
    """what `approval.given` answers"""
    turn_id: str
    """the turn that asked"""
    agent: str
    """whose playbook declares the tool"""
    tool: str
    """what is to be done"""
    description: str = ""
    """the tool's description"""
    arguments: BoundedObject = Field(default_factory=dict)
    """with which values"""
    digest: str = ""
    """of the tool's declaration and the arguments; `approval.given` gives it back"""
    expires_at: Instant
    """when it can no longer be given"""


class ConversationClosed(Body):
    """`conversation.closed`: nobody expects another answer; an open turn ends without a reply."""

    reason: str = Field("", max_length=512)
    """for the record"""


class ConversationErased(Body):
    """`conversation.erased`: forget the conversation; what is still under way for it is refused when it arrives."""

    reason: str = Field("", max_length=512)
    """for the record"""


class ResponseOrigin(StrEnum):
    """Where a response's text comes from: a draft that passed verification, or a text named in the playbook."""

    VERIFIED = "verified"
    FALLBACK = "fallback"


class ResponseSent(Body):
    """`response.sent`: the reply to a turn's messages, at most one a turn."""

    turn_id: str
    """the turn that this ends; `turns.closed` has its record"""
    epoch: int
    """the turn's number within the conversation"""
    agent: str
    """whose playbook applied"""
    text: str
    """what to show to the customer"""
    text_sha256: str
    """of `text` in UTF-8, hexadecimal; the record of the turn names it"""
    origin: ResponseOrigin
    """whether the text is a verified draft"""
    fallback: str = Field("", description="the fallback's name in the playbook, where `origin` is `fallback`")
    in_reply_to: tuple[str, ...] = Field(description="ids of the `message.posted` events that this answers")


class AcknowledgementSent(Body):
    """
    `acknowledgement.sent`: an approved text that may be shown while the turn's reply is worked on. It is not the
    reply, answers nothing, and may come without one following.
    """

    turn_id: str
    """the turn that was opened"""
    epoch: int
    """the turn's number within the conversation"""
    agent: str
    """whose playbook has the text"""
    text: str
    """what to show to the customer"""
    in_reply_to: tuple[str, ...] = Field(description="ids of the `message.posted` events that the turn answers")
