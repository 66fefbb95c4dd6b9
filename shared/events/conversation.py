"""
`conversation.events`: what a chat platform publishes, and `conversation.responses`: what the customer sees.
"""

from enum import StrEnum

from pydantic import Field

from shared.events.base import INTEGER_MAX, Body, OpenEnum


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
    author: Author
    text: str
    sequence: int | None = Field(
        None,
        ge=0,
        le=INTEGER_MAX,
        description="the platform's running number within the conversation, where it has one",
    )
    customer_id: str = Field("", max_length=128)
    customer_name: str = Field("", max_length=128)


class ModeChanged(Body):
    """`conversation.mode_changed`: a person takes over (`manual`) or hands back (`auto`)."""

    mode: Mode
    reason: str = Field("", max_length=512)


class VariableSet(Body):
    """`variable.set`: the platform tells a fact about this conversation; an empty value removes it."""

    name: str = Field(min_length=1, max_length=64)
    value: str = Field(max_length=4_096)


class ApprovalGiven(Body):
    """`approval.given`: a person allows or refuses what a turn asked approval for."""

    approval_id: str = Field(min_length=1, max_length=64)
    granted: bool
    by: str = Field("", max_length=128)
    reason: str = Field("", max_length=512)


class ConversationClosed(Body):
    """`conversation.closed`: nobody expects another answer; an open turn ends without a reply."""

    reason: str = Field("", max_length=512)


class ConversationErased(Body):
    """`conversation.erased`: forget the conversation; what is still under way for it is refused when it arrives."""

    reason: str = Field("", max_length=512)


class ResponseOrigin(StrEnum):
    """Where a response's text comes from: a draft that passed verification, or a text named in the playbook."""

    VERIFIED = "verified"
    FALLBACK = "fallback"


class ResponseSent(Body):
    """`response.sent` on `conversation.responses`: the reply to a turn's messages, at most one a turn."""

    turn_id: str
    epoch: int
    agent: str
    text: str
    text_sha256: str
    origin: ResponseOrigin
    fallback: str = Field("", description="the fallback's name in the playbook, where `origin` is `fallback`")
    in_reply_to: tuple[str, ...] = Field(description="ids of the `message.posted` events that this answers")
