"""
`claims.judged`: one record for each claim of an accepted reply; what the error hazard is measured from.
"""

from enum import StrEnum

from pydantic import Field

from shared.events.base import Body, OpenEnum


class ClaimKind(OpenEnum):
    """What a claim states."""

    FACT = "fact"
    NUMBER = "number"
    POLICY = "policy"
    ACTION = "action"
    OTHER = "other"


class Verdict(OpenEnum):
    """What checking a claim found."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    PARTIAL = "partial"
    UNSUPPORTED = "unsupported"
    UNCHECKED = "unchecked"
    OTHER = "other"


class Judge(OpenEnum):
    """Who decided a verdict."""

    CODE = "code"
    MODEL = "model"
    VOTE = "vote"
    DRAFT = "draft"
    NOBODY = "nobody"
    OTHER = "other"


class Correction(OpenEnum):
    """What was done to a claim that failed."""

    NONE = "none"
    VALUE_RESTORED = "value_restored"
    DROPPED = "dropped"
    EDITED = "edited"
    OTHER = "other"


class ReasoningMode(StrEnum):
    """How a reply was reasoned."""

    DIRECT = "direct"
    COT = "cot"
    ARQ = "arq"


class ClaimJudged(Body):
    """`claim.judged`: claim `position` (1-based) of the `claims` claims of a turn's draft, as judged and as sent."""

    turn_id: str
    """the turn of the reply"""
    epoch: int
    """the turn's number within the conversation"""
    agent: str
    """whose playbook applied"""
    position: int = Field(ge=1)
    """of the claim in the draft"""
    claims: int = Field(ge=1)
    """how many claims the draft has"""
    kind: ClaimKind
    draft_verdict: Verdict
    """on the claim as it was drafted"""
    final_verdict: Verdict
    """on what was sent in its place"""
    correction: Correction
    """what was done about it"""
    judge: Judge
    """who decided the draft's verdict"""
    mode: ReasoningMode
    """how the reply was reasoned"""
    arm: str = Field("", description="the experiment's arm; empty outside an experiment")
    corrects: bool = Field(description="whether failures are mended (`correct`) or only recorded (`flag`)")
    playbook_version: str
    """by which the reply was made"""
    model: str
    """that drafted it, as it names itself"""
    text: str = Field("", description="empty unless the playbook lets claim texts be recorded")
