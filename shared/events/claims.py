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
    epoch: int
    agent: str
    position: int = Field(ge=1)
    claims: int = Field(ge=1)
    kind: ClaimKind
    draft_verdict: Verdict
    final_verdict: Verdict
    correction: Correction
    judge: Judge
    mode: ReasoningMode
    arm: str = Field("", description="the experiment's arm; empty outside an experiment")
    corrects: bool = Field(description="whether failures are mended (`correct`) or only recorded (`flag`)")
    playbook_version: str
    model: str
    text: str = Field("", description="empty unless the playbook lets claim texts be recorded")
