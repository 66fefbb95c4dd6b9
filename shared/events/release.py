"""
`conversation.released`: an operator lets a conversation out of quarantine.
"""

from pydantic import Field

from shared.events.base import INTEGER_MAX, Body

RELEASED = "conversation.released"


class ConversationReleased(Body):
    """
    `conversation.released`: the records that were held follow, and are to be applied. Said again at the end of them,
    or where some are lost, it says through which number that is done.
    """

    quarantine: str = Field(min_length=1, max_length=64)
    """the id of the quarantine; for any other this says nothing"""
    through: int = Field(0, ge=0, le=INTEGER_MAX)
    """the records up to this number were handed on, or are given up"""
    discard_state: bool = False
    """begin with an empty state: what the conversation knew is lost"""
    by: str = Field("", max_length=128)
    """who decided"""
    reason: str = Field("", max_length=512)
    """for the record"""
